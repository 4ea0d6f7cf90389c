"""What a client does over many connections, over every transport.

Counterparts of the scenarios of the Rust clients that concern what this package adds to them.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest

from conftest import SHORT
from everstream import SSEClient
from everstream.actions import Comment, Event, Fault, Start
from everstream.config import ConnectStrategy, ErrorStrategy, RetryDelayStrategy
from everstream.errors import (
    ConnectError,
    HTTPRedirectError,
    HTTPStatusError,
    ReadError,
    ReadTimeoutError,
    RequestError,
    SSEError,
)
from everstream.testing import Feed, Gate, Reply, SSEServer
from httpx_clients import LIBRARIES, new_client

Http = Callable[..., ConnectStrategy]

RECONNECT = ErrorStrategy.reconnect()
CONTINUE = ErrorStrategy.always_continue()
AT_ONCE = RetryDelayStrategy.from_lambda(lambda _: (0, None))


def over_urllib3(url: str, **options: Any) -> ConnectStrategy:
    return ConnectStrategy.http(url, urllib3_request_options={}, **options)


def over_httpx(url: str, **options: Any) -> ConnectStrategy:
    return ConnectStrategy.http(url, client=new_client("httpx"), **options)


def over_httpx2(url: str, **options: Any) -> ConnectStrategy:
    pytest.importorskip("httpx2")
    return ConnectStrategy.http(url, client=new_client("httpx2"), **options)


@pytest.fixture(
    params=[ConnectStrategy.http, over_urllib3, over_httpx, over_httpx2],
    ids=["engine", "urllib3", *LIBRARIES],
)
def http(request: pytest.FixtureRequest) -> Http:
    made: Http = request.param
    return made


def following(connect: ConnectStrategy, strategy: ErrorStrategy = RECONNECT) -> SSEClient:
    return SSEClient(connect, 1, AT_ONCE, error_strategy=strategy)


# Delivery


@pytest.mark.parametrize(
    "pieces",
    [
        ("data: one\n\n", "data: two\n\n"),
        ("data: one\r\r", "data: two\r\r"),
        ("data: one\r\n\r\n", "data: two\r\n\r\n"),
    ],
)
def test_an_event_arrives_with_its_blank_line(
    server: SSEServer, http: Http, pieces: tuple[str, str]
) -> None:
    gate = Gate()
    server.otherwise(Reply.stream().send(pieces[0]).wait_for(gate).send(pieces[1]).stall())
    with following(http(server.url())) as client:
        events = client.events
        assert next(events).data == "one"
        gate.open()
        assert next(events).data == "two"


def test_a_stream_can_arrive_one_byte_at_a_time(server: SSEServer, http: Http) -> None:
    server.otherwise(Reply.stream().comment("ü").event("日本\n\n", event="x", id="é").in_pieces(1))
    with SSEClient(http(server.url())) as client:
        seen = [it for it in client.all if isinstance(it, (Event, Comment))]
    assert seen == [Comment(" ü"), Event("x", "日本\n\n", "é", "é")]


def test_events_before_a_lost_connection_are_delivered_first(server: SSEServer, http: Http) -> None:
    server.enqueue(Reply.stream().event("a").event("b").send("data: ha").drop_connection())
    server.otherwise(Reply.stream().send("lf\n\n").event("c").stall())
    with following(http(server.url())) as client:
        kinds = list(itertools.islice(client.all, 6))
    assert [type(action) for action in kinds] == [Start, Event, Event, Fault, Start, Event]
    fault, last = kinds[3], kinds[5]
    assert isinstance(fault, Fault)
    assert isinstance(fault.error, ReadError)
    assert str(fault.error) == "the server closed the connection mid-response"
    assert isinstance(last, Event)
    assert last.data == "c"


# Resuming


def test_nothing_is_lost_or_repeated_over_many_disconnects(server: SSEServer, http: Http) -> None:
    feed = Feed()
    for number in range(100):
        feed.push(str(number))
    for take in itertools.islice(itertools.cycle([1, 4, 0, 7]), 20):
        reply = Reply.stream().resume(feed, take=take, and_half=take > 1)
        server.enqueue(reply.reset() if take % 2 else reply.drop_connection())
    server.otherwise(Reply.stream().resume(feed))
    with following(http(server.url())) as client:
        seen = [int(event.data) for event in itertools.islice(client.events, 100)]
    assert seen == list(range(100))


@pytest.mark.parametrize(
    ("sent", "then"),
    [
        ("id: 1\n\n", "1"),
        ("id: 1\ndata: a\n\nid\n\n", None),
        ("id: 1\ndata: a\n\nid: 2\x00\n\n", "1"),
        ("id: 1\n\nid: 2\n", "1"),
        ("id: é日\n\n", "é日"),
        ("id: \x7f\n\n", None),
        ("data: a\n\n", None),
    ],
)
def test_the_last_id_is_sent(server: SSEServer, http: Http, sent: str, then: str | None) -> None:
    server.enqueue(Reply.stream().send(sent), Reply.stream(), Reply.status(204))
    with following(http(server.url())) as client, pytest.raises(HTTPStatusError):
        list(client.events)
    # The id is kept after a connection without one.
    assert [request.last_event_id for request in server.requests] == [None, then, then]


@pytest.mark.parametrize("id", ["1\r\nX-Evil: 1", "1\n", "1\r", "1\0"])
def test_a_preset_id_cannot_inject_a_header(http: Http, id: str) -> None:
    with pytest.raises(ValueError, match="last_event_id"):
        SSEClient(http("http://localhost/"), last_event_id=id)


def test_a_received_id_replaces_the_users_header(server: SSEServer, http: Http) -> None:
    server.enqueue(Reply.stream().event("a", id="2"), Reply.status(204))
    connect = http(server.url(), headers={"last-event-id": "1"})
    with following(connect) as client, pytest.raises(HTTPStatusError):
        list(client.events)
    assert [request.headers.get_all("last-event-id") for request in server.requests] == [
        ["1"],
        ["2"],
    ]


# Unsafe requests


@pytest.mark.parametrize(
    "reply",
    [
        Reply.stream().event("a").drop_connection(),
        Reply.stream().event("a").end(),
        Reply.stream().event("a").reset(),
        Reply.raw(""),
        Reply.status(503),
        Reply.redirect(307, "http://127.0.0.1:1/"),
    ],
    ids=["drop", "end", "reset", "no response", "503", "redirect to a closed port"],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_an_unsafe_request_is_sent_once(
    server: SSEServer, http: Http, reply: Reply, method: str
) -> None:
    server.enqueue(reply)
    server.otherwise(Reply.stream().event("again").stall())
    client = following(http(server.url(), method=method, body="x"), CONTINUE)
    seen: list[str] = []
    with client, contextlib.suppress(SSEError):
        seen += (event.data for event in client.events)
    assert "again" not in seen
    assert server.request_count == 1


def test_an_unsafe_request_is_repeated_with_repeat_unsafe(server: SSEServer, http: Http) -> None:
    server.enqueue(Reply.stream().event("a", id="1").drop_connection())
    server.otherwise(Reply.stream().event("b"))
    with following(http(server.url(), method="POST", body="x"), CONTINUE) as client:
        events = client.events
        assert next(events).data == "a"
        with pytest.raises(ReadError):
            next(events)
        # Not empty, which would look like a complete answer.
        with pytest.raises(ReadError):
            list(client.events)
        client.start()
        assert next(client.events).data == "b"
    assert [(it.body, it.last_event_id) for it in server.requests][:2] == [
        (b"x", None),
        (b"x", "1"),
    ]


def test_an_unsafe_request_is_repeated_if_it_was_never_sent(server: SSEServer, http: Http) -> None:
    server.otherwise(Reply.stream().event("a"))
    server.stop()

    def restart(error: Exception | None) -> tuple[bool, None]:
        assert isinstance(error, ConnectError)
        server.restart()
        return ErrorStrategy.CONTINUE, None

    client = following(http(server.url(), method="POST"), ErrorStrategy.from_lambda(restart))
    with client:
        assert next(client.events).data == "a"


# Redirects


def test_each_attempt_starts_at_the_original_url(server: SSEServer, http: Http) -> None:
    server.enqueue(Reply.redirect(301, "/b"), Reply.stream(), Reply.stream(), Reply.status(204))
    connect = http(server.url("/a"), headers={"Authorization": "x"})
    with following(connect) as client, pytest.raises(HTTPStatusError):
        list(client.events)
    assert [request.path for request in server.requests] == ["/a", "/b", "/a", "/a"]
    assert all(request.headers["authorization"] == "x" for request in server.requests)


def test_secrets_never_follow_a_redirect_to_another_origin(server: SSEServer, http: Http) -> None:
    secrets = {"Authorization": "a", "COOKIE": "b", "proxy-authorization": "c"}
    with SSEServer() as other:
        server.enqueue(Reply.redirect(308, "/near"), Reply.redirect(307, other.url("/away")))
        other.enqueue(Reply.redirect(302, server.url("/back")))
        server.otherwise(Reply.stream().event("x"))
        with SSEClient(http(server.url("/"), headers=secrets | {"User-Agent": "y"})) as client:
            assert [event.data for event in client.events] == ["x"]
        home, near, back = server.requests
        (away,) = other.requests
    for name in secrets:
        assert name in home.headers
        assert name in near.headers
        assert name not in away.headers
        assert name not in back.headers
    assert away.headers["user-agent"] == back.headers["user-agent"] == "y"


def test_a_loop_of_redirects_ends(server: SSEServer, http: Http) -> None:
    server.otherwise(Reply.redirect(302, "/"))
    with following(http(server.url())) as client, pytest.raises(HTTPRedirectError):
        list(client.events)
    assert server.request_count == 11


def test_secrets_appear_in_no_message(server: SSEServer, http: Http) -> None:
    replies = [
        Reply.status(500),
        Reply.status(200),
        Reply.raw(""),
        Reply.redirect(302, "ftp://u:secret@h/?secret"),
        Reply.redirect(302, "http://u:secret@127.0.0.1:1/?secret"),
        Reply.stream().header("Content-Encoding", "what"),
        Reply.stream().reset(),
        Reply.stream().stall(),
    ]
    server.enqueue(*replies)
    url = server.url("/?q=secret").replace("//", "//user:secret@")
    connect = http(url, headers={"X-Key": "secret"}, read_timeout=0.3)
    with following(connect, ErrorStrategy.always_fail()) as client:
        for _ in replies:
            with pytest.raises(SSEError) as info:
                list(client.events)
            assert "secret" not in f"{info.value} {info.value!r}"
    assert "secret" not in repr(connect)


# Delays


def test_a_server_that_hangs_up_meets_growing_delays(server: SSEServer, http: Http) -> None:
    server.otherwise(Reply.stream().event("x"))
    delays = RetryDelayStrategy.default(jitter_multiplier=0)
    seen = []
    with SSEClient(http(server.url()), 0.01, delays, error_strategy=RECONNECT) as client:
        for action in client.all:
            if isinstance(action, Fault):
                seen.append(client.next_retry_delay)
                if len(seen) == 4:
                    break
    assert seen == pytest.approx([0.01, 0.02, 0.04, 0.08])


@pytest.mark.parametrize(("value", "delay"), [("7", 7), ("0", 1), ("soon", 1)])
def test_retry_after_is_the_minimum_of_one_delay(
    server: SSEServer, http: Http, value: str, delay: float
) -> None:
    server.otherwise(Reply.status(503).header("Retry-After", value))
    delays = RetryDelayStrategy.default(jitter_multiplier=0)
    with SSEClient(http(server.url()), 1, delays) as client, pytest.raises(HTTPStatusError):
        client.start()
    assert client.next_retry_delay == delay


def test_no_server_makes_a_client_wait_longer_than_its_cap(server: SSEServer, http: Http) -> None:
    server.enqueue(Reply.status(503).header("Retry-After", "7"), Reply.stream().retry(45_000))
    with SSEClient(http(server.url()), 1, RetryDelayStrategy.default(max_delay=2)) as client:
        with pytest.raises(HTTPStatusError):
            client.start()
        assert client.next_retry_delay == 2
        client.start()
        assert list(client.events) == []
        assert 1 <= client.next_retry_delay <= 2


def test_retry_sets_the_base_and_has_a_floor(server: SSEServer, http: Http) -> None:
    server.enqueue(Reply.stream().retry(0), Reply.stream().retry(45_000))
    delays = RetryDelayStrategy.default(jitter_multiplier=0)
    with SSEClient(http(server.url()), 5, delays) as client:
        assert list(client.events) == []
        assert client.next_retry_delay == pytest.approx(0.1)
        assert list(client.events) == []
        # The server can exceed the default cap of 30 s.
        assert client.next_retry_delay >= 45


# Timeouts


def test_a_read_timeout_reconnects(server: SSEServer, http: Http) -> None:
    server.enqueue(Reply.stream().event("a").stall(), Reply.raw("").stall())
    server.otherwise(Reply.stream().event("b").stall())
    with following(http(server.url(), read_timeout=SHORT), CONTINUE) as client:
        actions = list(itertools.islice(client.all, 6))
    faults = [action.error for action in actions if isinstance(action, Fault)]
    assert [type(fault) for fault in faults] == [ReadTimeoutError, ReadTimeoutError]
    assert [action.data for action in actions if isinstance(action, Event)] == ["a", "b"]


def test_comments_reset_the_read_timeout(server: SSEServer, http: Http) -> None:
    reply = Reply.stream()
    for _ in range(6):
        reply = reply.comment("life").pause(0.3)
    server.otherwise(reply.event("x"))
    with SSEClient(http(server.url(), read_timeout=1.5)) as client:
        assert [event.data for event in client.events] == ["x"]


def test_a_slow_consumer_causes_no_read_timeout(server: SSEServer, http: Http) -> None:
    gate = Gate()
    server.otherwise(Reply.stream().event("a").wait_for(gate).event("b").stall())
    with SSEClient(http(server.url(), read_timeout=SHORT)) as client:
        events = client.events
        assert next(events).data == "a"
        gate.open()
        busy_until = time.monotonic() + 1.5 * SHORT
        while time.monotonic() < busy_until:
            sum(range(1000))
        assert next(events).data == "b"


def test_a_missing_response_is_a_request_error(server: SSEServer, http: Http) -> None:
    server.otherwise(Reply.raw("HTTP/1.1 200").reset())
    text = "^the server reset the connection before responding$"
    with SSEClient(http(server.url())) as client, pytest.raises(RequestError, match=text):
        client.start()
