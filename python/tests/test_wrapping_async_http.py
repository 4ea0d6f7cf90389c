"""AsyncConnectStrategy.http used directly by Python code.

In a client it passes the tests of ``test_async_http.py`` and ``test_async_client.py``.
"""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from async_sources import collect, in_thread, run
from conftest import SHORT
from everstream import AsyncSSEClient
from everstream.config.async_connect_strategy import (
    AsyncConnectionClient,
    AsyncConnectionResult,
    AsyncConnectStrategy,
)
from everstream.errors import ClosedError, HTTPStatusError, ReadError, ReadTimeoutError
from everstream.testing import Gate, Reply, SSEServer

LOGGER = logging.getLogger("mine")


def test_it_connects_and_returns_bytes(server: SSEServer) -> None:
    server.enqueue(
        Reply.status(302).header("Location", "/there"),
        Reply.stream().header("X-Server", "mine").event("a").event("b"),
    )

    async def main() -> None:
        strategy = AsyncConnectStrategy.http(server.url("/here"))
        async with strategy.create_client(LOGGER) as client:
            assert isinstance(client, AsyncConnectionClient)
            assert client.is_repeatable
            async with await client.connect("7") as result:
                assert isinstance(result, AsyncConnectionResult)
                assert result.headers is not None
                assert result.headers["x-server"] == "mine"
                assert b"".join(await collect(result.stream)) == b"data: a\n\ndata: b\n\n"
                assert await collect(result.stream) == []

    run(main())
    assert [request.target for request in server.requests] == ["/here", "/there"]
    assert server.requests[1].headers["last-event-id"] == "7"


def test_errors_are_raised(server: SSEServer) -> None:
    server.enqueue(Reply.status(503), Reply.stream().stall())

    async def main() -> None:
        strategy = AsyncConnectStrategy.http(server.url(), read_timeout=SHORT)
        async with strategy.create_client(LOGGER) as client:
            with pytest.raises(HTTPStatusError) as raised:
                await client.connect(None)
            assert raised.value.status == 503
            async with await client.connect(None) as result:
                with pytest.raises(ReadTimeoutError):
                    await anext(result.stream)
        with pytest.raises(ClosedError):
            await client.connect(None)

    run(main())
    assert server.wait_for_open_connections(0)


def test_a_post_is_not_repeatable(server: SSEServer) -> None:
    strategy = AsyncConnectStrategy.http(server.url(), method="POST")
    assert not strategy.create_client(LOGGER).is_repeatable


def test_closing_ends_a_wait(server: SSEServer) -> None:
    server.enqueue(Reply.stream().stall(), Reply.stream().head_delayed(3600))

    async def main() -> None:
        client = AsyncConnectStrategy.http(server.url()).create_client(LOGGER)
        result = await client.connect(None)
        reading = asyncio.create_task(collect(result.stream))
        await asyncio.sleep(0)
        await result.close()
        assert await reading == []
        connecting = asyncio.create_task(client.connect(None))
        assert await in_thread(server.wait_for_requests, 2)
        await client.close()
        with pytest.raises(ClosedError):
            await connecting

    run(main())
    assert server.wait_for_open_connections(0)


def test_closing_in_another_thread_ends_a_wait(server: SSEServer) -> None:
    server.enqueue(Reply.stream().stall())

    async def main() -> None:
        client = AsyncConnectStrategy.http(server.url()).create_client(LOGGER)
        result = await client.connect(None)
        reading = asyncio.create_task(collect(result.stream))
        await asyncio.sleep(0)
        closing = threading.Thread(target=lambda: asyncio.run(result.close()))
        closing.start()
        assert await reading == []
        await in_thread(closing.join)

    run(main())
    assert server.wait_for_open_connections(0)


def test_a_cancelled_connect_is_aborted(server: SSEServer) -> None:
    server.enqueue(Reply.stream().head_delayed(3600))

    async def main() -> None:
        client = AsyncConnectStrategy.http(server.url()).create_client(LOGGER)
        connecting = asyncio.create_task(client.connect(None))
        assert await in_thread(server.wait_for_requests, 1)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert await in_thread(server.wait_for_open_connections, 0)

    run(main())


def test_a_cancelled_read_loses_nothing_and_only_one_reader_is_allowed(server: SSEServer) -> None:
    proceed = Gate()
    server.enqueue(Reply.stream().event("a").wait_for(proceed).event("b"))

    async def main() -> None:
        client = AsyncConnectStrategy.http(server.url()).create_client(LOGGER)
        async with await client.connect(None) as result:
            assert await anext(result.stream) == b"data: a\n\n"
            reading = asyncio.ensure_future(anext(result.stream))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="one reader"):
                await anext(result.stream)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            proceed.open()
            assert b"".join(await collect(result.stream)) == b"data: b\n\n"

    run(main())


def test_query_params_is_called_in_the_thread_of_the_loop(server: SSEServer) -> None:
    server.enqueue(Reply.stream().stall(), Reply.stream().stall())
    threads: list[int] = []
    mistake = LookupError("no token")

    def query_params() -> dict[str, str]:
        threads.append(threading.get_ident())
        if len(threads) > 1:
            raise mistake
        return {"token": "1"}

    async def main() -> None:
        strategy = AsyncConnectStrategy.http(server.url(), query_params=query_params)
        client = strategy.create_client(LOGGER)
        async with await client.connect(None):
            pass
        with pytest.raises(LookupError) as raised:
            await client.connect(None)
        assert raised.value is mistake

    run(main())
    assert server.requests[0].target == "/?token=1"
    assert threads == [threading.get_ident()] * 2


class Keeping(AsyncConnectStrategy, AsyncConnectionClient):
    """Wraps another strategy, and returns its connection unread."""

    def __init__(self, inner: AsyncConnectStrategy) -> None:
        self.inner = inner
        self.begins = 0
        self.closed = 0

    def create_client(self, logger: logging.Logger) -> AsyncConnectionClient:
        self.client = self.inner.create_client(logger)
        return self

    async def connect(self, last_event_id: str | None) -> AsyncConnectionResult:
        self.result = await self.client.connect(last_event_id)
        # Chunks that the strategy has read itself.
        self.first = [await anext(self.result.stream) for _ in range(self.begins)]

        async def close() -> None:
            self.closed += 1
            await self.result.close()

        return AsyncConnectionResult(self.result.stream, close, self.result.headers)

    async def close(self) -> None:
        await self.client.close()


def test_an_unread_stream_is_read_without_python(server: SSEServer) -> None:
    gate = Gate()
    server.enqueue(Reply.stream().event("a").event("b").wait_for(gate).event("c"))
    strategy = Keeping(AsyncConnectStrategy.http(server.url()))

    async def main() -> None:
        async with AsyncSSEClient(strategy) as client:
            events = client.events
            assert (await anext(events)).data == "a"
            with pytest.raises(RuntimeError, match="one reader"):
                await anext(strategy.result.stream)
            gate.open()
            assert [event.data for event in await collect(events)] == ["b", "c"]
            assert strategy.closed == 1

    run(main())
    assert server.wait_for_open_connections(0)


def test_a_stream_that_python_has_begun_to_read_is_read_by_python(server: SSEServer) -> None:
    gate = Gate()
    server.enqueue(Reply.stream().event("a").wait_for(gate).event("b"))
    strategy = Keeping(AsyncConnectStrategy.http(server.url()))
    strategy.begins = 1

    async def main() -> None:
        async with AsyncSSEClient(strategy) as client:
            await client.start()
            assert strategy.first == [b"data: a\n\n"]
            gate.open()
            assert [event.data for event in await collect(client.events)] == ["b"]

    run(main())


def test_an_unread_stream_is_closed_when_it_fails(server: SSEServer) -> None:
    server.enqueue(Reply.stream().event("a").drop_connection(), Reply.stream().event("a").stall())
    strategy = Keeping(AsyncConnectStrategy.http(server.url(), read_timeout=SHORT))

    async def main() -> None:
        async with AsyncSSEClient(strategy) as client:
            for number, kind in enumerate([ReadError, ReadTimeoutError], 1):
                events = client.events
                assert (await anext(events)).data == "a"
                with pytest.raises(kind):
                    await anext(events)
                assert strategy.closed == number

    run(main())
    assert server.wait_for_open_connections(0)


def test_closing_an_unread_stream_ends_the_wait(server: SSEServer) -> None:
    server.enqueue(Reply.stream().event("a").stall())
    strategy = Keeping(AsyncConnectStrategy.http(server.url()))

    async def main() -> None:
        async with AsyncSSEClient(strategy) as client:
            events = client.events
            assert (await anext(events)).data == "a"
            reading = asyncio.create_task(collect(events))
            await asyncio.sleep(0)
            await strategy.result.close()
            assert await reading == []

    run(main())
    assert server.wait_for_open_connections(0)
