"""SSEClient over any number of connections."""

from __future__ import annotations

import contextlib
import inspect
import threading
import typing
from collections.abc import Iterator

import pytest

from conftest import LIMIT, Background
from everstream import SSEClient
from everstream.actions import Action, Event, Fault, Start
from everstream.config import ErrorStrategy, RetryDelayStrategy
from everstream.errors import ClosedError, HTTPStatusError
from everstream.testing import Reply, SSEServer
from sources import canned


def test_the_signature_is_that_of_launchdarkly_eventsource() -> None:
    parameters = inspect.signature(SSEClient).parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == {
        "connect": inspect.Parameter.empty,
        "initial_retry_delay": 1,
        "retry_delay_strategy": None,
        "retry_delay_reset_threshold": 60,
        "error_strategy": None,
        "last_event_id": None,
        "logger": None,
        "read_timeout": None,
        "max_event_size": None,
        "oversize": "fail",
        "until": None,
        "repeat_unsafe": False,
        "resume_with_get": False,
        "dispatch_unfinished": False,
        "request": inspect.Parameter.empty,
    }
    ours = [parameters["repeat_unsafe"], parameters["resume_with_get"]]
    assert {parameter.kind for parameter in ours} == {inspect.Parameter.KEYWORD_ONLY}


def test_a_client_accepts_only_a_url_or_a_strategy() -> None:
    for wrong in (5, None, b"http://localhost/"):
        with pytest.raises(TypeError, match="ConnectStrategy"):
            SSEClient(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["initial_retry_delay", "retry_delay_reset_threshold"])
def test_an_invalid_time_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        SSEClient("http://localhost/", **{name: -1})  # type: ignore[arg-type]


def test_nothing_connects_before_the_first_read(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("x").stall())
    with SSEClient(server.url()) as client:
        iterator = client.events
        assert server.accepted_connections == 0
        assert next(iterator).data == "x"
        assert server.accepted_connections == 1


def test_by_default_an_end_ends_the_iteration_and_an_error_is_raised(server: SSEServer) -> None:
    server.enqueue(Reply.stream().event("a"), Reply.status(500))
    with SSEClient(server.url(), initial_retry_delay=0) as client:
        assert [event.data for event in client.events] == ["a"]
        with pytest.raises(HTTPStatusError):
            next(client.events)


def test_reading_again_reconnects(server: SSEServer) -> None:
    server.enqueue(Reply.stream().retry(1).event("a", id="7"), Reply.stream().event("b"))
    with SSEClient(server.url(), initial_retry_delay=0) as client:
        assert [event.data for event in client.events] == ["a"]
        assert [event.data for event in client.events] == ["b"]
    assert server.requests[0].headers.get("last-event-id") is None
    assert server.requests[1].headers["last-event-id"] == "7"


def test_all_yields_starts_and_faults(server: SSEServer) -> None:
    server.enqueue(Reply.status(503), Reply.stream().event("a"))
    strategy = ErrorStrategy.continue_with_max_attempts(1)
    with SSEClient(server.url(), 0, error_strategy=strategy) as client:
        actions = client.all
        fault, start, event = next(actions), next(actions), next(actions)
    assert isinstance(fault, Fault)
    assert isinstance(fault.error, HTTPStatusError)
    assert fault.error.status == 503
    assert fault.headers == fault.error.headers
    assert isinstance(start, Start)
    assert event == Event(data="a")


def test_an_iterator_ends_after_an_error_and_a_new_one_continues(server: SSEServer) -> None:
    server.enqueue(Reply.status(500), Reply.stream().event("a").stall())
    with SSEClient(server.url(), 0) as client:
        events = client.events
        with pytest.raises(HTTPStatusError):
            next(events)
        assert next(events, None) is None
        assert next(client.events).data == "a"


def test_a_second_iterator_loses_nothing(server: SSEServer) -> None:
    server.enqueue(Reply.stream().send("data: a\n\ndata: b\n\ndata: c\n\n").stall())
    with SSEClient(server.url()) as client:
        assert next(client.events).data == "a"
        assert next(client.all) == Event(data="b")
        assert next(client.events).data == "c"


def test_start_connects_and_returns(server: SSEServer) -> None:
    server.otherwise(Reply.stream().stall())
    with SSEClient(server.url()) as client:
        client.start()
        client.start()
        assert server.request_count == 1
        assert isinstance(next(client.all), Start)


def test_start_raises_the_error_if_the_strategy_fails(server: SSEServer) -> None:
    server.enqueue(Reply.status(500), Reply.status(501), Reply.status(502))
    strategy = ErrorStrategy.continue_with_max_attempts(2)
    with SSEClient(server.url(), 0, error_strategy=strategy) as client:
        with pytest.raises(HTTPStatusError) as raised:
            client.start()
        assert raised.value.status == 502


def test_start_keeps_its_faults_for_the_next_read(server: SSEServer) -> None:
    server.enqueue(Reply.status(503), Reply.stream().stall())
    with SSEClient(server.url(), 0, error_strategy=ErrorStrategy.always_continue()) as client:
        client.start()
        fault = next(client.all)
        assert isinstance(fault, Fault)
        assert isinstance(fault.error, HTTPStatusError)
        assert isinstance(next(client.all), Start)


def test_last_event_id_is_that_of_the_last_delivered_event(server: SSEServer) -> None:
    server.enqueue(Reply.stream().send("id: 1\ndata: a\n\nid: 2\ndata: b\n\n").stall())
    with SSEClient(server.url(), last_event_id="0") as client:
        assert client.last_event_id == "0"
        events = client.events
        next(events)
        assert client.last_event_id == "1"
        next(events)
        assert client.last_event_id == "2"
    assert client.last_event_id == "2"
    assert server.requests[0].headers["last-event-id"] == "0"


def test_the_delay_is_zero_before_the_first_error(server: SSEServer) -> None:
    server.otherwise(Reply.stream())
    delay = RetryDelayStrategy.default(jitter_multiplier=0)
    with SSEClient(server.url(), 0.125, delay) as client:
        assert client.next_retry_delay == 0
        list(client.events)
        assert client.next_retry_delay == 0.125
        list(client.events)
        assert client.next_retry_delay == 0.25


def test_a_server_sets_the_base_of_the_delay(server: SSEServer) -> None:
    server.otherwise(Reply.stream().retry(5000))
    delay = RetryDelayStrategy.default(jitter_multiplier=0)
    with SSEClient(server.url(), 0.01, delay) as client:
        list(client.events)
        assert client.next_retry_delay == 5


def test_an_interrupt_updates_next_retry_delay_at_once(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a").stall())
    delay = RetryDelayStrategy.default(jitter_multiplier=0)
    with SSEClient(server.url(), 0.01, delay) as client:
        for expected in [0.01, 0.02, 0.04]:
            assert next(client.events).data == "a"
            client.interrupt()
            assert client.next_retry_delay == pytest.approx(expected)
            assert [type(action) for action in client.all] == [Fault]
            assert client.next_retry_delay == pytest.approx(expected)


def test_a_strategy_is_applied_once_to_an_interrupted_connection(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a").stall())
    calls = []

    def apply(base: float) -> tuple[float, None]:
        calls.append(base)
        return 0.125, None

    with SSEClient(server.url(), 7, RetryDelayStrategy.from_lambda(apply)) as client:
        next(client.events)
        client.interrupt()
        assert (calls, client.next_retry_delay) == ([7], 0.125)
        client.interrupt()
        list(client.all)
        assert calls == [7]


def test_an_error_in_a_strategy_is_raised_by_interrupt(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a").stall())

    def apply(base: float) -> tuple[float, None]:
        raise ValueError("mine")

    with SSEClient(server.url(), 0.01, RetryDelayStrategy.from_lambda(apply)) as client:
        next(client.events)
        with pytest.raises(ValueError, match="mine"):
            client.interrupt()
        assert client.next_retry_delay == pytest.approx(0.01)


def test_a_base_delay_of_123_seconds_is_used(server: SSEServer) -> None:
    server.otherwise(Reply.status(503))
    with SSEClient(server.url(), initial_retry_delay=123) as client:
        with pytest.raises(HTTPStatusError):
            client.start()
        assert 61.5 <= client.next_retry_delay <= 123


@pytest.mark.parametrize(
    ("strategy", "threshold", "delay"),
    [
        (None, 60, (3, 4.5)),
        (RetryDelayStrategy.default(), 60, (3, 4.5)),
        (RetryDelayStrategy.default(30, 2, 0.5), 60.0, (3, 4.5)),
        (RetryDelayStrategy.default(jitter_multiplier=0.25), 60, (3, 3.75)),
        (RetryDelayStrategy.default(max_delay=31), 60, (0.5, 1)),
        (RetryDelayStrategy.default(max_delay=None), 60, (0.5, 1)),
        (RetryDelayStrategy.default(backoff_multiplier=3), 60, (0.5, 1)),
        (RetryDelayStrategy.default(), 61, (0.5, 1)),
        (RetryDelayStrategy(), 60, (1, 1)),
    ],
)
def test_only_the_built_in_strategy_supports_polled_servers(
    server: SSEServer,
    strategy: RetryDelayStrategy | None,
    threshold: float,
    delay: tuple[float, float],
) -> None:
    server.otherwise(Reply.stream().event("a", id="1"))
    with SSEClient(
        server.url(), retry_delay_strategy=strategy, retry_delay_reset_threshold=threshold
    ) as client:
        assert len(list(client.events)) == 1
        assert delay[0] <= client.next_retry_delay <= delay[1]


def test_interrupt_ends_the_stream(server: SSEServer) -> None:
    server.enqueue(Reply.stream().event("a").stall(), Reply.stream().event("b").stall())
    with SSEClient(server.url(), 0) as client:
        assert next(client.events).data == "a"
        client.interrupt()
        assert server.wait_for_open_connections(0)
        rest = list(client.all)
        assert [type(action) for action in rest] == [Fault]
        assert next(client.events).data == "b"


def test_close_inside_the_loop_ends_it(server: SSEServer) -> None:
    server.otherwise(Reply.stream().send("data: a\n\ndata: b\n\n").stall())
    strategy = ErrorStrategy.always_continue()
    client = SSEClient(server.url(), error_strategy=strategy)
    seen = []
    for event in client.events:
        seen.append(event.data)
        client.close()
    assert seen == ["a"]
    assert server.wait_for_open_connections(0)
    assert list(client.all) == []
    assert server.request_count == 1


def test_a_closed_client_stays_closed(server: SSEServer) -> None:
    client = SSEClient(server.url())
    with client as same:
        assert same is client
    client.close()
    client.interrupt()
    assert list(client.events) == []
    with pytest.raises(ClosedError):
        client.start()
    assert server.accepted_connections == 0


def test_a_garbage_collected_client_closes_its_connection(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a").stall())
    iterator = SSEClient(server.url()).events
    assert next(iterator).data == "a"
    del iterator
    assert server.wait_for_open_connections(0)


def test_a_stream_has_one_reader() -> None:
    inside, release = threading.Event(), threading.Event()

    def stream() -> Iterator[bytes]:
        inside.set()
        assert release.wait(LIMIT)
        yield b"data: a\n\n"

    with SSEClient(canned(stream())) as client:
        reading = Background(lambda: next(client.events))
        assert inside.wait(LIMIT)
        for read in (lambda: next(client.events), client.start):
            with pytest.raises(RuntimeError, match="one reader"):
                read()
        release.set()
        assert reading.result() == Event(data="a")


def test_other_threads_can_read_properties_during_a_read(server: SSEServer) -> None:
    server.otherwise(Reply.stream().send_forever("id: 7\ndata: a\n\n"))
    stop = threading.Event()
    with SSEClient(server.url()) as client:

        def look() -> int:
            looks = 0
            while not stop.is_set():
                assert client.last_event_id in (None, "7")
                assert client.next_retry_delay == 0
                looks += 1
            return looks

        looking = Background(look)
        events = client.events
        for _ in range(2_000):
            assert next(events).data == "a"
        stop.set()
        assert looking.result() > 0


def test_a_used_preset_continues_from_its_state() -> None:
    _, used = ErrorStrategy.continue_with_max_attempts(1).apply(None)
    assert used is not None
    with SSEClient(canned([]), 0, error_strategy=used) as client:
        actions: list[Action] = list(client.all)
    assert [type(action) for action in actions] == [Start, Fault]


def test_closing_an_iterator_leaves_the_client_open(server: SSEServer) -> None:
    server.enqueue(Reply.stream().event("a").event("b").stall())
    with SSEClient(server.url()) as client:
        with contextlib.closing(client.events) as events:
            assert next(events).data == "a"
        assert list(events) == []
        assert next(client.events).data == "b"


def test_a_client_iterates_over_its_events(server: SSEServer) -> None:
    server.enqueue(Reply.stream().comment("hi").event("a").event("b").event("c"))
    with SSEClient(server.url()) as client:
        for event in client:
            assert event.data == "a"
            break
        assert next(iter(client)).data == "b"
        assert [event.data for event in client] == ["c"]


def test_an_iterator_can_be_named_in_annotations() -> None:
    hints = typing.get_type_hints(SSEClient.__iter__)
    assert typing.get_args(hints["return"]) == (Event,)
