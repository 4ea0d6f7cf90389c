"""ConnectStrategy.http inside a strategy that wraps it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from conftest import SHORT, Background
from everstream import SSEClient
from everstream.actions import Start
from everstream.config import (
    ConnectionClient,
    ConnectionResult,
    ConnectStrategy,
    ErrorStrategy,
)
from everstream.errors import (
    ClosedError,
    EventTooLargeError,
    HTTPStatusError,
    ReadError,
    ReadTimeoutError,
)
from everstream.testing import Gate, Reply, SSEServer
from sources import Scripted

LOGGER = logging.getLogger("mine")


def test_it_connects_and_returns_bytes(server: SSEServer) -> None:
    server.enqueue(Reply.stream().header("X-Server", "mine").event("a").event("b"))
    with ConnectStrategy.http(server.url("/feed")).create_client(LOGGER) as client:
        assert isinstance(client, ConnectionClient)
        with client.connect("7") as result:
            assert isinstance(result, ConnectionResult)
            assert result.headers is not None
            assert result.headers["x-server"] == "mine"
            assert b"".join(result.stream) == b"data: a\n\ndata: b\n\n"
    assert server.requests[0].headers["last-event-id"] == "7"
    assert server.requests[0].target == "/feed"


def test_errors_are_raised(server: SSEServer) -> None:
    server.enqueue(Reply.status(503), Reply.stream().stall())
    with ConnectStrategy.http(server.url(), read_timeout=SHORT).create_client(LOGGER) as client:
        with pytest.raises(HTTPStatusError) as raised:
            client.connect(None)
        assert raised.value.status == 503
        with client.connect(None) as result, pytest.raises(ReadTimeoutError):
            next(result.stream)
    with pytest.raises(ClosedError):
        client.connect(None)


def test_closing_in_another_thread_ends_a_wait(server: SSEServer) -> None:
    server.enqueue(Reply.stream().stall(), Reply.stream().head_delayed(3600))
    client = ConnectStrategy.http(server.url()).create_client(LOGGER)
    result = client.connect(None)
    reading = Background(lambda: list(result.stream))
    result.close()
    assert reading.result() == []
    connecting = Background(lambda: client.connect(None))
    assert server.wait_for_requests(2)
    client.close()
    with pytest.raises(ClosedError):
        connecting.result()
    assert server.wait_for_open_connections(0)


class Counting(ConnectStrategy, ConnectionClient):
    """Wraps another strategy, and counts its bytes."""

    def __init__(self, inner: ConnectStrategy) -> None:
        self.inner = inner
        self.bytes = 0

    def create_client(self, logger: logging.Logger) -> ConnectionClient:
        self.client = self.inner.create_client(logger)
        return self

    def connect(self, last_event_id: str | None) -> ConnectionResult:
        result = self.client.connect(last_event_id)
        return ConnectionResult(self.count(result.stream), result.close, result.headers)

    def count(self, stream: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in stream:
            self.bytes += len(chunk)
            yield chunk

    def close(self) -> None:
        self.client.close()


def test_a_strategy_can_wrap_it(server: SSEServer) -> None:
    server.enqueue(
        Reply.stream().header("X-Server", "mine").event("a", id="7").drop_connection(),
        Reply.status(503),
        Reply.stream().event("b").stall(),
    )
    strategy = Counting(ConnectStrategy.http(server.url()))
    client = SSEClient(strategy, 0, error_strategy=ErrorStrategy.reconnect(statuses=[503]))
    with client:
        actions = client.all
        start = next(actions)
        assert isinstance(start, Start)
        assert start.headers is not None
        assert start.headers["x-server"] == "mine"
        assert [event.data for event in (next(client.events), next(client.events))] == ["a", "b"]
    assert strategy.bytes == len(b"id: 7\ndata: a\n\ndata: b\n\n")
    assert [request.headers.get("last-event-id") for request in server.requests] == [None, "7", "7"]
    assert server.wait_for_open_connections(0)


class Keeping(ConnectStrategy, ConnectionClient):
    """Wraps another strategy, and returns its connection unread."""

    def __init__(self, inner: ConnectStrategy) -> None:
        self.inner = inner
        self.begins = 0

    def create_client(self, logger: logging.Logger) -> ConnectionClient:
        self.client = self.inner.create_client(logger)
        return self

    def connect(self, last_event_id: str | None) -> ConnectionResult:
        self.result = self.client.connect(last_event_id)
        # Chunks that the strategy has read itself.
        self.first = [next(self.result.stream) for _ in range(self.begins)]
        return self.result

    def close(self) -> None:
        self.client.close()


def test_an_unread_stream_is_read_without_python(server: SSEServer) -> None:
    gate = Gate()
    server.enqueue(Reply.stream().event("a").event("b").wait_for(gate).event("c"))
    strategy = Keeping(ConnectStrategy.http(server.url()))
    with SSEClient(strategy) as client:
        events = client.events
        assert next(events).data == "a"
        with pytest.raises(RuntimeError, match="one reader"):
            next(strategy.result.stream)
        gate.open()
        assert [event.data for event in events] == ["b", "c"]
    assert list(strategy.result.stream) == []
    assert server.wait_for_open_connections(0)


def test_a_stream_that_python_has_begun_to_read_is_read_by_python(server: SSEServer) -> None:
    gate = Gate()
    server.enqueue(Reply.stream().event("a").wait_for(gate).event("b"))
    strategy = Keeping(ConnectStrategy.http(server.url()))
    strategy.begins = 1
    with SSEClient(strategy) as client:
        client.start()
        assert strategy.first == [b"data: a\n\n"]
        gate.open()
        assert [event.data for event in client.events] == ["b"]


def test_closing_an_unread_stream_ends_the_wait(server: SSEServer) -> None:
    server.enqueue(Reply.stream().event("a").stall())
    strategy = Keeping(ConnectStrategy.http(server.url()))
    with SSEClient(strategy) as client:
        events = client.events
        assert next(events).data == "a"
        reading = Background(lambda: list(events))
        assert reading.result(nudge=strategy.result.close) == []
        assert server.wait_for_open_connections(0)


def test_an_unread_stream_keeps_its_read_timeout(server: SSEServer) -> None:
    server.enqueue(Reply.stream().event("a").stall())
    strategy = Keeping(ConnectStrategy.http(server.url(), read_timeout=SHORT))
    with SSEClient(strategy) as client:
        events = client.events
        assert next(events).data == "a"
        with pytest.raises(ReadTimeoutError):
            next(events)
    assert server.wait_for_open_connections(0)


def test_an_unread_stream_reports_a_lost_connection(server: SSEServer) -> None:
    server.enqueue(Reply.stream().event("a").drop_connection())
    with SSEClient(Keeping(ConnectStrategy.http(server.url()))) as client:
        events = client.events
        assert next(events).data == "a"
        with pytest.raises(ReadError):
            next(events)


def test_a_wrapped_post_is_not_repeated_by_default(server: SSEServer) -> None:
    class Passing(ConnectStrategy):
        def create_client(self, logger: logging.Logger) -> ConnectionClient:
            post = ConnectStrategy.http(server.url(), method="POST", max_event_size=100)
            return post.create_client(logger)

    server.otherwise(Reply.stream().event("a"))
    with SSEClient(Passing(), 0, error_strategy=ErrorStrategy.always_continue()) as client:
        assert [event.data for event in client.events] == ["a"]
        assert list(client.events) == []
    assert server.request_count == 1


def test_a_wrapped_connection_keeps_the_size_limit(server: SSEServer) -> None:
    class Passing(ConnectStrategy):
        def create_client(self, logger: logging.Logger) -> ConnectionClient:
            return ConnectStrategy.http(server.url(), max_event_size=100).create_client(logger)

    server.enqueue(Reply.stream().event("x" * 200).stall())
    with SSEClient(Passing()) as client, pytest.raises(EventTooLargeError):
        next(client.events)


def test_status_and_url_are_known(server: SSEServer) -> None:
    server.enqueue(Reply.status(302).header("Location", "/there"), Reply.stream().stall())
    client = ConnectStrategy.http(server.url("/here")).create_client(LOGGER)
    with client, client.connect(None) as result:
        assert (result.status, result.url) == (200, server.url("/there"))


def test_a_wrapped_connection_can_be_stopped_during_a_wait(server: SSEServer) -> None:
    server.otherwise(Reply.stream().head_delayed(3600))
    client = SSEClient(Counting(ConnectStrategy.http(server.url())))
    reading = Background(lambda: list(client.all))
    assert server.wait_for_requests(1)
    client.close()
    assert reading.result() == []


def test_an_exception_in_query_params_is_raised(server: SSEServer) -> None:
    mistake = LookupError("no token")

    def query_params() -> None:
        raise mistake

    http = ConnectStrategy.http(server.url(), query_params=query_params).create_client(LOGGER)
    with SSEClient(Scripted(http.connect)) as client, pytest.raises(LookupError) as raised:
        client.start()
    assert raised.value is mistake
