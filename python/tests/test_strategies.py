"""Strategies written in Python."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from conftest import Background
from everstream import SSEClient
from everstream.actions import Fault, Start
from everstream.config import ConnectionResult, ErrorStrategy, RetryDelayStrategy
from everstream.errors import HTTPStatusError
from everstream.testing import Reply, SSEServer
from sources import Scripted, canned


class Counting(ErrorStrategy):
    """Continues this many times, and records the calls."""

    def __init__(self, times: int, calls: list[tuple[int, Exception | None]]) -> None:
        self.times = times
        self.calls = calls

    def apply(self, exception: Exception | None) -> tuple[bool, ErrorStrategy]:
        self.calls.append((self.times, exception))
        return self.times == 0, Counting(self.times - 1, self.calls)


class Growing(RetryDelayStrategy):
    def __init__(self, calls: list[tuple[int, float]], number: int = 1) -> None:
        self.number = number
        self.calls = calls

    def apply(self, base_delay: float) -> tuple[float, RetryDelayStrategy]:
        self.calls.append((self.number, base_delay))
        return self.number / 1000, Growing(self.calls, self.number + 1)


def test_a_strategy_returns_the_next_one_and_is_reset_by_a_connection(server: SSEServer) -> None:
    server.enqueue(
        Reply.status(500), Reply.status(501), Reply.stream(), Reply.status(502), Reply.status(503)
    )
    calls: list[tuple[int, Exception | None]] = []
    strategy = Counting(2, calls)
    client = SSEClient(server.url(), 0, error_strategy=strategy)
    with client, pytest.raises(HTTPStatusError):
        list(client.all)
    seen = [(times, getattr(error, "status", None)) for times, error in calls]
    assert seen == [(2, 500), (1, 501), (2, None), (1, 502), (0, 503)]


def test_a_strategy_receives_the_exception_that_is_raised(server: SSEServer) -> None:
    server.otherwise(Reply.status(500))
    calls: list[tuple[int, Exception | None]] = []
    with SSEClient(server.url(), 0, error_strategy=Counting(1, calls)) as client:
        actions = client.all
        fault = next(actions)
        with pytest.raises(HTTPStatusError) as raised:
            next(actions)
    assert isinstance(fault, Fault)
    assert fault.error is calls[0][1]
    assert raised.value is calls[1][1]


def test_a_delay_strategy_receives_the_base_delay(server: SSEServer) -> None:
    server.enqueue(Reply.status(500), Reply.status(500), Reply.stream().retry(200).stall())
    calls: list[tuple[int, float]] = []
    client = SSEClient(
        server.url(), 0.125, Growing(calls), error_strategy=ErrorStrategy.always_continue()
    )
    with client:
        actions = client.all
        next(actions)
        assert client.next_retry_delay == 0.001
        next(actions)
        assert client.next_retry_delay == 0.002
        assert isinstance(next(actions), Start)
        client.interrupt()
        next(actions)
    assert [base for _, base in calls[:2]] == [0.125, 0.125]
    assert [number for number, _ in calls[:2]] == [1, 2]


def test_a_delay_strategy_is_reset_by_a_long_connection() -> None:
    calls: list[tuple[int, float]] = []
    with SSEClient(canned([], [], []), 1, Growing(calls), retry_delay_reset_threshold=0) as client:
        for _ in range(3):
            list(client.all)
    assert [number for number, _ in calls] == [1, 1, 1]
    calls.clear()
    with SSEClient(canned([], [], []), 1, Growing(calls)) as client:
        for _ in range(3):
            list(client.all)
    assert [number for number, _ in calls] == [1, 2, 3]


def test_a_strategy_can_wrap_a_preset() -> None:
    class Wrapping(ErrorStrategy):
        def __init__(self, inner: ErrorStrategy, seen: list[bool]) -> None:
            self.inner = inner
            self.seen = seen

        def apply(self, exception: Exception | None) -> tuple[bool, ErrorStrategy]:
            verdict, inner = self.inner.apply(exception)
            self.seen.append(verdict)
            return verdict, Wrapping(inner or self.inner, self.seen)

    seen: list[bool] = []
    strategy = Wrapping(ErrorStrategy.continue_with_max_attempts(2), seen)
    client = SSEClient(canned(), 0, error_strategy=strategy)
    with client, pytest.raises(ConnectionRefusedError):
        list(client.events)
    assert seen == [False, False, True]


def test_lambdas_that_return_none_work() -> None:
    calls: list[Any] = []

    def decide(exception: Exception | None) -> tuple[bool, None]:
        calls.append(exception)
        return len(calls) == 3, None

    strategy = ErrorStrategy.from_lambda(decide)
    delay = RetryDelayStrategy.from_lambda(lambda base: (base / 2, None))
    with SSEClient(canned([], []), 0.01, delay, error_strategy=strategy) as client:
        with pytest.raises(ConnectionRefusedError):
            list(client.events)
        assert client.next_retry_delay == 0.005
    assert [type(exception) for exception in calls] == [
        type(None),
        type(None),
        ConnectionRefusedError,
    ]


def test_the_base_class_of_delay_strategies_works() -> None:
    with SSEClient(canned([]), 0.25, RetryDelayStrategy()) as client:
        list(client.events)
        assert client.next_retry_delay == 0.25


@pytest.mark.parametrize("delay", [-1, 0])
def test_a_negative_delay_counts_as_zero(delay: float) -> None:
    strategy = RetryDelayStrategy.from_lambda(lambda _: (delay, None))
    with SSEClient(canned([]), 1, strategy) as client:
        list(client.events)
        assert client.next_retry_delay == 0


def failing_error(mistake: BaseException) -> dict[str, Any]:
    def decide(_: Exception | None) -> tuple[bool, None]:
        raise mistake

    return {"error_strategy": ErrorStrategy.from_lambda(decide)}


def failing_delay(mistake: BaseException) -> dict[str, Any]:
    def delay(_: float) -> tuple[float, None]:
        raise mistake

    return {
        "retry_delay_strategy": RetryDelayStrategy.from_lambda(delay),
        "error_strategy": ErrorStrategy.always_continue(),
    }


@pytest.mark.parametrize("failing", [failing_error, failing_delay])
@pytest.mark.parametrize("mistake", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3)])
def test_an_exception_in_a_strategy_is_raised_unchanged(
    mistake: BaseException, failing: Callable[[BaseException], dict[str, Any]]
) -> None:
    # After an error.
    with SSEClient(canned(), 0, **failing(mistake)) as client:
        for read in (lambda: next(client.all), client.start):
            with pytest.raises(type(mistake)) as raised:
                read()
            assert raised.value is mistake
            assert raised.traceback[-1].name in ("decide", "delay")
            assert isinstance(raised.value.__context__, ConnectionRefusedError)
    # After the end of a stream whose last event has been delivered.
    with SSEClient(canned([b"data: a\n\n"]), 0, **failing(mistake)) as client:
        events = client.events
        assert next(events).data == "a"
        with pytest.raises(type(mistake)) as raised:
            next(events)
        assert raised.value is mistake


def test_an_exception_in_a_strategy_during_interrupt_is_raised_unchanged() -> None:
    mistake = ValueError("mine")
    with SSEClient(canned([b"data: a\n\n", b""]), 0, **failing_error(mistake)) as client:
        actions = client.all
        next(actions)
        next(actions)
        client.interrupt()
        with pytest.raises(ValueError, match="mine") as raised:
            next(actions)
        assert raised.value is mistake


@pytest.mark.parametrize("answer", [None, True, (True,), (True, None, None), 5, (False, 5)])
def test_an_invalid_result_of_an_error_strategy_is_an_error(answer: Any) -> None:
    class Mine(ErrorStrategy):
        def apply(self, exception: Exception | None) -> Any:
            return answer

    for strategy in (ErrorStrategy.from_lambda(lambda _: answer), Mine()):
        client = SSEClient(canned(), 0, error_strategy=strategy)
        with client, pytest.raises(TypeError, match=r"ErrorStrategy.apply must return a tuple"):
            next(client.events)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "RetryDelayStrategy.apply must return a tuple"),
        (5, "RetryDelayStrategy.apply must return a tuple"),
        (("x", None), "RetryDelayStrategy.apply must return a tuple"),
        ((0, 5), "RetryDelayStrategy.apply must return a tuple"),
        ((float("nan"), None), "the delay of a RetryDelayStrategy must be"),
    ],
)
def test_an_invalid_result_of_a_delay_strategy_is_an_error(answer: Any, said: str) -> None:
    class Mine(RetryDelayStrategy):
        def apply(self, base_delay: float) -> Any:
            return answer

    for strategy in (RetryDelayStrategy.from_lambda(lambda _: answer), Mine()):
        client = SSEClient(canned(), 0, strategy)
        with client, pytest.raises((TypeError, ValueError), match=said):
            next(client.events)


def test_a_closed_client_releases_its_strategies() -> None:
    def connect(_: str | None) -> ConnectionResult:
        return ConnectionResult(iter([b"data: a\n\n"]), None)

    strategy = Counting(1, [])
    source = Scripted(connect)
    gone = weakref.ref(strategy)
    client = SSEClient(source, 0, error_strategy=strategy)
    next(client.events)
    del strategy
    client.close()
    gc.collect()
    assert gone() is None


def test_a_client_closed_during_a_read_releases_its_strategies(server: SSEServer) -> None:
    server.otherwise(Reply.stream().stall())
    strategy = Counting(1, [])
    gone = weakref.ref(strategy)
    client = SSEClient(server.url(), 0, error_strategy=strategy)
    del strategy
    reading = Background(lambda: list(client.events))
    assert server.wait_for_requests(1)
    client.close()
    assert reading.result() == []
    gc.collect()
    assert gone() is None
