"""Custom sources in asyncio."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from async_sources import AsyncScripted, async_canned, chunks_of, collect, run, until
from everstream import AsyncSSEClient
from everstream.actions import Event, Fault, Start
from everstream.config import ErrorStrategy
from everstream.config.async_connect_strategy import (
    AsyncConnectionClient,
    AsyncConnectionResult,
    AsyncConnectStrategy,
)
from everstream.errors import HTTPContentTypeError, HTTPStatusError, ReadError

CONTINUE_ONCE = ErrorStrategy.continue_with_max_attempts(1)


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_kind(request: pytest.FixtureRequest) -> str:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    kind: str = request.param
    return kind


def test_create_client_is_called_with_the_logger() -> None:
    strategy = async_canned()
    logger = logging.getLogger("mine")
    AsyncSSEClient(strategy, logger=logger)
    AsyncSSEClient(strategy)
    assert strategy.loggers[0] is logger
    assert isinstance(strategy.loggers[1], logging.Logger)
    assert strategy.connected_with == []


def test_bytes_are_read_however_they_are_split(loop_kind: str) -> None:
    chunks: Any = [b"da", bytearray(b"ta: a\n"), b"", memoryview(b"\ndata: b\n\n")]

    async def main() -> None:
        async with AsyncSSEClient(async_canned(chunks)) as client:
            assert [event.data async for event in client.events] == ["a", "b"]

    run(main(), loop_kind)


def test_the_last_event_id_is_passed_on() -> None:
    strategy = async_canned([b"id: 7\ndata: a\n\n"], [b"data: b\n\n"])

    async def main() -> None:
        async with AsyncSSEClient(strategy, 0, last_event_id="6") as client:
            await collect(client.events)
            await collect(client.events)

    run(main())
    assert strategy.connected_with == ["6", "7"]


def test_a_start_has_the_headers_of_the_result() -> None:
    async def main() -> None:
        async with AsyncSSEClient(async_canned([], headers={"X-Server": "mine"})) as client:
            start = await anext(client.all)
        assert isinstance(start, Start)
        assert (start.status, start.url) == (None, None)
        assert start.headers is not None
        assert start.headers["x-server"] == "mine"

    run(main())


@pytest.mark.parametrize("status", [None, 200])
@pytest.mark.parametrize("headers", [None, {}])
def test_a_start_has_only_the_attributes_of_the_result(
    status: int | None, headers: dict[str, str] | None
) -> None:
    async def main(url: str | None) -> None:
        async def connect(_: str | None) -> AsyncConnectionResult:
            return AsyncConnectionResult(chunks_of([]), None, headers, status=status, url=url)

        async with AsyncSSEClient(AsyncScripted(connect)) as client:
            start = await anext(client.all)
        assert isinstance(start, Start)
        assert (start.status, start.url) == (status, url)
        assert (start.headers is None) is (headers is None)
        assert not start.headers

    for url in (None, "unix:/feed"):
        run(main(url))


def test_an_interruption_reaches_the_client_after_its_connection() -> None:
    done: list[str] = []

    class Interruptible(AsyncConnectStrategy, AsyncConnectionClient):
        def create_client(self, logger: logging.Logger) -> AsyncConnectionClient:
            return self

        async def connect(self, last_event_id: str | None) -> AsyncConnectionResult:
            return AsyncConnectionResult(
                chunks_of([b"data: a\n\n"]), lambda: done.append("connection")
            )

        async def interrupt(self) -> None:
            done.append("interrupt")

        async def close(self) -> None:
            done.append("close")

    async def main() -> None:
        async with AsyncSSEClient(Interruptible()) as client:
            assert (await anext(client.events)).data == "a"
            await client.interrupt()
            assert done == ["connection", "interrupt"]
        assert done == ["connection", "interrupt", "close"]

    run(main())


def test_all_code_of_a_connection_runs_in_one_task(loop_kind: str) -> None:
    tasks: list[asyncio.Task[Any] | None] = []
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")

    async def stream() -> AsyncIterator[bytes]:
        token = variable.set(1)
        for _ in range(3):
            tasks.append(asyncio.current_task())
            yield b"data: a\n\n"
        variable.reset(token)

    async def connect(_: str | None) -> AsyncConnectionResult:
        tasks.append(asyncio.current_task())
        return AsyncConnectionResult(stream(), lambda: tasks.append(asyncio.current_task()))

    async def main() -> None:
        async with AsyncSSEClient(AsyncScripted(connect)) as client:
            assert len(await collect(client.events)) == 3

    run(main(), loop_kind)
    assert len(tasks) == 5
    assert len(set(tasks)) == 1


def test_a_source_is_read_only_while_the_client_is_awaited() -> None:
    given = 0

    async def stream() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield b"data: a\n\n"

    async def connect(_: str | None) -> AsyncConnectionResult:
        return AsyncConnectionResult(stream(), None)

    async def main() -> None:
        async with AsyncSSEClient(AsyncScripted(connect)) as client:
            for number in range(1, 4):
                await anext(client.events)
                for _ in range(20):
                    await asyncio.sleep(0)
                assert given == number

    run(main())


def test_a_closer_can_be_a_function_or_a_coroutine_function(loop_kind: str) -> None:
    closed: list[str] = []

    async def closer() -> None:
        await asyncio.sleep(0)
        closed.append("coroutine")

    closers = [lambda: closed.append("function"), closer, None]

    async def connect(_: str | None) -> AsyncConnectionResult:
        return AsyncConnectionResult(chunks_of([b"data: a\n\n"]), closers.pop(0))

    strategy = AsyncScripted(connect)

    async def main() -> None:
        async with AsyncSSEClient(strategy, 0) as client:
            await collect(client.events)
            assert closed == ["function"]
            await anext(client.events)
            await client.interrupt()
            assert closed == ["function", "coroutine"]
            await collect(client.all)
            await client.start()
        await client.close()

    run(main(), loop_kind)
    assert strategy.clients_closed == 1


def test_an_exception_in_connect_is_raised_unchanged() -> None:
    mistake = ValueError("mine")

    async def connect(_: str | None) -> AsyncConnectionResult:
        await asyncio.sleep(0)
        raise mistake

    async def main() -> None:
        async with AsyncSSEClient(AsyncScripted(connect)) as client:
            with pytest.raises(ValueError, match="mine") as raised:
                await anext(client.all)
            assert raised.value is mistake
            assert raised.traceback[-1].name == "connect"
            with pytest.raises(ValueError, match="mine"):
                await client.start()
        async with AsyncSSEClient(
            AsyncScripted(connect), 0, error_strategy=CONTINUE_ONCE
        ) as client:
            fault = await anext(client.all)
        assert isinstance(fault, Fault)
        assert fault.error is mistake

    run(main())


def test_an_exception_in_a_stream_is_raised_unchanged() -> None:
    mistake = OSError("mine")

    async def stream() -> AsyncIterator[bytes]:
        yield b"data: a\n\n"
        raise mistake

    async def connect(_: str | None) -> AsyncConnectionResult:
        return AsyncConnectionResult(stream(), None)

    async def main() -> None:
        async with AsyncSSEClient(AsyncScripted(connect)) as client:
            events = client.events
            assert (await anext(events)).data == "a"
            with pytest.raises(OSError, match="mine") as raised:
                await anext(events)
            assert raised.value is mistake
            assert raised.traceback[-1].name == "stream"

    run(main())


@pytest.mark.parametrize(
    "mistake", [HTTPStatusError(503, {"Retry-After": "7"}), HTTPContentTypeError("text/html")]
)
def test_an_error_of_this_package_is_raised_unchanged(mistake: Exception) -> None:
    async def connect(_: str | None) -> AsyncConnectionResult:
        raise mistake

    async def main() -> None:
        async with AsyncSSEClient(AsyncScripted(connect), 0) as client:
            with pytest.raises(type(mistake)) as raised:
                await client.start()
            assert raised.value is mistake

    run(main())


def test_retry_after_applies_to_custom_sources() -> None:
    async def connect(_: str | None) -> AsyncConnectionResult:
        raise HTTPStatusError(503, {"retry-after": "7"})

    async def main() -> None:
        strategy = ErrorStrategy.reconnect(statuses=[503])
        async with AsyncSSEClient(AsyncScripted(connect), 0, error_strategy=strategy) as client:
            assert isinstance(await anext(client.all), Fault)
            assert client.next_retry_delay == 7

    run(main())


@pytest.mark.parametrize("where", ["connect", "stream"])
def test_ctrl_c_in_a_source_ends_the_loop_without_asking_the_strategy(where: str) -> None:
    async def stream() -> AsyncIterator[bytes]:
        if where == "stream":
            raise KeyboardInterrupt
        yield b""

    async def connect(_: str | None) -> AsyncConnectionResult:
        if where == "connect":
            raise KeyboardInterrupt
        return AsyncConnectionResult(stream(), None)

    async def main() -> None:
        always = ErrorStrategy.always_continue()
        async with AsyncSSEClient(AsyncScripted(connect), 0, error_strategy=always) as client:
            await anext(client.events)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())


def test_a_cancelled_source_task_is_a_read_error() -> None:
    connecting: list[asyncio.Task[Any] | None] = []

    async def connect(_: str | None) -> AsyncConnectionResult:
        connecting.append(asyncio.current_task())
        await asyncio.Event().wait()
        raise AssertionError

    async def main() -> None:
        async with AsyncSSEClient(AsyncScripted(connect)) as client:
            reading = asyncio.ensure_future(anext(client.events))
            await until(lambda: len(connecting) == 1)
            assert connecting[0] is not None
            connecting[0].cancel()
            with pytest.raises(ReadError, match="cancelled"):
                await reading

    run(main())


def test_an_exception_in_a_closer_is_raised_and_loses_no_event() -> None:
    mistake = ValueError("mine")

    async def closer() -> None:
        raise mistake

    async def connect(_: str | None) -> AsyncConnectionResult:
        return AsyncConnectionResult(chunks_of([b"data: a\n\n"]), closer)

    async def main() -> None:
        async with AsyncSSEClient(AsyncScripted(connect), 0) as client:
            seen: list[Event] = []

            async def read() -> None:
                async for event in client.events:
                    seen.append(event)

            with pytest.raises(ValueError, match="mine") as raised:
                await read()
            assert raised.value is mistake
            assert seen == [Event(data="a")]

    run(main())


@pytest.mark.parametrize("stop", [AsyncSSEClient.interrupt, AsyncSSEClient.close])
def test_an_exception_in_a_closer_is_raised_where_the_client_is_stopped(stop: Any) -> None:
    async def closer() -> None:
        raise ValueError("mine")

    async def connect(_: str | None) -> AsyncConnectionResult:
        return AsyncConnectionResult(chunks_of([b"data: a\n\n"]), closer)

    strategy = AsyncScripted(connect)

    async def main() -> None:
        client = AsyncSSEClient(strategy)
        await anext(client.events)
        with pytest.raises(ValueError, match="mine"):
            await stop(client)
        await client.close()
        assert strategy.clients_closed == 1

    run(main())


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "AsyncConnectionResult, not NoneType"),
        (AsyncConnectionResult(None, None), "async iterable|__aiter__"),  # type: ignore[arg-type]
        (AsyncConnectionResult(chunks_of(["text"]), None), "must yield bytes, not str"),  # type: ignore[list-item]
        (AsyncConnectionResult(chunks_of([]), None, 5), "items"),  # type: ignore[arg-type]
    ],
)
def test_an_invalid_result_is_an_error(result: AsyncConnectionResult, message: str) -> None:
    async def connect(_: str | None) -> AsyncConnectionResult:
        return result

    async def main() -> None:
        async with AsyncSSEClient(AsyncScripted(connect)) as client:
            with pytest.raises((TypeError, AttributeError), match=message):
                await anext(client.events)

    run(main())


def test_a_strategy_that_does_not_return_a_client_is_an_error() -> None:
    class Mine(AsyncConnectStrategy):
        def create_client(self, logger: logging.Logger) -> AsyncConnectionClient:
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        AsyncSSEClient(Mine())


def test_base_classes_name_the_missing_method() -> None:
    with pytest.raises(NotImplementedError, match="create_client"):
        AsyncSSEClient(AsyncConnectStrategy())

    async def main() -> None:
        with pytest.raises(NotImplementedError, match="connect"):
            await AsyncConnectionClient().connect(None)

    run(main())


def test_a_client_can_be_closed_in_its_own_source() -> None:
    async def connect(_: str | None) -> AsyncConnectionResult:
        await client.close()
        await asyncio.Event().wait()
        raise AssertionError

    client = AsyncSSEClient(AsyncScripted(connect))

    async def main() -> None:
        assert await collect(client.all) == []

    run(main())


def test_a_source_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("mine")

    async def main() -> None:
        always = ErrorStrategy.always_continue()
        strategy = async_canned([b"data: a\n\n"])
        async with AsyncSSEClient(strategy, 0, error_strategy=always, logger=logger) as client:
            actions = client.all
            for _ in range(4):
                await anext(actions)

    with caplog.at_level(logging.INFO, "mine"):
        run(main())
    assert [record.getMessage() for record in caplog.records] == [
        "connected to AsyncScriptedClient",
        "the stream ended; reconnecting in 0.0 s",
        "the request failed before a response arrived: ConnectionRefusedError: no more streams"
        "; retrying in 0.0 s",
    ]
