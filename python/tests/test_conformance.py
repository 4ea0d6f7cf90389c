"""The engine's conformance cases, over real sockets and with both clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from async_sources import connect_by
from everstream import AsyncSSEClient, SSEClient
from everstream.actions import Action, Comment, Event
from everstream.config import ConnectStrategy, ErrorStrategy, RetryDelayStrategy
from everstream.config.async_connect_strategy import AsyncConnectStrategy
from everstream.errors import HTTPStatusError
from everstream.testing import Reply, SSEServer
from httpx_clients import new_client, skip_if_missing
from spec_cases import Case, read, unescape

CASES = read()

Seen = tuple[list[Action], str | None]


def settings(case: Case) -> dict[str, Any]:
    return {
        "retry_delay_strategy": RetryDelayStrategy.from_lambda(lambda _: (0, None)),
        "error_strategy": ErrorStrategy.reconnect(),
        "last_event_id": case.resume,
    }


def through(connect: Callable[[str], str | ConnectStrategy]) -> Callable[[str, Case], Seen]:
    def follow(url: str, case: Case) -> Seen:
        seen: list[Action] = []
        with SSEClient(connect(url), **settings(case)) as client:
            # The 204 is the error at the end.
            with pytest.raises(HTTPStatusError):  # noqa: PT012
                for action in client.all:
                    seen.append(action)
            return seen, client.last_event_id

    return follow


def through_loop(
    connect: Callable[[str], str | AsyncConnectStrategy],
) -> Callable[[str, Case], Seen]:
    async def follow(url: str, case: Case) -> Seen:
        seen: list[Action] = []
        async with AsyncSSEClient(connect(url), **settings(case)) as client:
            with pytest.raises(HTTPStatusError):  # noqa: PT012
                async for action in client.all:
                    seen.append(action)
            return seen, client.last_event_id

    return lambda url, case: asyncio.run(follow(url, case))


FACES: dict[str, Callable[[str, Case], Seen]] = {
    "SSEClient": through(lambda url: url),
    "urllib3": through(lambda url: ConnectStrategy.http(url, urllib3_request_options={})),
    "AsyncSSEClient": through_loop(lambda url: url),
    "aiohttp": through_loop(lambda url: AsyncConnectStrategy.http(url, aiohttp_request_options={})),
    "httpx": through(lambda url: ConnectStrategy.http(url, client=new_client("httpx"))),
    "async httpx2": through_loop(lambda url: connect_by("httpx2", url)),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("face", FACES)
def test_every_case_passes(face: str, case: Case, server: SSEServer) -> None:
    """Each stream of a case is the body of one connection, and the last is followed by a 204."""
    skip_if_missing(face)
    server.enqueue(*(Reply.stream().send(stream).end() for stream in case.streams))
    server.enqueue(Reply.status(204))
    actions, last_event_id = FACES[face](server.url(), case)
    assert [it for it in actions if isinstance(it, (Event, Comment))] == case.actions
    assert last_event_id == case.last_event_id


def test_the_case_file_is_parsed_completely() -> None:
    assert len(CASES) > 200
    assert len({case.name for case in CASES}) == len(CASES)
    assert unescape(r"a\(2*b\x00\(2*c))\u{e9}\\)(") == "ab\0ccb\0cc\u00e9\\)(".encode()
    for wrong in (r"\y", r"\(2*a", r"\xZZ"):
        with pytest.raises(ValueError, match=r"not closed|unknown escape"):
            unescape(wrong)
    for line in ("? a", "> thing", '> event data="a" other="b"', "= a"):
        with pytest.raises(ValueError, match=r"not understood|no string"):
            read(f"case one\n{line}")
