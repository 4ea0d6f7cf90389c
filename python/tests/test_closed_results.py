"""A ``ConnectionResult`` that the program closes while the client reads it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from async_sources import collect, connect_by, run
from conftest import Background
from everstream import AsyncSSEClient, SSEClient
from everstream.actions import Event
from everstream.config import (
    AsyncConnectionClient,
    AsyncConnectionResult,
    AsyncConnectStrategy,
    ConnectionClient,
    ConnectionResult,
    ConnectStrategy,
)
from everstream.testing import Reply, SSEServer
from httpx_clients import LIBRARIES, new_client, skip_if_missing

# Its chunked framing would prove the end of the body.
CUT = Reply.stream().chunked().send("data: a\n\ndata: cu").stall()


class Keeping(ConnectStrategy, ConnectionClient):
    """Wraps another strategy, and keeps its connection."""

    def __init__(self, inner: ConnectStrategy) -> None:
        self.inner = inner

    def create_client(self, logger: logging.Logger) -> ConnectionClient:
        self.client = self.inner.create_client(logger)
        return self

    def connect(self, last_event_id: str | None) -> ConnectionResult:
        self.result = self.client.connect(last_event_id)
        return self.result

    def close(self) -> None:
        self.client.close()


class AsyncKeeping(AsyncConnectStrategy, AsyncConnectionClient):
    """The same for asyncio."""

    def __init__(self, inner: AsyncConnectStrategy) -> None:
        self.inner = inner

    def create_client(self, logger: logging.Logger) -> AsyncConnectionClient:
        self.client = self.inner.create_client(logger)
        return self

    async def connect(self, last_event_id: str | None) -> AsyncConnectionResult:
        self.result = await self.client.connect(last_event_id)
        return self.result

    async def close(self) -> None:
        await self.client.close()


@pytest.mark.parametrize("by", ["own", "urllib3", *LIBRARIES])
def test_a_cut_event_is_not_delivered_when_another_thread_closes_the_result(
    server: SSEServer, by: str
) -> None:
    skip_if_missing(by)
    server.enqueue(CUT)
    options: dict[str, Any] = {"urllib3_request_options": {}} if by == "urllib3" else {}
    if by in LIBRARIES:
        options["client"] = new_client(by)
    strategy = Keeping(ConnectStrategy.http(server.url(), **options))
    with SSEClient(strategy, dispatch_unfinished=True) as client:
        actions = client.all
        assert any(isinstance(action, Event) for action in actions)
        reading = Background(lambda: list(actions))
        rest = reading.result(nudge=strategy.result.close)
    assert [action for action in rest if isinstance(action, Event)] == []
    assert len(rest) == 1


@pytest.mark.parametrize("by", ["own", "aiohttp", *LIBRARIES])
def test_a_cut_event_is_not_delivered_when_another_task_closes_the_result(
    server: SSEServer, by: str
) -> None:
    skip_if_missing(by)
    server.enqueue(CUT)
    strategy = AsyncKeeping(connect_by(by, server.url()))

    async def main() -> None:
        async with AsyncSSEClient(strategy, dispatch_unfinished=True) as client:
            events = client.events
            assert (await anext(events)).data == "a"
            reading = asyncio.create_task(collect(events))
            await strategy.result.close()
            assert await reading == []

    run(main())
