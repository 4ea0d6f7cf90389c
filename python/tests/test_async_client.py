"""AsyncSSEClient over every transport and in every kind of event loop."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from async_sources import async_canned, collect, connect_by, in_thread, run, until
from everstream import AsyncSSEClient, SSEClient
from everstream.actions import Event, Fault, Start
from everstream.config import ErrorStrategy, RetryDelayStrategy
from everstream.errors import ClosedError, HTTPStatusError
from everstream.testing import Reply, SSEServer
from httpx_clients import LIBRARIES, skip_if_missing

Client = Callable[..., AsyncSSEClient]
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["own", "wrapped", "aiohttp", *LIBRARIES])
def client_of(request: pytest.FixtureRequest) -> Client:
    """Creates clients for a server."""
    skip_if_missing(request.param)

    def make(server: SSEServer, *arguments: Any, **options: Any) -> AsyncSSEClient:
        return AsyncSSEClient(connect_by(request.param, server.url()), *arguments, **options)

    return make


@pytest.fixture(params=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Run:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return lambda coroutine: run(coroutine, request.param)


def test_the_signature_is_that_of_the_sync_client() -> None:
    own, sync = inspect.signature(AsyncSSEClient), inspect.signature(SSEClient)
    assert list(own.parameters) == list(sync.parameters)
    # The first parameter is a strategy, and the last one is passed on to it.
    for name in list(own.parameters)[1:-1]:
        assert own.parameters[name] == sync.parameters[name]
    assert own.parameters["request"].kind == inspect.Parameter.VAR_KEYWORD
    for name in ("start", "interrupt", "close"):
        assert inspect.iscoroutinefunction(getattr(AsyncSSEClient, name))


def test_a_client_accepts_only_a_url_or_an_async_strategy() -> None:
    from everstream.config import ConnectStrategy

    for wrong in (5, None, ConnectStrategy.http("http://localhost/")):
        with pytest.raises(TypeError, match="AsyncConnectStrategy"):
            AsyncSSEClient(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["initial_retry_delay", "retry_delay_reset_threshold"])
def test_an_invalid_time_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        AsyncSSEClient("http://localhost/", **{name: -1})  # type: ignore[arg-type]


def test_nothing_connects_before_the_first_read(
    server: SSEServer, client_of: Client, runner: Run
) -> None:
    server.otherwise(Reply.stream().event("x").stall())

    async def main() -> None:
        async with client_of(server) as client:
            iterator = client.events
            assert server.accepted_connections == 0
            assert (await anext(iterator)).data == "x"
            assert server.accepted_connections == 1
        assert await in_thread(server.wait_for_open_connections, 0)

    runner(main())


def test_by_default_an_end_ends_the_iteration_and_an_error_is_raised(
    server: SSEServer, client_of: Client, runner: Run
) -> None:
    server.enqueue(Reply.stream().event("a"), Reply.status(500))

    async def main() -> None:
        async with client_of(server, initial_retry_delay=0) as client:
            assert [event.data async for event in client.events] == ["a"]
            with pytest.raises(HTTPStatusError):
                await anext(client.events)

    runner(main())


def test_reading_again_reconnects(server: SSEServer, client_of: Client, runner: Run) -> None:
    server.enqueue(Reply.stream().retry(1).event("a", id="7"), Reply.stream().event("b"))

    async def main() -> None:
        async with client_of(server, initial_retry_delay=0) as client:
            assert [event.data async for event in client.events] == ["a"]
            assert [event.data async for event in client.events] == ["b"]

    runner(main())
    assert server.requests[0].headers.get("last-event-id") is None
    assert server.requests[1].headers["last-event-id"] == "7"


def test_all_yields_starts_and_faults(server: SSEServer, client_of: Client, runner: Run) -> None:
    server.enqueue(Reply.status(503), Reply.stream().comment("c").event("a"))
    strategy = ErrorStrategy.continue_with_max_attempts(1)

    async def main() -> None:
        async with client_of(server, 0, error_strategy=strategy) as client:
            actions = client.all
            fault, start = await anext(actions), await anext(actions)
            await anext(actions)
            event = await anext(actions)
        assert isinstance(fault, Fault)
        assert isinstance(fault.error, HTTPStatusError)
        assert fault.error.status == 503
        assert fault.headers == fault.error.headers
        assert isinstance(start, Start)
        assert (start.status, start.url) == (200, server.url())
        assert start.headers is not None
        assert start.headers["content-type"] == "text/event-stream"
        assert event == Event(data="a")

    runner(main())


def test_an_iterator_ends_after_an_error_and_a_new_one_continues(
    server: SSEServer, client_of: Client
) -> None:
    server.enqueue(Reply.status(500), Reply.stream().event("a").stall())

    async def main() -> None:
        async with client_of(server, 0) as client:
            events = client.events
            with pytest.raises(HTTPStatusError):
                await anext(events)
            assert await anext(events, None) is None
            assert (await anext(client.events)).data == "a"

    run(main())


def test_a_second_iterator_loses_nothing(server: SSEServer, client_of: Client) -> None:
    server.enqueue(Reply.stream().send("data: a\n\ndata: b\n\ndata: c\n\n").stall())

    async def main() -> None:
        async with client_of(server) as client:
            assert (await anext(client.events)).data == "a"
            assert await anext(client.all) == Event(data="b")
            assert (await anext(client.events)).data == "c"

    run(main())


def test_start_connects_and_returns(server: SSEServer, client_of: Client, runner: Run) -> None:
    server.otherwise(Reply.stream().stall())

    async def main() -> None:
        async with client_of(server) as client:
            await client.start()
            await client.start()
            assert server.request_count == 1
            assert isinstance(await anext(client.all), Start)

    runner(main())


def test_start_raises_the_error_if_the_strategy_fails(server: SSEServer, client_of: Client) -> None:
    server.enqueue(Reply.status(500), Reply.status(501), Reply.status(502))
    strategy = ErrorStrategy.continue_with_max_attempts(2)

    async def main() -> None:
        async with client_of(server, 0, error_strategy=strategy) as client:
            with pytest.raises(HTTPStatusError) as raised:
                await client.start()
            assert raised.value.status == 502

    run(main())


def test_last_event_id_is_that_of_the_last_delivered_event(
    server: SSEServer, client_of: Client
) -> None:
    server.enqueue(Reply.stream().send("id: 1\ndata: a\n\nid: 2\ndata: b\n\n").stall())

    async def main() -> None:
        async with client_of(server, last_event_id="0") as client:
            assert client.last_event_id == "0"
            events = client.events
            await anext(events)
            assert client.last_event_id == "1"
            await anext(events)
            assert client.last_event_id == "2"
        assert client.last_event_id == "2"

    run(main())
    assert server.requests[0].headers["last-event-id"] == "0"


def test_a_server_sets_the_base_of_the_delay(server: SSEServer, client_of: Client) -> None:
    server.otherwise(Reply.stream().retry(5000))
    delay = RetryDelayStrategy.default(jitter_multiplier=0)

    async def main() -> None:
        async with client_of(server, 0.01, delay) as client:
            assert client.next_retry_delay == 0
            await collect(client.events)
            assert client.next_retry_delay == 5

    run(main())


def test_a_polled_server_is_requested_again_after_its_retry_delay(server: SSEServer) -> None:
    server.otherwise(Reply.stream().retry(200).event("a", id="1"))

    async def main() -> None:
        async with AsyncSSEClient(server.url()) as client:
            await collect(client.events)
            assert 0.2 <= client.next_retry_delay <= 0.3
            await collect(client.events)
            # Without a new id, the delay grows.
            await collect(client.events)
            assert 0.4 <= client.next_retry_delay <= 0.6

    run(main())


def test_an_interrupt_updates_next_retry_delay_at_once(
    server: SSEServer, client_of: Client, runner: Run
) -> None:
    server.otherwise(Reply.stream().event("a").stall())
    delay = RetryDelayStrategy.default(jitter_multiplier=0)

    async def main() -> None:
        async with client_of(server, 0.01, delay) as client:
            for expected in [0.01, 0.02, 0.04]:
                assert (await anext(client.events)).data == "a"
                await client.interrupt()
                assert client.next_retry_delay == pytest.approx(expected)
                rest = await collect(client.all)
                assert [type(action) for action in rest] == [Fault]
                assert client.next_retry_delay == pytest.approx(expected)

    runner(main())


def test_interrupt_ends_the_stream(server: SSEServer, client_of: Client, runner: Run) -> None:
    server.enqueue(Reply.stream().event("a").stall(), Reply.stream().event("b").stall())

    async def main() -> None:
        async with client_of(server, 0) as client:
            assert (await anext(client.events)).data == "a"
            await client.interrupt()
            assert await in_thread(server.wait_for_open_connections, 0)
            assert [type(action) for action in await collect(client.all)] == [Fault]
            assert (await anext(client.events)).data == "b"

    runner(main())


def test_close_inside_the_loop_ends_it(server: SSEServer, client_of: Client) -> None:
    server.otherwise(Reply.stream().send("data: a\n\ndata: b\n\n").stall())
    strategy = ErrorStrategy.always_continue()

    async def main() -> None:
        client = client_of(server, error_strategy=strategy)
        seen = []
        async for event in client.events:
            seen.append(event.data)
            await client.close()
        assert seen == ["a"]
        assert await in_thread(server.wait_for_open_connections, 0)
        assert await collect(client.all) == []

    run(main())
    assert server.request_count == 1


def test_a_closed_client_stays_closed(server: SSEServer, client_of: Client) -> None:
    async def main() -> None:
        client = client_of(server)
        async with client as same:
            assert same is client
        await client.close()
        await client.interrupt()
        assert await collect(client.events) == []
        with pytest.raises(ClosedError):
            await client.start()

    run(main())
    assert server.accepted_connections == 0


def test_a_garbage_collected_client_closes_its_connection(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a").stall())

    async def main() -> None:
        iterator = AsyncSSEClient(server.url()).events
        assert (await anext(iterator)).data == "a"
        del iterator
        assert await in_thread(server.wait_for_open_connections, 0)

    run(main())


def test_a_stream_has_one_reader(server: SSEServer, client_of: Client) -> None:
    server.otherwise(Reply.stream().stall())

    async def main() -> None:
        async with client_of(server) as client:
            await client.start()
            await anext(client.all)
            reading = asyncio.ensure_future(anext(client.events, None))
            await asyncio.sleep(0)
            for read in (anext(client.events), client.start(), anext(client.all)):
                with pytest.raises(RuntimeError, match="one reader"):
                    await read
            await client.close()
            assert await reading is None

    run(main())


@pytest.mark.parametrize("line", [b"data: a\n\n", b": comment\n"])
def test_other_tasks_run_while_buffered_events_are_read(line: bytes, runner: Run) -> None:
    count = 20_000

    async def main() -> None:
        turns = 0

        async def take_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        taking_turns = asyncio.create_task(take_turns())
        # All of it arrives as one chunk.
        async with AsyncSSEClient(async_canned([line * count])) as client:
            await client.start()
            await collect(client.events)
        taking_turns.cancel()
        assert turns >= count // 150

    runner(main())


def test_other_tasks_run_while_a_stream_floods(server: SSEServer, runner: Run) -> None:
    server.otherwise(Reply.stream().send_forever("data: a\n\n" * 1000))

    async def main() -> None:
        done = asyncio.Event()
        turns = 0

        async def count() -> None:
            nonlocal turns
            while not done.is_set():
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        async with AsyncSSEClient(server.url()) as client:
            seen = 0
            async for _ in client.events:
                seen += 1
                if seen == 20_000:
                    break
        done.set()
        await counting
        assert turns >= 20_000 // 150

    runner(main())


def test_other_tasks_run_while_a_stream_floods_with_comments(server: SSEServer) -> None:
    server.otherwise(Reply.stream().send_forever(": nothing\n" * 1000))

    async def main() -> None:
        async with AsyncSSEClient(server.url()) as client:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(client.events), 0.2)

    run(main())


def test_a_client_with_our_own_http_can_be_read_in_several_loops(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a").pause(0.1).event("b").stall())
    client = AsyncSSEClient(server.url())

    async def read() -> str:
        return (await anext(client.events)).data

    assert asyncio.run(read()) == "a"
    assert asyncio.run(read()) == "b"
    asyncio.run(client.close())
    assert server.request_count == 1


def test_callbacks_run_in_the_thread_of_the_loop(server: SSEServer) -> None:
    server.otherwise(Reply.status(500))
    threads: set[int] = set()

    def note(result: Any) -> Any:
        threads.add(threading.get_ident())
        asyncio.get_running_loop()
        return result

    async def main() -> None:
        client = AsyncSSEClient(
            connect_by("own", server.url(), query_params=lambda: note(None)),
            retry_delay_strategy=RetryDelayStrategy.from_lambda(lambda _: note((0, None))),
            error_strategy=ErrorStrategy.from_lambda(lambda _: note((True, None))),
        )
        with pytest.raises(HTTPStatusError):
            await client.start()

    run(main())
    assert threads == {threading.get_ident()}


def test_an_exception_in_a_strategy_is_raised_and_nothing_is_lost(server: SSEServer) -> None:
    server.enqueue(Reply.stream().event("a"), Reply.stream().event("b").stall())
    mistake = LookupError("mine")

    def decide(_: Exception | None) -> tuple[bool, None]:
        raise mistake

    async def main() -> None:
        strategy = ErrorStrategy.from_lambda(decide)
        async with AsyncSSEClient(server.url(), 0, error_strategy=strategy) as client:
            events = client.events
            assert (await anext(events)).data == "a"
            with pytest.raises(LookupError) as raised:
                await anext(events)
            assert raised.value is mistake
            assert raised.traceback[-1].name == "decide"
            # The end, which the exception replaced.
            assert await collect(client.events) == []
            assert (await anext(client.events)).data == "b"

    run(main())


def test_the_next_event_can_be_awaited_in_a_task(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a").event("b").stall())

    async def main() -> None:
        async with AsyncSSEClient(server.url()) as client:
            events = client.events
            first: asyncio.Task[Event] = asyncio.create_task(events.__anext__())
            assert (await first).data == "a"
            # A task that never ran has read nothing.
            second: asyncio.Task[Event] = asyncio.create_task(events.__anext__())
            second.cancel()
            await until(second.done)
            assert (await anext(events)).data == "b"

    run(main())


def test_closing_an_iterator_leaves_the_client_open(server: SSEServer, client_of: Client) -> None:
    server.enqueue(Reply.stream().event("a").event("b").stall())

    async def main() -> None:
        async with client_of(server) as client:
            async with contextlib.aclosing(client.events) as events:
                assert (await anext(events)).data == "a"
            assert await collect(events) == []
            assert (await anext(client.events)).data == "b"

    run(main())


def test_a_client_iterates_over_its_events(server: SSEServer, client_of: Client) -> None:
    server.enqueue(Reply.stream().comment("hi").event("a").event("b").event("c"))

    async def main() -> None:
        async with client_of(server) as client:
            async for event in client:
                assert event.data == "a"
                break
            assert (await anext(aiter(client))).data == "b"
            assert [event.data async for event in client] == ["c"]

    run(main())
