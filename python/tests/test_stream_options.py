"""The options of a stream mean the same over every transport, whether they are passed to the client
or to its strategy.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from async_sources import Wrapping, run
from conftest import LIMIT, SHORT
from everstream import AsyncSSEClient, SSEClient
from everstream.actions import Action, Event
from everstream.config import ConnectionResult, ConnectStrategy, ErrorStrategy
from everstream.config.async_connect_strategy import AsyncConnectStrategy
from everstream.errors import EventTooLargeError, IncompleteStreamError, ReadTimeoutError
from everstream.testing import Reply, SSEServer
from sources import Passing, Scripted
from transports import ALL, data, transport, transport_fixture

by = transport_fixture(ALL)
CONTINUE = ErrorStrategy.always_continue()


@pytest.fixture(params=["client", "strategy"])
def where(request: pytest.FixtureRequest) -> str:
    """Where the options of the stream are set."""
    place: str = request.param
    return place


def stream(by: str, where: str, url: str, count: int = 100, **options: Any) -> tuple[Any, Any]:
    """Like :func:`read`, but the client has a strategy, and one of the two gets the options."""
    request: dict[str, Any] = {
        name: options.pop(name) for name in ("json", "method") if name in options
    }
    errors = options.pop("errors", None)
    if where == "strategy":
        request, options = {**request, **options}, {}
    request = {**transport(by), **request}
    actions: list[Action] = []

    async def read_async() -> None:
        connect: Any = AsyncConnectStrategy.http(url, **request)
        if by == "async wrapped":
            connect = Wrapping(connect)
        async with AsyncSSEClient(connect, 0, error_strategy=errors, **options) as client:
            async for action in client.all:
                actions.append(action)
                if len(data(actions)) == count:
                    return

    def read_blocking() -> None:
        connect: Any = ConnectStrategy.http(url, **request)
        if by == "wrapped":
            connect = Passing(connect)
        with SSEClient(connect, 0, error_strategy=errors, **options) as client:
            for action in client.all:
                actions.append(action)
                if len(data(actions)) == count:
                    return

    try:
        if by.startswith("async"):
            run(read_async())
        else:
            read_blocking()
    except Exception as error:
        return data(actions), error
    return data(actions), None


@pytest.mark.parametrize("last", ["[DONE]", lambda event: event.data == "[DONE]"])
def test_until_ends_the_stream(server: SSEServer, by: str, where: str, last: Any) -> None:
    server.otherwise(Reply.stream().event("a").event("[DONE]").event("b").stall())
    assert stream(by, where, server.url(), until=last, errors=CONTINUE) == (["a"], None)
    assert server.request_count == 1


def test_a_stream_that_ends_before_until_is_incomplete(
    server: SSEServer, by: str, where: str
) -> None:
    server.otherwise(Reply.stream().event("a"))
    events, error = stream(by, where, server.url(), until="[DONE]", json={})
    assert events == ["a"]
    assert isinstance(error, IncompleteStreamError)
    assert server.request_count == 1


def test_an_exception_in_until_is_raised_and_the_event_follows(server: SSEServer, by: str) -> None:
    mistake = LookupError("no")
    calls: list[str] = []

    def is_last(event: Event) -> bool:
        calls.append(event.data)
        if len(calls) == 1:
            raise mistake
        return False

    server.otherwise(Reply.stream().event("a").event("b").stall())

    async def read_async() -> list[str]:
        connect = AsyncConnectStrategy.http(server.url(), **transport(by))
        async with AsyncSSEClient(connect, until=is_last) as client:
            with pytest.raises(LookupError) as raised:
                await anext(client.events)
            assert raised.value is mistake
            events = client.events
            return [(await anext(events)).data, (await anext(events)).data]

    if by.startswith("async"):
        assert run(read_async()) == ["a", "b"]
        return
    with SSEClient(ConnectStrategy.http(server.url(), **transport(by)), until=is_last) as client:
        with pytest.raises(LookupError) as raised:
            next(client.events)
        assert raised.value is mistake
        events = client.events
        assert [next(events).data, next(events).data] == ["a", "b"]


def test_an_event_that_is_too_large_fails_or_is_skipped(
    server: SSEServer, by: str, where: str
) -> None:
    server.otherwise(Reply.stream().event("a").event("x" * 200).event("b"))
    options: dict[str, Any] = {"max_event_size": 100}
    events, error = stream(by, where, server.url(), **options)
    assert events == ["a"]
    assert isinstance(error, EventTooLargeError)
    assert stream(by, where, server.url(), oversize="skip", **options) == (["a", "b"], None)


def test_an_idle_stream_is_a_read_timeout(server: SSEServer, by: str, where: str) -> None:
    server.enqueue(Reply.stream().event("a").stall(), Reply.stream().head_delayed(3600))
    for expected in (["a"], []):
        events, error = stream(by, where, server.url(), read_timeout=SHORT)
        assert events == expected
        assert isinstance(error, ReadTimeoutError)
    assert server.wait_for_open_connections(0)


def test_a_read_timeout_can_be_unlimited(server: SSEServer, by: str, where: str) -> None:
    server.otherwise(Reply.stream().event("a"))
    for endless in (0, None, float("inf")):
        assert stream(by, where, server.url(), read_timeout=endless) == (["a"], None)


def test_a_read_timeout_has_the_same_message_over_every_transport(
    server: SSEServer, by: str
) -> None:
    """The engine enforces it over every transport."""
    server.enqueue(Reply.stream().event("a").stall())
    _, error = stream(by, "client", server.url(), read_timeout=0.9)
    assert re.search(r" for 900 ?ms \(read_timeout\)$", str(error))
    server.enqueue(Reply.stream().head_delayed(3600))
    _, error = stream(by, "client", server.url(), read_timeout=0.9)
    assert str(error) == "no response within 900 ms (read_timeout)"


def test_an_event_resets_the_read_timeout(server: SSEServer, by: str, where: str) -> None:
    reply = Reply.stream()
    for number in range(6):
        reply = reply.event(str(number)).pause(SHORT / 5)
    server.enqueue(reply)
    events, error = stream(by, where, server.url(), read_timeout=SHORT)
    assert (events, error) == (list("012345"), None)


def test_a_post_is_repeated_with_repeat_unsafe(server: SSEServer, by: str, where: str) -> None:
    server.otherwise(Reply.stream().event("a"))
    options: dict[str, Any] = {"json": {}, "repeat_unsafe": True, "errors": CONTINUE}
    assert stream(by, where, server.url(), 2, **options) == (["a", "a"], None)
    assert [request.method for request in server.requests] == ["POST", "POST"]


def test_an_option_that_is_false_changes_nothing(server: SSEServer, by: str, where: str) -> None:
    server.otherwise(Reply.stream().event("a", id="1").send("data: unfinished\n"))
    options: dict[str, Any] = {"json": {}, "errors": CONTINUE}
    off = dict.fromkeys(["repeat_unsafe", "resume_with_get", "dispatch_unfinished"], False)
    assert stream(by, where, server.url(), 2, **options, **off) == (["a"], None)
    assert server.request_count == 1


def test_a_get_in_lower_case_is_repeated(server: SSEServer, by: str, where: str) -> None:
    server.otherwise(Reply.stream().event("a"))
    options: dict[str, Any] = {"method": "get", "errors": CONTINUE}
    assert stream(by, where, server.url(), 2, **options) == (["a", "a"], None)
    assert [request.method for request in server.requests] == ["GET", "GET"]


def test_an_unfinished_event_is_delivered_with_dispatch_unfinished(
    server: SSEServer, by: str, where: str
) -> None:
    server.otherwise(Reply.stream().send("data: a\n"))
    assert stream(by, where, server.url(), dispatch_unfinished=True) == (["a"], None)
    assert stream(by, where, server.url()) == ([], None)


def test_a_read_timeout_closes_a_custom_source_that_blocks() -> None:
    closed = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"data: a\n\n"
        assert closed.wait(LIMIT)

    source = Scripted(lambda _: ConnectionResult(chunks(), closed.set))
    with SSEClient(source, read_timeout=0.9) as client:
        events = client.events
        assert next(events).data == "a"
        with pytest.raises(ReadTimeoutError, match=r" for 900 ?ms \(read_timeout\)$"):
            next(events)
    assert closed.is_set()
