"""Shared by the tests of the asyncio client."""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from conftest import LIMIT
from everstream import AsyncSSEClient
from everstream.config.async_connect_strategy import (
    AsyncConnectionClient,
    AsyncConnectionResult,
    AsyncConnectStrategy,
)
from httpx_clients import LIBRARIES, new_async_client

T = TypeVar("T")
Connect = Callable[[str | None], Awaitable[AsyncConnectionResult]]


def new_loop(kind: str) -> asyncio.AbstractEventLoop:
    if kind == "uvloop":
        loop: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
        return loop
    return asyncio.new_event_loop()


def run(coroutine: Coroutine[Any, Any, T], kind: str = "asyncio") -> T:
    """Runs it in a new loop, which must have no tasks and no reported errors afterwards."""
    loop_errors: list[dict[str, Any]] = []

    async def limited() -> T:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: loop_errors.append(context))
        result = await asyncio.wait_for(coroutine, 3 * LIMIT)
        await until(lambda: len(asyncio.all_tasks()) == 1)
        return result

    loop = new_loop(kind)
    try:
        result = loop.run_until_complete(limited())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
    assert loop_errors == []
    return result


async def until(condition: Callable[[], bool]) -> None:
    """Lets other tasks run until the condition is met."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        await asyncio.sleep(0.001)


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Runs a function in a thread, while the loop keeps running."""
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


async def collect(iterator: AsyncIterator[T]) -> list[T]:
    return [item async for item in iterator]


class AsyncScripted(AsyncConnectStrategy):
    """Connects by calling a coroutine function, and records the calls."""

    def __init__(self, connect: Connect) -> None:
        self.connect = connect
        self.connected_with: list[str | None] = []
        self.loggers: list[logging.Logger] = []
        self.clients_closed = 0

    def create_client(self, logger: logging.Logger) -> AsyncConnectionClient:
        self.loggers.append(logger)
        return AsyncScriptedClient(self)


class AsyncScriptedClient(AsyncConnectionClient):
    def __init__(self, strategy: AsyncScripted) -> None:
        self.strategy = strategy

    async def connect(self, last_event_id: str | None) -> AsyncConnectionResult:
        self.strategy.connected_with.append(last_event_id)
        return await self.strategy.connect(last_event_id)

    async def close(self) -> None:
        self.strategy.clients_closed += 1


async def chunks_of(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def async_canned(
    *connections: Iterable[bytes], headers: Mapping[str, str] | None = None
) -> AsyncScripted:
    """Connects to these streams in order, then refuses connections."""
    streams = iter(connections)

    async def connect(last_event_id: str | None) -> AsyncConnectionResult:
        for stream in streams:
            return AsyncConnectionResult(chunks_of(stream), None, headers)
        raise ConnectionRefusedError("no more streams")

    return AsyncScripted(connect)


def connect_by(kind: str, url: str, **options: Any) -> AsyncConnectStrategy:
    """A strategy over our own HTTP, that strategy wrapped, or one over another library."""
    if kind == "aiohttp":
        options.setdefault("aiohttp_request_options", {})
    if kind in LIBRARIES:
        options.setdefault("client", new_async_client(kind))
    strategy = AsyncConnectStrategy.http(url, **options)
    return Wrapping(strategy) if kind == "wrapped" else strategy


class Wrapping(AsyncConnectStrategy):
    """Wraps another strategy, using only its public methods."""

    def __init__(self, inner: AsyncConnectStrategy) -> None:
        self.inner = inner

    def create_client(self, logger: logging.Logger) -> AsyncConnectionClient:
        return self.inner.create_client(logger)


__all__ = ["AsyncSSEClient", "AsyncScripted", "async_canned", "collect", "connect_by", "run"]
