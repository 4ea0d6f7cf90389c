"""Reads a stream over every transport, for tests of options that mean the same over all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from async_sources import Wrapping, run
from everstream import AsyncSSEClient, SSEClient
from everstream.actions import Action, Event
from everstream.config import ConnectStrategy, ErrorStrategy
from everstream.config.async_connect_strategy import AsyncConnectStrategy
from httpx_clients import KINDS, LIBRARIES, new_client, skip_if_missing
from sources import Passing

OF_LIBRARIES = KINDS
#: The transports that don't use a client of the user.
TRANSPORTS = ["own", "wrapped", "urllib3", "async own", "async wrapped", "async aiohttp"]
ALL = [*TRANSPORTS, *OF_LIBRARIES]


def transport_fixture(kinds: list[str]) -> Any:
    """A fixture with these transports as parameters. Skips those whose library isn't installed."""

    @pytest.fixture(params=kinds)
    def by(request: pytest.FixtureRequest) -> str:
        kind: str = request.param
        skip_if_missing(kind)
        return kind

    return by


def transport(by: str) -> dict[str, Any]:
    """The options that select this transport."""
    library = by.removeprefix("async ")
    if library in LIBRARIES:
        return {"client": new_client(library, "AsyncClient" if by != library else "Client")}
    return {
        "urllib3": {"urllib3_request_options": {}},
        "aiohttp": {"aiohttp_request_options": {}},
    }.get(library, {})


def read(
    by: str, url: str, count: int = 1, *, errors: ErrorStrategy | None = None, **options: Any
) -> tuple[list[Action], BaseException | None]:
    """All actions up to this many events, and the error if the iteration ended before."""
    options = {**transport(by), **options}
    actions: list[Action] = []
    found = 0

    async def read_async() -> None:
        nonlocal found
        if by == "async wrapped":
            connect: Any = Wrapping(AsyncConnectStrategy.http(url, **options))
            client = AsyncSSEClient(connect, 0, error_strategy=errors)
        else:
            client = AsyncSSEClient(url, 0, error_strategy=errors, **options)
        async with client:
            async for action in client.all:
                actions.append(action)
                found += isinstance(action, Event)
                if found == count:
                    return

    def read_blocking() -> None:
        nonlocal found
        if by == "wrapped":
            connect = Passing(ConnectStrategy.http(url, **options))
            client = SSEClient(connect, 0, error_strategy=errors)
        else:
            client = SSEClient(url, 0, error_strategy=errors, **options)
        with client:
            for action in client.all:
                actions.append(action)
                found += isinstance(action, Event)
                if found == count:
                    return

    try:
        if by.startswith("async"):
            run(read_async())
        else:
            read_blocking()
    except Exception as error:
        return actions, error
    return actions, None


def data(actions: list[Action]) -> list[str]:
    return [action.data for action in actions if isinstance(action, Event)]


def counting(make: Callable[[int], Any]) -> Callable[[], Any]:
    """A function that returns ``make(1)``, ``make(2)``, ``make(3)`` and so on."""
    calls: list[int] = []

    def function() -> Any:
        calls.append(1)
        return make(len(calls))

    return function
