"""Unsafe requests: sent once by default, repeated or resumed with GET on request."""

from __future__ import annotations

import copy
import logging
import pickle
from typing import Any

import pytest

from async_sources import collect, run
from everstream import AsyncSSEClient, SSEClient, errors
from everstream.actions import Action, Event, Fault
from everstream.config import ConnectionClient, ConnectionResult, ConnectStrategy, ErrorStrategy
from everstream.config.async_connect_strategy import (
    AsyncConnectionClient,
    AsyncConnectionResult,
    AsyncConnectStrategy,
)
from everstream.testing import Reply, SSEServer
from httpx_clients import new_async_client, new_client, skip_if_missing

HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "X-Team": "a",
}


class Wrapping(ConnectStrategy):
    """Wraps our own HTTP, like a custom strategy."""

    def __init__(self, inner: ConnectStrategy) -> None:
        self._inner = inner

    def create_client(self, logger: logging.Logger) -> ConnectionClient:
        return self._inner.create_client(logger)


class AsyncWrapping(AsyncConnectStrategy):
    def __init__(self, inner: AsyncConnectStrategy) -> None:
        self._inner = inner

    def create_client(self, logger: logging.Logger) -> AsyncConnectionClient:
        return self._inner.create_client(logger)


def strategy(by: str, url: str) -> Any:
    skip_if_missing(by)
    call: dict[str, Any] = {"method": "POST", "body": "{}", "headers": HEADERS}
    if by == "own":
        return ConnectStrategy.http(url, **call)
    if by == "wrapped":
        return Wrapping(ConnectStrategy.http(url, **call))
    if by == "urllib3":
        return ConnectStrategy.http(url, urllib3_request_options={}, **call)
    if by == "async":
        return AsyncConnectStrategy.http(url, **call)
    if by == "async wrapped":
        return AsyncWrapping(AsyncConnectStrategy.http(url, **call))
    if by == "httpx":
        return ConnectStrategy.http(url, client=new_client(by), **call)
    if by == "async httpx2":
        return AsyncConnectStrategy.http(url, client=new_async_client("httpx2"), **call)
    assert by == "aiohttp"
    return AsyncConnectStrategy.http(url, aiohttp_request_options={}, **call)


TRANSPORTS = [
    "own",
    "wrapped",
    "urllib3",
    "httpx",
    "async",
    "async wrapped",
    "aiohttp",
    "async httpx2",
]


def actions(connect: Any, **options: Any) -> tuple[list[Action], Exception | None]:
    """All events, and the error that ended the iteration."""
    options.setdefault("error_strategy", ErrorStrategy.always_continue())
    seen: list[Action] = []
    if isinstance(connect, ConnectStrategy):
        with SSEClient(connect, 0, **options) as client:
            try:
                seen.extend(client.all)
            except Exception as error:
                return seen, error
            assert list(client.all) == []
        return seen, None

    async def main() -> Exception | None:
        async with AsyncSSEClient(connect, 0, **options) as client:
            try:
                async for action in client.all:
                    seen.append(action)
            except Exception as error:
                return error
            assert await collect(client.all) == []
        return None

    return seen, run(main())


def data(seen: list[Action]) -> list[str]:
    return [action.data for action in seen if isinstance(action, Event)]


def methods(server: SSEServer) -> list[str]:
    return [request.method for request in server.requests]


@pytest.mark.parametrize("by", TRANSPORTS)
def test_a_complete_response_with_an_id_is_one_request(by: str, server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a", id="1").end())
    seen, error = actions(strategy(by, server.url()))
    assert (data(seen), error) == (["a"], None)
    (fault,) = (action for action in seen if isinstance(action, Fault))
    assert fault.not_repeated
    assert fault.error is None
    assert repr(fault) == "Fault(None, not_repeated=True)"
    assert methods(server) == ["POST"]


@pytest.mark.parametrize("by", TRANSPORTS)
def test_an_error_names_the_options_that_repeat_the_request(by: str, server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a", id="1").drop_connection())
    seen, error = actions(strategy(by, server.url()))
    assert data(seen) == ["a"]
    assert isinstance(error, errors.ReadError)
    assert error.not_repeated
    assert "(repeat_unsafe and resume_with_get change that)" in str(error)
    assert methods(server) == ["POST"]
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (twin.not_repeated, str(twin)) == (True, str(error))


@pytest.mark.parametrize("by", TRANSPORTS)
def test_the_log_warns_once(by: str, server: SSEServer, caplog: pytest.LogCaptureFixture) -> None:
    server.enqueue(Reply.stream().event("a").end(), Reply.stream().event("b").drop_connection())
    caplog.set_level(logging.INFO)
    for reason in ("the stream ended; ", "the server closed the connection mid-response; "):
        caplog.clear()
        actions(strategy(by, server.url()), logger=logging.getLogger("mine"))
        logged = [(it.levelname, it.getMessage()) for it in caplog.records if it.name == "mine"]
        warnings = [text for level, text in logged if level == "WARNING"]
        assert len(warnings) == 1
        assert reason in warnings[0]
        assert warnings[0].endswith(errors.NOT_REPEATED)
        assert not any("reconnecting" in text for _, text in logged)


def test_the_error_for_a_response_names_the_options_too(server: SSEServer) -> None:
    server.otherwise(Reply.status(503))
    _, error = actions(strategy("own", server.url()))
    assert isinstance(error, errors.HTTPStatusError)
    assert error.not_repeated
    assert "resume_with_get" in str(error)
    twin = pickle.loads(pickle.dumps(error))
    assert (twin.status, twin.not_repeated, str(twin)) == (503, True, str(error))


@pytest.mark.parametrize("by", ["own", "async"])
def test_if_the_strategy_fails_the_error_does_not_mention_repeating(
    by: str, server: SSEServer
) -> None:
    server.enqueue(Reply.stream().event("a").end(), Reply.stream().event("a").drop_connection())
    fail = ErrorStrategy.always_fail()
    seen, error = actions(strategy(by, server.url()), error_strategy=fail)
    assert error is None
    assert isinstance(seen[-1], Fault)
    assert not seen[-1].not_repeated
    _, error = actions(strategy(by, server.url()), error_strategy=fail)
    assert isinstance(error, errors.ReadError)
    assert not error.not_repeated
    assert "repeat" not in str(error)


@pytest.mark.parametrize("by", TRANSPORTS)
def test_repeat_unsafe_repeats_the_request(by: str, server: SSEServer) -> None:
    server.enqueue(Reply.stream().event("a").end(), Reply.stream().event("b").drop_connection())
    server.otherwise(Reply.status(204))
    reconnect = ErrorStrategy.reconnect()
    seen, error = actions(strategy(by, server.url()), repeat_unsafe=True, error_strategy=reconnect)
    assert data(seen) == ["a", "b"]
    assert isinstance(error, errors.HTTPStatusError)
    assert not error.not_repeated
    assert [(it.method, it.body) for it in server.requests] == [("POST", b"{}")] * 3


@pytest.mark.parametrize("by", TRANSPORTS)
def test_a_stream_is_resumed_with_get(by: str, server: SSEServer) -> None:
    server.enqueue(
        Reply.stream().event("a", id="1").drop_connection(),
        Reply.status(307).header("Location", "/next"),
        Reply.stream().retry(1).event("b", id="2").end(),
    )
    server.otherwise(Reply.status(405))
    seen, error = actions(strategy(by, server.url()), resume_with_get=True)
    assert data(seen) == ["a", "b"]
    # Final, although the strategy would always continue.
    assert isinstance(error, errors.HTTPStatusError)
    assert (error.status, error.not_repeated) == (405, False)
    assert methods(server) == ["POST", "GET", "GET", "GET"]
    for request, last_event_id in zip(server.requests[1:], ["1", "1", "2"], strict=True):
        assert request.body == b""
        assert request.headers["last-event-id"] == last_event_id
        assert request.headers["accept"] == "text/event-stream"
        assert request.headers["x-team"] == "a"
        for name in ("content-type", "content-length", "transfer-encoding"):
            assert name not in request.headers


@pytest.mark.parametrize("by", TRANSPORTS)
def test_without_an_id_nothing_is_resumed(by: str, server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a").end())
    connect = strategy(by, server.url())
    seen, error = actions(connect, resume_with_get=True, last_event_id="41")
    assert (data(seen), error) == (["a"], None)
    assert isinstance(seen[-1], Fault)
    assert seen[-1].not_repeated
    assert methods(server) == ["POST"]


class Feed(ConnectStrategy, ConnectionClient):
    is_repeatable = False

    def __init__(self, can_resume: bool | None) -> None:
        self.calls: list[tuple[str, str | None]] = []
        if can_resume is not None:
            self.__dict__["can_resume"] = can_resume

    @property
    def can_resume_with_get(self) -> bool:
        if "can_resume" not in self.__dict__:
            return super().can_resume_with_get
        return bool(self.__dict__["can_resume"])

    def create_client(self, logger: logging.Logger) -> ConnectionClient:
        return self

    def connect(self, last_event_id: str | None) -> ConnectionResult:
        self.calls.append(("connect", last_event_id))
        return ConnectionResult(iter([b"id: 1\ndata: a\n\n"]), None)

    def resume_with_get(self, last_event_id: str | None) -> ConnectionResult:
        self.calls.append(("resume", last_event_id))
        raise errors.HTTPStatusError(404)


class AsyncFeed(AsyncConnectStrategy, AsyncConnectionClient):
    is_repeatable = False

    def __init__(self, can_resume: bool | None) -> None:
        self.calls: list[tuple[str, str | None]] = []
        if can_resume is not None:
            self.__dict__["can_resume"] = can_resume

    @property
    def can_resume_with_get(self) -> bool:
        if "can_resume" not in self.__dict__:
            return super().can_resume_with_get
        return bool(self.__dict__["can_resume"])

    def create_client(self, logger: logging.Logger) -> AsyncConnectionClient:
        return self

    async def connect(self, last_event_id: str | None) -> AsyncConnectionResult:
        self.calls.append(("connect", last_event_id))

        async def chunks() -> Any:
            yield b"id: 1\ndata: a\n\n"

        return AsyncConnectionResult(chunks(), None)

    async def resume_with_get(self, last_event_id: str | None) -> AsyncConnectionResult:
        self.calls.append(("resume", last_event_id))
        raise errors.HTTPStatusError(404)


@pytest.mark.parametrize("kind", [Feed, AsyncFeed])
def test_a_custom_source_that_can_resume_is_resumed(kind: Any) -> None:
    feed = kind(True)
    seen, error = actions(feed, resume_with_get=True)
    assert data(seen) == ["a"]
    assert isinstance(error, errors.HTTPStatusError)
    assert feed.calls == [("connect", None), ("resume", "1")]

    for cannot in (False, None):
        feed = kind(cannot)
        seen, error = actions(feed, resume_with_get=True)
        assert error is None
        assert isinstance(seen[-1], Fault)
        assert seen[-1].not_repeated
        assert feed.calls == [("connect", None)]


@pytest.mark.parametrize("base", [ConnectionClient, AsyncConnectionClient])
def test_a_client_without_the_property_cannot_resume(base: Any) -> None:
    class Mine(base):  # type: ignore[misc]
        pass

    assert not Mine().can_resume_with_get

    def resume() -> None:
        result = Mine().resume_with_get("1")
        if base is AsyncConnectionClient:
            result.send(None)

    with pytest.raises(NotImplementedError, match="Mine doesn't define resume_with_get"):
        resume()


def test_an_exception_of_another_package_gets_a_note() -> None:
    class Broken(Feed):
        def connect(self, last_event_id: str | None) -> ConnectionResult:
            raise OSError("the cable")

    _, error = actions(Broken(False))
    assert isinstance(error, OSError)
    assert str(error) == "the cable"
    assert error.not_repeated  # type: ignore[attr-defined]
    if hasattr(error, "add_note"):
        assert error.__notes__ == [errors.NOT_REPEATED]
