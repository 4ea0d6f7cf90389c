"""close() and interrupt() from another thread, in every phase."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest

from conftest import LIMIT, Background
from everstream import SSEClient
from everstream.actions import Fault, Start
from everstream.config import (
    ConnectionResult,
    ConnectStrategy,
    ErrorStrategy,
    RetryDelayStrategy,
)
from everstream.errors import ClosedError, HTTPStatusError, InterruptedStartError
from everstream.testing import Reply, SSEServer
from sources import Scripted

HOUR = RetryDelayStrategy.from_lambda(lambda _: (3600, None))


class Attempts:
    """The query parameters of an attempt, whose call signals that it has begun."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    def __call__(self) -> None:
        self.begun.set()


Phase = tuple[SSEClient, Callable[[], bool]]


def connecting(unresponsive_url: str, strategy: ErrorStrategy) -> Phase:
    attempts = Attempts()
    connect = ConnectStrategy.http(unresponsive_url, query_params=attempts, connect_timeout=None)
    client = SSEClient(connect, 1, HOUR, error_strategy=strategy)
    return client, lambda: attempts.begun.wait(LIMIT)


def waiting_for_headers(server: SSEServer, strategy: ErrorStrategy) -> Phase:
    server.otherwise(Reply.stream().head_delayed(3600))
    client = SSEClient(server.url(), 1, HOUR, error_strategy=strategy)
    return client, lambda: server.wait_for_requests(1)


def reading(server: SSEServer, strategy: ErrorStrategy) -> Phase:
    server.otherwise(Reply.stream().stall())
    client = SSEClient(server.url(), 1, HOUR, error_strategy=strategy)
    next(client.all)
    return client, lambda: server.wait_for_open_connections(1)


def backing_off(server: SSEServer, strategy: ErrorStrategy) -> Phase:
    server.otherwise(Reply.status(500))
    client = SSEClient(server.url(), 1, HOUR, error_strategy=strategy)
    with contextlib.suppress(HTTPStatusError):  # the delay applies anyway
        next(client.all)
    return client, lambda: server.wait_for_requests(1)


@pytest.fixture(params=["connecting", "headers", "reading", "back-off"])
def phase(
    request: pytest.FixtureRequest, server: SSEServer, unresponsive_url: str
) -> Callable[[ErrorStrategy], Phase]:
    return {
        "connecting": lambda strategy: connecting(unresponsive_url, strategy),
        "headers": lambda strategy: waiting_for_headers(server, strategy),
        "reading": lambda strategy: reading(server, strategy),
        "back-off": lambda strategy: backing_off(server, strategy),
    }[request.param]


def test_close_ends_the_iteration(phase: Callable[[ErrorStrategy], Phase]) -> None:
    client, reached = phase(ErrorStrategy.always_continue())
    iteration = Background(lambda: list(client.all))
    assert reached()
    client.close()
    assert iteration.result() == []
    assert list(client.all) == []


def test_interrupt_yields_a_fault(phase: Callable[[ErrorStrategy], Phase]) -> None:
    client, reached = phase(ErrorStrategy.always_continue())
    iteration = Background(lambda: next(client.all))
    assert reached()
    fault = iteration.result(client.interrupt)
    assert isinstance(fault, Fault)
    assert fault.error is None
    client.close()


def test_interrupt_ends_an_iteration_with_always_fail(
    phase: Callable[[ErrorStrategy], Phase],
) -> None:
    client, reached = phase(ErrorStrategy.always_fail())
    iteration = Background(lambda: list(client.events))
    assert reached()
    # The begin of a delay can't be observed from outside.
    assert iteration.result(client.interrupt) == []
    client.close()


@pytest.mark.parametrize("kind", ["connecting", "headers", "back-off"])
@pytest.mark.parametrize(
    ("stop", "error"),
    [(SSEClient.close, ClosedError), (SSEClient.interrupt, InterruptedStartError)],
)
def test_a_start_can_be_stopped(
    kind: str,
    stop: Callable[[SSEClient], None],
    error: type[Exception],
    server: SSEServer,
    unresponsive_url: str,
) -> None:
    fail = ErrorStrategy.always_fail()
    client, reached = {
        "connecting": lambda: connecting(unresponsive_url, fail),
        "headers": lambda: waiting_for_headers(server, fail),
        "back-off": lambda: backing_off(server, fail),
    }[kind]()
    starting = Background(client.start)
    assert reached()
    with pytest.raises(error):
        starting.result(lambda: stop(client))
    client.close()


def test_a_reader_in_the_main_thread_is_stopped_too(server: SSEServer) -> None:
    server.otherwise(Reply.stream().stall())
    client = SSEClient(server.url())

    def close() -> None:
        assert server.wait_for_requests(1)
        client.close()

    closing = Background(close)
    assert [type(action) for action in client.all] in ([], [Start])
    closing.result()


def test_signal_checks_lose_no_start_and_no_interruption(server: SSEServer) -> None:
    # The main thread wakes regularly to check for signals; the response takes longer than that.
    server.enqueue(Reply.stream().head_delayed(3600), Reply.stream().event("a").stall())
    with SSEClient(server.url(), 0) as client:

        def interrupt() -> None:
            assert server.wait_for_requests(1)
            threading.Event().wait(0.25)
            client.interrupt()

        interrupting = Background(interrupt)
        with pytest.raises(InterruptedStartError):
            client.start()
        interrupting.result()
        client.start()
        assert server.request_count == 2
        assert next(client.events).data == "a"


def test_received_events_are_delivered_before_an_interruption(server: SSEServer) -> None:
    server.otherwise(Reply.stream().send("data: a\n\ndata: b\n\n").stall())
    with SSEClient(server.url()) as client:
        events = client.events
        assert next(events).data == "a"
        client.interrupt()
        assert [event.data for event in events] == ["b"]


def test_many_threads_can_stop_at_once(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a").stall())
    client = SSEClient(server.url(), 0, error_strategy=ErrorStrategy.always_continue())
    seen = Background(lambda: sum(1 for _ in client.events))
    assert server.wait_for_requests(1)

    def stop() -> None:
        for _ in range(50):
            client.interrupt()
        client.close()

    for stopping in [Background(stop) for _ in range(8)]:
        stopping.result()
    assert seen.result() >= 0
    assert server.wait_for_open_connections(0)


@pytest.mark.parametrize("stop", [SSEClient.interrupt, SSEClient.close])
def test_stopping_wakes_a_source_by_its_closer(stop: Callable[[SSEClient], None]) -> None:
    inside, release = threading.Event(), threading.Event()

    def stream() -> Iterator[bytes]:
        inside.set()
        assert release.wait(LIMIT)
        yield b""

    client = SSEClient(Scripted(lambda _: ConnectionResult(stream(), release.set)))
    iteration = Background(lambda: list(client.events))
    assert inside.wait(LIMIT)
    stop(client)
    assert iteration.result() == []
    client.close()
