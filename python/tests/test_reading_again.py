"""A second loop over a client: after an error of a POST it raises the error again."""

from __future__ import annotations

import asyncio
import gc
import logging
import pickle
import sys
import weakref
from typing import Any

import pytest

from async_sources import Wrapping, collect, run
from everstream import AsyncSSEClient, SSEClient, errors
from everstream.config import ConnectionClient, ConnectionResult, ConnectStrategy, ErrorStrategy
from everstream.config.async_connect_strategy import AsyncConnectStrategy
from everstream.errors import HTTPStatusError, IncompleteStreamError, ReadError
from everstream.testing import Reply, SSEServer
from sources import Passing
from transports import ALL, transport, transport_fixture

by = transport_fixture(ALL)

FAILURES: dict[str, tuple[Reply, type[Exception]]] = {
    "429": (Reply.status(429), HTTPStatusError),
    "dropped": (Reply.stream().event("a").reset(), ReadError),
    "cut": (Reply.stream().event("a").end(), IncompleteStreamError),
}


def client_over(by: str, url: str, **options: Any) -> Any:
    options = {**transport(by), **options}
    strategy, until = options.pop("error_strategy", None), options.pop("until", None)
    made: Any
    if by.startswith("async"):
        made = AsyncConnectStrategy.http(url, **options)
        made = Wrapping(made) if by == "async wrapped" else made
        return AsyncSSEClient(made, 0, error_strategy=strategy, until=until)
    made = ConnectStrategy.http(url, **options)
    made = Passing(made) if by == "wrapped" else made
    return SSEClient(made, 0, error_strategy=strategy, until=until)


def outcomes(client: Any, loops: list[str]) -> list[Any]:
    """The data that each loop delivered, or its error. ``start`` calls ``start()`` instead."""

    async def read_async() -> list[Any]:
        found: list[Any] = []
        async with client:
            for loop in loops:
                try:
                    if loop == "start":
                        await client.start()
                    else:
                        actions = await collect(getattr(client, loop))
                        found.append([it.data for it in actions if hasattr(it, "data")])
                except Exception as error:
                    found.append(error)
        return found

    if isinstance(client, AsyncSSEClient):
        return run(read_async())
    found: list[Any] = []
    with client:
        for loop in loops:
            try:
                if loop == "start":
                    client.start()
                else:
                    actions = list(getattr(client, loop))
                    found.append([it.data for it in actions if hasattr(it, "data")])
            except Exception as error:
                found.append(error)
    return found


@pytest.mark.parametrize("continues", [False, True], ids=["fail", "continue"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_new_loop_after_a_failed_post_raises_the_error_again(
    by: str, failure: str, continues: bool, server: SSEServer
) -> None:
    reply, kind = FAILURES[failure]
    server.enqueue(reply)
    strategy = ErrorStrategy.always_continue() if continues else None
    client = client_over(by, server.url(), method="POST", until="[DONE]", error_strategy=strategy)
    first, *again = outcomes(client, ["events", "events", "all", "events"])
    assert isinstance(first, kind)
    assert [error is first for error in again] == [True] * 3
    assert str(first).endswith("; only start() sends the request again")
    assert str(first).count("only start()") == 1
    assert len(server.requests) == 1


def test_a_new_loop_after_a_failed_start_of_a_post_raises(by: str, server: SSEServer) -> None:
    server.enqueue(Reply.status(429))
    first, again = outcomes(client_over(by, server.url(), method="POST"), ["start", "events"])
    assert isinstance(first, HTTPStatusError)
    assert again is first


def test_start_sends_a_failed_post_again_and_a_complete_answer_ends(
    by: str, server: SSEServer
) -> None:
    server.enqueue(Reply.status(429), Reply.stream().event("a").event("[DONE]").stall())
    client = client_over(by, server.url(), method="POST", until="[DONE]")
    found = outcomes(client, ["events", "events", "start", "events", "events", "all"])
    assert [type(it) for it in found[:2]] == [HTTPStatusError, HTTPStatusError]
    assert found[2:] == [["a"], [], []]
    assert len(server.requests) == 2


def test_a_new_loop_after_a_clean_end_of_a_post_is_empty(by: str, server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a").end())
    assert outcomes(client_over(by, server.url(), method="POST"), ["events", "events"]) == [
        ["a"],
        [],
    ]


def test_a_new_loop_after_a_failed_get_sends_it_again(by: str, server: SSEServer) -> None:
    server.enqueue(Reply.status(429), Reply.stream().event("a").end(), Reply.status(404))
    first, second, third = outcomes(client_over(by, server.url()), ["events"] * 3)
    assert (first.status, second, third.status) == (429, ["a"], 404)
    assert "only start()" not in str(first) + str(third)


def test_a_closed_client_does_not_raise_the_error_again(server: SSEServer) -> None:
    server.enqueue(Reply.status(429))
    client = SSEClient(server.url(), method="POST")
    with pytest.raises(HTTPStatusError):
        next(client.events)
    client.close()
    assert list(client) == []


class Own(Exception):
    pass


class Busy(ConnectStrategy, ConnectionClient):
    """A source whose request isn't repeatable, and fails."""

    def create_client(self, logger: logging.Logger) -> ConnectionClient:
        return self

    @property
    def is_repeatable(self) -> bool:
        return False

    def connect(self, last_event_id: str | None) -> ConnectionResult:
        raise Own("busy")


def test_an_error_of_a_custom_source_gets_one_note() -> None:
    first, *again = outcomes(SSEClient(Busy()), ["events"] * 3)
    assert isinstance(first, Own)
    assert [error is first for error in again] == [True, True]
    if sys.version_info >= (3, 11):
        assert first.__notes__ == [errors.ONLY_START]


def test_an_error_that_was_raised_again_can_be_pickled(server: SSEServer) -> None:
    server.enqueue(Reply.status(429))
    *_, error = outcomes(SSEClient(server.url(), method="POST"), ["events"] * 2)
    assert pickle.loads(pickle.dumps(error)).status == 429


@pytest.mark.parametrize("is_async", [False, True])
def test_a_client_with_a_raised_error_is_collected(is_async: bool, server: SSEServer) -> None:
    """The error refers to the client through its traceback."""
    server.enqueue(Reply.status(429))

    def read() -> weakref.ref[Any]:
        client = SSEClient(server.url(), method="POST")
        events = client.events
        with pytest.raises(HTTPStatusError):
            next(events)
        return weakref.ref(client)

    async def read_async() -> weakref.ref[Any]:
        client = AsyncSSEClient(server.url(), method="POST")
        events = client.events
        with pytest.raises(HTTPStatusError):
            await anext(events)
        return weakref.ref(client)

    left = asyncio.run(read_async()) if is_async else read()
    gc.collect()
    assert left() is None
