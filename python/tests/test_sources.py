"""Custom sources."""

from __future__ import annotations

import logging
import subprocess
import threading
import traceback
from collections.abc import Callable, Iterator

import pytest

from conftest import LIMIT, Background
from everstream import SSEClient, errors
from everstream.actions import Event, Fault, Start
from everstream.config import (
    ConnectionClient,
    ConnectionResult,
    ConnectStrategy,
    ErrorStrategy,
    RetryDelayStrategy,
)
from everstream.errors import HTTPContentTypeError, HTTPStatusError
from sources import Scripted, canned

CONTINUE_ONCE = ErrorStrategy.continue_with_max_attempts(1)


def test_create_client_is_called_with_the_logger() -> None:
    strategy = canned()
    logger = logging.getLogger("mine")
    SSEClient(strategy, logger=logger)
    SSEClient(strategy)
    assert strategy.loggers[0] is logger
    assert isinstance(strategy.loggers[1], logging.Logger)
    assert strategy.connected_with == []


def test_bytes_are_read_however_they_are_split() -> None:
    chunks = [b"da", bytearray(b"ta: a\n"), b"", memoryview(b"\ndata: b\n\n")]
    with SSEClient(canned(chunks)) as client:  # type: ignore[arg-type]
        assert [event.data for event in client.events] == ["a", "b"]


def test_the_last_event_id_is_passed_on() -> None:
    strategy = canned([b"id: 7\ndata: a\n\n"], [b"data: b\n\n"])
    with SSEClient(strategy, 0, last_event_id="6") as client:
        list(client.events)
        list(client.events)
    assert strategy.connected_with == ["6", "7"]


def test_a_start_has_the_headers_of_the_result() -> None:
    with SSEClient(canned([], headers={"X-Server": "mine"})) as client:
        start = next(client.all)
    assert isinstance(start, Start)
    assert (start.status, start.url) == (None, None)
    assert start.headers is not None
    assert start.headers["x-server"] == "mine"


@pytest.mark.parametrize("status", [None, 200])
@pytest.mark.parametrize("headers", [None, {}])
def test_a_start_has_only_the_attributes_of_the_result(
    status: int | None, headers: dict[str, str] | None
) -> None:
    for url in (None, "unix:/feed"):
        result = ConnectionResult(iter([]), None, headers, status=status, url=url)
        with SSEClient(Scripted(lambda _, result=result: result)) as client:  # type: ignore[misc]
            start = next(client.all)
        assert isinstance(start, Start)
        assert (start.status, start.url) == (status, url)
        assert (start.headers is None) is (headers is None)
        assert not start.headers


def test_a_source_is_called_in_the_reading_thread() -> None:
    threads: list[int] = []

    def note() -> None:
        threads.append(threading.get_ident())

    def stream() -> Iterator[bytes]:
        note()
        yield b"data: a\n\n"

    def connect(_: str | None) -> ConnectionResult:
        note()
        return ConnectionResult(stream(), note)

    def decide(_: Exception | None) -> tuple[bool, None]:
        note()
        return ErrorStrategy.FAIL, None

    def delay(base: float) -> tuple[float, None]:
        note()
        return base, None

    client = SSEClient(
        Scripted(connect),
        error_strategy=ErrorStrategy.from_lambda(decide),
        retry_delay_strategy=RetryDelayStrategy.from_lambda(delay),
    )
    reader = Background(lambda: (list(client.events), threading.get_ident()))
    events, thread = reader.result()
    assert events == [Event(data="a")]
    assert set(threads) == {thread}
    assert len(threads) == 5


def test_a_result_is_closed_at_its_end_and_a_client_only_once() -> None:
    closed: list[int] = []
    strategy = Scripted(
        lambda _: ConnectionResult(iter([b"data: a\n\n"]), lambda: closed.append(1))
    )
    with SSEClient(strategy, 0) as client:
        list(client.events)
        assert closed == [1]
        next(client.events)
        client.interrupt()
        assert closed == [1, 1]
        client.start()
    assert closed == [1, 1, 1]
    client.close()
    assert strategy.clients_closed == 1


def test_an_exception_in_connect_is_raised_unchanged() -> None:
    mistake = ValueError("mine")

    def connect(_: str | None) -> ConnectionResult:
        raise mistake

    with SSEClient(Scripted(connect)) as client, pytest.raises(ValueError, match="mine") as raised:
        next(client.all)
    assert raised.value is mistake
    assert raised.traceback[-1].name == "connect"

    with SSEClient(Scripted(connect), 0, error_strategy=CONTINUE_ONCE) as client:
        fault = next(client.all)
    assert isinstance(fault, Fault)
    assert fault.error is mistake
    assert "connect" in "".join(traceback.format_tb(fault.error.__traceback__))


def test_an_exception_in_a_stream_is_raised_unchanged() -> None:
    mistake = OSError("mine")

    def stream() -> Iterator[bytes]:
        yield b"data: a\n\n"
        raise mistake

    with SSEClient(canned(stream())) as client:
        events = client.events
        assert next(events).data == "a"
        with pytest.raises(OSError, match="mine") as raised:
            next(events)
    assert raised.value is mistake
    assert raised.traceback[-1].name == "stream"


@pytest.mark.parametrize(
    "mistake", [HTTPStatusError(503, {"Retry-After": "7"}), HTTPContentTypeError("text/html")]
)
def test_an_error_of_this_package_is_raised_unchanged(mistake: Exception) -> None:
    def connect(_: str | None) -> ConnectionResult:
        raise mistake

    with SSEClient(Scripted(connect), 0) as client:
        with pytest.raises(type(mistake)) as raised:
            client.start()
        assert raised.value is mistake


NEVER_SENT: list[Exception] = [errors.ConnectError("x"), errors.ConnectTimeoutError("x")]
MAYBE_SENT: list[Exception] = [
    errors.RequestError("x"),
    errors.ReadError("x"),
    errors.ReadTimeoutError("x"),
    errors.EventTooLargeError("x"),
    errors.IncompleteStreamError("x"),
    errors.ClosedError("x"),
    errors.InterruptedStartError("x"),
    errors.SSEError("x"),
    errors.HTTPStatusError(500),
    errors.HTTPContentTypeError("text/html"),
    errors.HTTPContentEncodingError("compress"),
    errors.HTTPRedirectError(302),
    OSError("x"),
    ConnectionRefusedError("x"),
    ValueError("x"),
    subprocess.SubprocessError("a library's"),
]


@pytest.mark.parametrize("mistake", NEVER_SENT + MAYBE_SENT, ids=lambda it: type(it).__name__)
def test_only_a_connect_error_says_that_nothing_was_sent(mistake: Exception) -> None:
    """An unsafe request is repeated only after a ConnectError."""

    class Once(Scripted, ConnectionClient):
        is_repeatable = False

        def create_client(self, logger: logging.Logger) -> ConnectionClient:
            return self

        def close(self) -> None:
            pass

    attempts: list[None] = []

    def connect(_: str | None) -> ConnectionResult:
        attempts.append(None)
        raise mistake

    strategy = ErrorStrategy.continue_with_max_attempts(3)
    faults: list[Exception | None] = []
    with SSEClient(Once(connect), 0, error_strategy=strategy) as client:
        actions = (action for action in client.all if isinstance(action, Fault))
        with pytest.raises(type(mistake)) as raised:
            faults.extend(action.error for action in actions)
    assert raised.value is mistake
    assert all(fault is mistake for fault in faults)
    assert len(attempts) == len(faults) + 1 == (4 if mistake in NEVER_SENT else 1)


@pytest.mark.parametrize(
    ("mistake", "is_retried"),
    [
        (errors.ConnectError("x"), True),
        (errors.RequestError("x"), True),
        (errors.ReadError("x"), True),
        (errors.ReadTimeoutError("x"), True),
        (OSError("x"), True),
        (subprocess.SubprocessError("a library's"), True),
        (errors.HTTPStatusError(500), False),
        (errors.HTTPContentTypeError("text/html"), False),
        (errors.HTTPContentEncodingError("compress"), False),
        (errors.HTTPRedirectError(302), False),
        (errors.EventTooLargeError("x"), False),
        (errors.IncompleteStreamError("x"), False),
        (errors.ClosedError("x"), False),
        (ValueError("x"), False),
    ],
    ids=lambda it: type(it).__name__,
)
def test_reconnect_retries_errors_that_retrying_can_fix(
    mistake: Exception, is_retried: bool
) -> None:
    fails, _ = ErrorStrategy.reconnect().apply(mistake)
    assert fails is not is_retried


def test_retry_after_applies_to_custom_sources() -> None:
    def connect(_: str | None) -> ConnectionResult:
        raise HTTPStatusError(503, {"retry-after": "7"})

    strategy = ErrorStrategy.reconnect(statuses=[503])
    with SSEClient(Scripted(connect), 0, error_strategy=strategy) as client:
        fault = next(client.all)
        assert isinstance(fault, Fault)
        assert client.next_retry_delay == 7


def test_reconnect_does_not_retry_programming_errors() -> None:
    def connect(_: str | None) -> ConnectionResult:
        raise TypeError("a mistake")

    with (
        SSEClient(Scripted(connect), 0, error_strategy=ErrorStrategy.reconnect()) as client,
        pytest.raises(TypeError),
    ):
        next(client.all)

    refused = canned([b"data: a\n\n"])
    with SSEClient(refused, 0, error_strategy=ErrorStrategy.reconnect()) as client:
        actions = client.all
        kinds = [type(next(actions)) for _ in range(5)]
    assert kinds == [Start, Event, Fault, Fault, Fault]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_base_exception_is_raised_without_asking_the_strategy(
    interruption: type[BaseException],
) -> None:
    mistake = interruption()

    def connect(_: str | None) -> ConnectionResult:
        raise mistake

    def stream() -> Iterator[bytes]:
        yield b"data: a\n\n"
        raise mistake

    def decide(exception: Exception | None) -> tuple[bool, None]:
        raise AssertionError(f"called with {exception}")

    always = ErrorStrategy.from_lambda(decide)
    with SSEClient(Scripted(connect), 0, error_strategy=always) as client:
        with pytest.raises(interruption) as raised:
            next(client.all)
        assert raised.value is mistake
        with pytest.raises(interruption):
            client.start()
    with SSEClient(canned(stream()), 0, error_strategy=always) as client:
        events = client.events
        assert next(events).data == "a"
        with pytest.raises(interruption) as raised:
            next(events)
        assert raised.value is mistake


def test_an_exception_in_a_closer_is_raised_and_loses_no_event() -> None:
    mistake = ValueError("mine")

    def closer() -> None:
        raise mistake

    def connect(_: str | None) -> ConnectionResult:
        return ConnectionResult(iter([b"data: a\n\n"]), closer)

    with SSEClient(Scripted(connect), 0) as client:
        events = client.events
        assert next(events) == Event(data="a")
        with pytest.raises(ValueError, match="mine") as raised:
            next(events)
        assert raised.value is mistake

    always = ErrorStrategy.always_continue()
    with SSEClient(Scripted(connect), 0, error_strategy=always) as client:
        actions = client.all
        assert [type(next(actions)) for _ in range(2)] == [Start, Event]
        with pytest.raises(ValueError, match="mine"):
            next(actions)
        # The error that the exception replaced.
        actions = client.all
        assert [type(next(actions)) for _ in range(2)] == [Fault, Start]
        with pytest.raises(ValueError, match="mine"):
            client.close()


def test_an_exception_in_a_closer_is_raised_where_the_client_is_stopped() -> None:
    def closer() -> None:
        raise ValueError("mine")

    for stop in (SSEClient.interrupt, SSEClient.close):
        strategy = Scripted(lambda _: ConnectionResult(iter([b"data: a\n\n"]), closer))
        client = SSEClient(strategy)
        next(client.events)
        with pytest.raises(ValueError, match="mine"):
            stop(client)
        client.close()
        assert strategy.clients_closed == 1


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "must return a ConnectionResult, not NoneType"),
        (ConnectionResult(None, None), "not iterable"),  # type: ignore[arg-type]
        (ConnectionResult(iter(["text"]), None), "must yield bytes, not str"),  # type: ignore[list-item]
        (ConnectionResult(iter([5]), None), "must yield bytes, not int"),  # type: ignore[list-item]
        (ConnectionResult(iter([]), None, 5), "items"),  # type: ignore[arg-type]
    ],
)
def test_an_invalid_result_is_an_error(result: ConnectionResult, message: str) -> None:
    with (
        SSEClient(Scripted(lambda _: result)) as client,
        pytest.raises((TypeError, AttributeError), match=message),
    ):
        next(client.events)


def test_a_strategy_that_does_not_return_a_client_is_an_error() -> None:
    class Mine(ConnectStrategy):
        def create_client(self, logger: logging.Logger) -> ConnectionClient:
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        SSEClient(Mine())


def test_reading_a_client_in_its_own_callback_is_an_error() -> None:
    def connect(_: str | None) -> ConnectionResult:
        client.start()
        raise AssertionError("it started")

    client = SSEClient(Scripted(connect))
    with pytest.raises(RuntimeError, match="one reader"):
        client.start()


@pytest.mark.parametrize("stop", [SSEClient.interrupt, SSEClient.close])
def test_stopping_closes_the_result_in_the_thread_that_stops(
    stop: Callable[[SSEClient], None],
) -> None:
    inside, release = threading.Event(), threading.Event()
    closed_in: list[int] = []

    def stream() -> Iterator[bytes]:
        inside.set()
        assert release.wait(LIMIT)
        raise ValueError("I/O operation on closed file")
        yield b""

    def closer() -> None:
        closed_in.append(threading.get_ident())
        release.set()

    strategy = Scripted(lambda _: ConnectionResult(stream(), closer))
    client = SSEClient(strategy)
    reading = Background(lambda: [type(action) for action in client.all])
    assert inside.wait(LIMIT)
    stop(client)
    expected = [Start] if stop is SSEClient.close else [Start, Fault]
    assert reading.result() in (expected, [Start])
    assert closed_in == [threading.get_ident()]
    assert strategy.clients_closed == (stop is SSEClient.close)


def test_stopping_does_not_wait_for_a_blocked_source() -> None:
    inside, release = threading.Event(), threading.Event()

    def connect(_: str | None) -> ConnectionResult:
        inside.set()
        assert release.wait(LIMIT)
        return ConnectionResult(iter([b"data: a\n\n"]), lambda: closed.append(1))

    closed: list[int] = []
    strategy = Scripted(connect)
    client = SSEClient(strategy)
    reading = Background(lambda: list(client.all))
    assert inside.wait(LIMIT)
    client.close()
    assert strategy.clients_closed == 1
    release.set()
    assert reading.result() == []
    assert closed == [1]
