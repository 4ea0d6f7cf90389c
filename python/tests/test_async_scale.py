"""Many clients in one loop: threads, memory, leaks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import tracemalloc

import pytest

from async_sources import connect_by, in_thread, run, until
from everstream import AsyncSSEClient
from everstream.config.async_connect_strategy import AsyncConnectStrategy
from everstream.testing import Reply, SSEServer
from httpx_clients import LIBRARIES, skip_if_missing

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")


def threads() -> list[str]:
    names = []
    for task in os.listdir("/proc/self/task"):
        # The thread may have ended since it was listed.
        with (
            contextlib.suppress(FileNotFoundError, ProcessLookupError),
            open(f"/proc/self/task/{task}/comm") as comm,
        ):
            names.append(comm.read().strip())
    return names


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_a_thousand_clients_share_few_threads_and_leak_nothing(
    server: SSEServer, kind: str
) -> None:
    if kind == "uvloop":
        pytest.importorskip("uvloop")
    count = 1_000
    server.otherwise(Reply.stream().event("a").event("b").stall())
    strategy = AsyncConnectStrategy.http(server.url())

    async def follow(client: AsyncSSEClient, arrived: asyncio.Semaphore) -> int:
        seen = 0
        async for _ in client.events:
            seen += 1
            arrived.release()
        return seen

    async def main(count: int) -> None:
        arrived = asyncio.Semaphore(0)
        clients = [AsyncSSEClient(strategy) for _ in range(count)]
        following = [asyncio.create_task(follow(client, arrived)) for client in clients]
        for _ in range(2 * count):
            await arrived.acquire()
        assert server.open_connections == count
        assert threads().count("everstream") <= 2
        for client in clients:
            await client.close()
        assert await asyncio.gather(*following) == [2] * count
        assert await in_thread(server.wait_for_open_connections, 0)

    run(main(1), kind)
    gc.collect()
    files, others = open_files(), len(threads())
    run(main(count), kind)
    gc.collect()
    assert open_files() <= files + 3
    # The server's threads end after its connections.
    run(until(lambda: len(threads()) <= others + 2))


def test_a_long_stream_uses_no_more_memory(server: SSEServer) -> None:
    server.otherwise(Reply.stream().send_forever("id: 7\ndata: " + "x" * 200 + "\n\n"))

    async def main() -> None:
        async with AsyncSSEClient(server.url()) as client:
            events = client.events

            async def read(count: int) -> None:
                for _ in range(count):
                    await anext(events)

            await read(5_000)
            gc.collect()
            tracemalloc.start()
            before, size = tracemalloc.get_traced_memory()[0], resident()
            await read(30_000)
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - before
            tracemalloc.stop()
            assert grown < 100_000
            assert resident() - size < 20 << 20

    run(main())


@pytest.mark.parametrize("by", ["own", "aiohttp", *LIBRARIES])
def test_a_server_is_slowed_down_while_the_client_does_not_read(by: str) -> None:
    skip_if_missing(by)
    events, limit = b"data: a\n\n" * 10_000, 64 << 20
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    held_up: list[bool] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        for _ in range(limit // len(events)):
            writer.write(events)
            try:
                await asyncio.wait_for(writer.drain(), 1)
            except asyncio.TimeoutError:
                held_up.append(True)
                break
        else:
            held_up.append(False)
        writer.transport.abort()

    async def main() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with AsyncSSEClient(connect_by(by, f"http://127.0.0.1:{port}/")) as client:
                await client.start()
                await until(lambda: len(held_up) == 1)
                assert held_up == [True]

    run(main())


def test_cancelled_reads_use_no_more_memory(server: SSEServer) -> None:
    server.otherwise(Reply.stream().stall())

    async def main() -> None:
        async with AsyncSSEClient(server.url()) as client:
            await client.start()
            events = client.events

            async def cancel(count: int) -> None:
                for _ in range(count):
                    reading = asyncio.ensure_future(anext(events))
                    await asyncio.sleep(0)
                    reading.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await reading

            await cancel(500)
            gc.collect()
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            await cancel(3_000)
            gc.collect()
            grown = tracemalloc.get_traced_memory()[0] - before
            tracemalloc.stop()
            assert grown < 100_000

    run(main())
