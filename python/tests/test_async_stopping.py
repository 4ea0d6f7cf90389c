"""Cancellation, close() and interrupt() in asyncio: in every phase, from tasks and threads."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from async_sources import AsyncScripted, collect, connect_by, in_thread, run, until
from conftest import ANSWER, AUTHORITY, LIMIT, SIGNED
from everstream import AsyncSSEClient
from everstream.actions import Event, Fault, Start
from everstream.config import ErrorStrategy, RetryDelayStrategy
from everstream.config.async_connect_strategy import AsyncConnectionResult, AsyncConnectStrategy
from everstream.errors import ClosedError, HTTPStatusError, InterruptedStartError, ReadError
from everstream.testing import Reply, SSEServer
from httpx_clients import LIBRARIES, new_async_client, skip_if_missing

HOUR = RetryDelayStrategy.from_lambda(lambda _: (3600, None))


class Phase:
    """A client that is about to wait for something that never happens."""

    def __init__(self, kind: str, by: str, server: SSEServer, unresponsive_url: str) -> None:
        self._kind = kind
        self._server = server
        self._attempts = 0
        url = unresponsive_url if kind == "connecting" else server.url()
        self._connect: AsyncConnectStrategy = connect_by(
            by, url, query_params=self._begun, connect_timeout=None
        )

    def _begun(self) -> None:
        self._attempts += 1

    async def client(self, strategy: ErrorStrategy) -> AsyncSSEClient:
        client = AsyncSSEClient(self._connect, 1, HOUR, error_strategy=strategy)
        if self._kind == "headers":
            self._server.otherwise(Reply.stream().head_delayed(3600))
        elif self._kind == "reading":
            self._server.otherwise(Reply.stream().stall())
            await anext(client.all)
        elif self._kind == "back-off":
            self._server.otherwise(Reply.status(500))
            with contextlib.suppress(HTTPStatusError):  # the delay applies anyway
                await anext(client.all)
        return client

    async def reached(self) -> None:
        if self._kind == "headers":
            assert await in_thread(self._server.wait_for_requests, 1)
        await until(lambda: self._attempts == 1)
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture(params=["own", "aiohttp", *LIBRARIES])
def by(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    skip_if_missing(kind)
    return kind


@pytest.fixture(params=["connecting", "headers", "reading", "back-off"])
def phase(
    request: pytest.FixtureRequest, by: str, server: SSEServer, unresponsive_url: str
) -> Phase:
    return Phase(request.param, by, server, unresponsive_url)


@pytest.fixture(params=["task", "thread"])
def elsewhere(
    request: pytest.FixtureRequest,
) -> Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]:
    """Runs a coroutine in another task, or in the loop of another thread."""

    async def in_task(function: Callable[[], Awaitable[None]]) -> None:
        await asyncio.ensure_future(function())

    async def in_loop(function: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            await function()

        await in_thread(lambda: asyncio.run(main()))

    return {"task": in_task, "thread": in_loop}[request.param]


Elsewhere = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]


def test_close_ends_the_iteration(phase: Phase, elsewhere: Elsewhere) -> None:
    async def main() -> None:
        client = await phase.client(ErrorStrategy.always_continue())
        iteration = asyncio.create_task(collect(client.all))
        await phase.reached()
        await elsewhere(client.close)
        assert await asyncio.wait_for(iteration, LIMIT) == []
        assert await collect(client.all) == []

    run(main())


def test_interrupt_yields_a_fault(phase: Phase, elsewhere: Elsewhere) -> None:
    async def main() -> None:
        client = await phase.client(ErrorStrategy.always_continue())
        iteration = asyncio.ensure_future(anext(client.all))
        await phase.reached()
        await elsewhere(client.interrupt)
        fault = await asyncio.wait_for(iteration, LIMIT)
        assert isinstance(fault, Fault)
        assert fault.error is None
        await client.close()

    run(main())


def test_a_cancelled_read_leaves_the_client_usable(phase: Phase) -> None:
    async def main() -> None:
        client = await phase.client(ErrorStrategy.always_continue())
        actions = client.all
        for _ in range(3):
            reading = asyncio.ensure_future(anext(actions))
            await phase.reached()
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
        iteration = asyncio.create_task(collect(actions))
        await phase.reached()
        await client.close()
        assert await asyncio.wait_for(iteration, LIMIT) == []

    run(main())


@pytest.mark.parametrize("kind", ["connecting", "headers", "back-off"])
@pytest.mark.parametrize("stop", ["close", "interrupt", "cancel"])
def test_a_start_can_be_stopped(
    kind: str, stop: str, by: str, server: SSEServer, unresponsive_url: str
) -> None:
    phase = Phase(kind, by, server, unresponsive_url)

    async def main() -> None:
        client = await phase.client(ErrorStrategy.always_fail())
        starting = asyncio.create_task(client.start())
        await phase.reached()
        error: type[BaseException] = asyncio.CancelledError
        if stop == "cancel":
            starting.cancel()
        elif stop == "close":
            await client.close()
            error = ClosedError
        else:
            await client.interrupt()
            error = InterruptedStartError
        with pytest.raises(error):
            await asyncio.wait_for(asyncio.shield(starting), LIMIT)
        await client.close()

    run(main())


def test_a_cancelled_start_continues_with_the_same_request(server: SSEServer, by: str) -> None:
    server.otherwise(Reply.stream().head_delayed(0.3).event("a").stall())

    async def main() -> None:
        async with AsyncSSEClient(connect_by(by, server.url())) as client:
            starting = asyncio.create_task(client.start())
            assert await in_thread(server.wait_for_requests, 1)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            await client.start()
            assert (await anext(client.events)).data == "a"

    run(main())
    assert server.request_count == 1


def test_cancelling_loses_nothing(server: SSEServer, by: str) -> None:
    count = 2_000
    stream = Reply.stream()
    for start in range(0, count, 10):
        numbers = range(start, start + 10)
        stream = stream.send("".join(f"data: {number}\n\n" for number in numbers))
    server.otherwise(stream.stall())

    async def main() -> None:
        seen: list[int] = []
        async with AsyncSSEClient(connect_by(by, server.url())) as client:
            events = client.events
            cancelled = 0
            while len(seen) < count:
                reading = asyncio.ensure_future(anext(events))
                for _ in range(len(seen) % 4):
                    await asyncio.sleep(0)
                reading.cancel()
                try:
                    seen.append(int((await reading).data))
                except asyncio.CancelledError:
                    cancelled += 1
                    # Sometimes don't cancel, so that the stream ends.
                    seen.append(int((await anext(events)).data))
            assert cancelled > 0
        assert seen == list(range(count))

    run(main())
    assert server.request_count == 1


def test_closing_a_loop_during_a_read_causes_no_warnings(
    server: SSEServer, recwarn: pytest.WarningsRecorder
) -> None:
    server.enqueue(Reply.stream().event("a").stall(), Reply.stream().event("b").stall())
    continues = ErrorStrategy.always_continue()
    client = AsyncSSEClient(connect_by("own", server.url()), 0, error_strategy=continues)
    loop = asyncio.new_event_loop()
    events = client.events
    assert loop.run_until_complete(anext(events)).data == "a"

    # Stepped manually, because a task left pending in the loop would itself cause a warning.
    async def begin() -> None:
        reading = events.__anext__()
        reading.send(None)
        pending.append(reading)

    pending: list[object] = []
    loop.run_until_complete(begin())
    loop.close()
    # The end of the connection wakes a loop that no longer exists.
    server.drop_connections()
    assert server.wait_for_open_connections(0)
    pending.clear()
    gc.collect()

    async def resumed() -> None:
        assert (await anext(events)).data == "b"
        await client.close()

    run(resumed())
    assert [str(warning.message) for warning in recwarn] == []


def test_ending_a_run_with_a_pending_read_causes_no_warnings(
    server: SSEServer, by: str, recwarn: pytest.WarningsRecorder
) -> None:
    server.otherwise(Reply.stream().event("a").stall())
    mistakes: list[dict[str, object]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: mistakes.append(context)
        )
        client = AsyncSSEClient(connect_by(by, server.url()))
        events = client.events
        await anext(events)
        reading = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.01)
        assert not reading.done()
        keep.append((client, reading))

    keep: list[tuple[AsyncSSEClient, asyncio.Future[Event]]] = []
    asyncio.run(main())
    client, reading = keep.pop()
    assert reading.cancelled()
    asyncio.run(client.close())
    assert mistakes == []
    assert [str(warning.message) for warning in recwarn] == []


def silent() -> tuple[AsyncScripted, list[str]]:
    """A custom source that yields one event and then waits, and a list of what happened to it."""
    fates: list[str] = []

    async def stream() -> AsyncIterator[bytes]:
        try:
            yield b"data: a\n\n"
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            fates.append("cancelled")
            raise
        finally:
            fates.append("ended")

    async def closer() -> None:
        await asyncio.sleep(0)
        fates.append("closed")

    async def connect(_: str | None) -> AsyncConnectionResult:
        return AsyncConnectionResult(stream(), closer)

    return AsyncScripted(connect), fates


def test_stopping_a_source_waits_for_its_closer(elsewhere: Elsewhere) -> None:
    strategy, fates = silent()

    async def main() -> None:
        client = AsyncSSEClient(strategy, 0, error_strategy=ErrorStrategy.always_continue())
        actions = client.all
        await anext(actions)
        await anext(actions)
        reading = asyncio.ensure_future(anext(actions))
        await until(lambda: not reading.done())
        await asyncio.sleep(0.01)
        await elsewhere(client.interrupt)
        assert fates == ["cancelled", "ended", "closed"]
        assert isinstance(await reading, Fault)
        assert isinstance(await anext(actions), Start)
        await elsewhere(client.close)
        # The second one was never read.
        assert fates[3:] == ["closed"]
        assert strategy.clients_closed == 1
        await client.close()
        assert strategy.clients_closed == 1

    run(main())


async def read(client: AsyncSSEClient) -> str:
    return (await anext(client.events)).data


def test_closing_a_loop_with_an_open_source_causes_no_warnings(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    strategy, _ = silent()
    client = AsyncSSEClient(strategy)
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(read(client)) == "a"
    loop.close()
    with pytest.raises(ReadError, match="closed"):
        asyncio.run(read(client))
    asyncio.run(client.close())
    del client, loop
    gc.collect()
    assert caplog.messages == []
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("start", [False, True])
def test_closing_a_loop_under_a_waiting_task_leaves_the_client_usable(start: bool) -> None:
    strategy, _ = silent()
    client = AsyncSSEClient(strategy, 0, error_strategy=ErrorStrategy.always_continue())
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(read(client)) == "a"
    left = read(client)

    async def begin() -> None:
        left.send(None)

    loop.run_until_complete(begin())
    loop.close()

    async def resumed() -> None:
        if start:
            await client.start()
        assert isinstance(await anext(client.all), Fault)
        assert await read(client) == "a"
        waiting = asyncio.create_task(read(client))
        await asyncio.sleep(0)
        # Ending the abandoned wait must not end the current one.
        left.close()
        with pytest.raises(RuntimeError, match="already being read"):
            await read(client)
        waiting.cancel()
        await client.close()

    run(resumed())


def test_a_source_can_only_be_read_in_its_own_loop() -> None:
    strategy, fates = silent()
    client = AsyncSSEClient(strategy, 0, error_strategy=ErrorStrategy.always_continue())

    async def first() -> None:
        await anext(client.events)

        async def second() -> None:
            with pytest.raises(RuntimeError, match="another event loop"):
                await anext(client.events)

        await in_thread(lambda: asyncio.run(second()))
        assert fates == []
        await client.close()

    run(first())


def test_a_source_reconnects_after_its_loop_was_closed() -> None:
    strategy, fates = silent()
    client = AsyncSSEClient(strategy, 0, error_strategy=ErrorStrategy.always_continue())

    assert asyncio.run(read(client)) == "a"
    assert fates == ["ended", "closed"]
    assert asyncio.run(read(client)) == "a"
    asyncio.run(client.close())
    assert len(strategy.connected_with) == 2


@pytest.mark.parametrize("kind", ["aiohttp", "httpx", "httpx2", "own"])
def test_closing_a_stream_over_tls_does_not_wait_for_the_server(kind: str) -> None:
    """The server never answers the end of TLS. Waiting for it outlives the event loop."""
    skip_if_missing(kind)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SIGNED)
    is_closed = threading.Event()

    def serve() -> None:
        plain, _ = listener.accept()
        plain.settimeout(LIMIT)
        with plain, context.wrap_socket(plain, server_side=True) as connection:
            assert connection.recv(65536)
            connection.sendall(ANSWER)
            is_closed.wait(LIMIT)

    async def main(url: str) -> None:
        if kind.startswith("httpx"):
            trust = ssl.create_default_context(cafile=AUTHORITY)
            connect = connect_by(kind, url, client=new_async_client(kind, verify=trust))
        else:
            connect = connect_by(kind, url, verify=AUTHORITY)
        async with AsyncSSEClient(connect) as client:
            assert (await anext(client.events)).data == "over TLS"

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run(main(f"https://localhost:{listener.getsockname()[1]}/"))
            gc.collect()
        is_closed.set()
        thread.join(LIMIT)
    assert [str(warning.message) for warning in caught] == []
