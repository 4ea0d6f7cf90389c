"""HTTP in the blocking client: the same rules over urllib3 and httpx."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from conftest import LIMIT, SHORT, Over
from everstream import SSEClient
from everstream.actions import Fault, Start
from everstream.config import ErrorStrategy, RetryDelayStrategy
from everstream.errors import (
    ConnectError,
    ConnectTimeoutError,
    EventTooLargeError,
    HTTPContentEncodingError,
    HTTPContentTypeError,
    HTTPRedirectError,
    HTTPStatusError,
    ReadError,
    ReadTimeoutError,
    RequestError,
)
from everstream.testing import Gate, Reply, SSEServer


def events(client: SSEClient) -> list[str]:
    return [event.data for event in client.events]


CONTINUE = ErrorStrategy.always_continue()


def test_interim_responses_are_skipped(server: SSEServer, over: Over) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\n"
    going_on = b"HTTP/1.1 100 Continue\r\n\r\n"
    for first in (hints, hints + hints, going_on + hints, hints + going_on):
        server.enqueue(Reply.raw(first + head + b"data: a\n\n"))
        with SSEClient(over(server.url("/"))) as client:
            assert events(client) == ["a"]


# The request


def test_the_request_has_the_headers_of_an_event_stream(server: SSEServer, over: Over) -> None:
    server.otherwise(Reply.stream().event("a"))
    connect = over(server.url("/feed"), headers={"X-Name": "Grüße", "ACCEPT": b"text/*"})
    with SSEClient(connect) as client:
        assert events(client) == ["a"]
    (request,) = server.requests
    assert (request.method, request.target, request.body) == ("GET", "/feed", b"")
    assert request.headers["x-name"] == "Grüße"
    assert request.headers.get_all("accept") == ["text/*"]
    assert request.headers["cache-control"] == "no-cache"
    assert request.last_event_id is None


def test_an_id_is_sent_as_utf_8(server: SSEServer, over: Over) -> None:
    """http.client supports only Latin-1, so such an id made every reconnect fail."""
    server.enqueue(Reply.stream().retry(1).event("a", id="日本"), Reply.stream().event("b"))
    with SSEClient(over(server.url()), 0) as client:
        assert events(client) == ["a"]
        assert events(client) == ["b"]
    assert server.requests[1].last_event_id == "日本"


def test_spaces_around_an_id_do_not_break_the_reconnect(server: SSEServer, over: Over) -> None:
    """Spaces around a value aren't part of it (RFC 9110, section 5.5), and httpx refuses them."""
    first = Reply.stream().retry(1).send("id:  a \ndata: a\n\n")
    server.enqueue(first, Reply.stream().event("b"))
    with SSEClient(over(server.url()), 0) as client:
        assert events(client) == ["a"]
        assert client.last_event_id == " a "
        assert events(client) == ["b"]
    assert server.requests[1].last_event_id == "a"


def test_an_id_that_cannot_be_sent_is_kept(server: SSEServer, over: Over) -> None:
    server.enqueue(Reply.stream().send("id: a\x01b\ndata: a\n\n"), Reply.stream().event("b"))
    with SSEClient(over(server.url()), 0) as client:
        assert events(client) == ["a"]
        assert events(client) == ["b"]
        assert client.last_event_id == "a\x01b"
    assert server.requests[1].last_event_id is None


def test_query_params_is_called_for_each_connection(server: SSEServer, over: Over) -> None:
    server.otherwise(Reply.stream().event("x"))
    numbers = iter(range(2))
    connect = over(
        server.url("/?keep=1&keep=2&n=old&=%20"),
        query_params=lambda: [("n", next(numbers)), ("list", ["a&b", "ü"])],
    )
    with SSEClient(connect, 0) as client:
        list(client.events)
        list(client.events)
    assert [request.query for request in server.requests] == [
        f"keep=1&keep=2&=%20&n={n}&list=a%26b&list=%C3%BC" for n in range(2)
    ]


def test_user_info_becomes_a_header(server: SSEServer, over: Over) -> None:
    server.otherwise(Reply.stream().event("x"))
    with SSEClient(over(server.url().replace("//", "//me:p%40ss@"))) as client:
        list(client.events)
    assert server.requests[0].headers["authorization"] == "Basic bWU6cEBzcw=="


# Buffering


@pytest.mark.parametrize("framing", ["chunked", "close_delimited", "content_length"])
def test_an_event_arrives_as_soon_as_it_is_flushed(
    server: SSEServer, framing: str, over: Over
) -> None:
    """launchdarkly-eventsource delayed such events until 10,000 bytes had arrived."""
    gate = Gate()
    reply = Reply.stream()
    reply = reply.content_length(22) if framing == "content_length" else getattr(reply, framing)()
    server.otherwise(reply.send("data: one\n\n").wait_for(gate).send("data: two\n\n"))
    with SSEClient(over(server.url(), read_timeout=LIMIT)) as client:
        reading = client.events
        assert next(reading).data == "one"
        gate.open()
        assert next(reading).data == "two"
        assert list(reading) == []


@pytest.mark.parametrize("framing", ["chunked", "close_delimited"])
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_events_arrive_as_soon_as_they_are_flushed(
    server: SSEServer, framing: str, coding: str, over: Over
) -> None:
    gate = Gate()
    packer = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    one = packer.compress(b"data: one\n\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    two = packer.compress(b"data: two\n\n") + packer.flush()
    reply = getattr(Reply.stream(), framing)().header("Content-Encoding", coding)
    server.otherwise(reply.send(one).wait_for(gate).send(two))
    with SSEClient(over(server.url(), read_timeout=LIMIT)) as client:
        reading = client.events
        assert next(reading).data == "one"
        gate.open()
        assert next(reading).data == "two"


def test_large_and_many_events_arrive_whole(server: SSEServer, over: Over) -> None:
    large = "x" * 1_000_000
    reply = Reply.stream().event(large)
    for number in range(1000):
        reply = reply.event(str(number))
    server.otherwise(reply)
    with SSEClient(over(server.url())) as client:
        assert events(client) == [large, *map(str, range(1000))]


def test_an_event_larger_than_accepted_is_an_error(server: SSEServer, over: Over) -> None:
    server.otherwise(Reply.stream().event("x" * 2000))
    with (
        SSEClient(over(server.url(), max_event_size=1000)) as client,
        pytest.raises(EventTooLargeError),
    ):
        list(client.events)


# The response


def test_a_start_has_the_head_of_the_response(server: SSEServer, over: Over) -> None:
    server.enqueue(Reply.redirect(307, "/there?q=1"))
    server.enqueue(Reply.stream().with_status(206).header("X-Name", "Grüße").event("x"))
    with SSEClient(over(server.url())) as client:
        start = next(client.all)
    assert isinstance(start, Start)
    assert (start.status, start.url) == (206, server.url("/there?q=1"))
    assert start.headers is not None
    assert start.headers["x-name"] == "Grüße"


@pytest.mark.parametrize("status", [204, 304, 401, 503])
def test_a_status_is_an_error_with_the_response(server: SSEServer, status: int, over: Over) -> None:
    body = "" if status in (204, 304) else "sorry" * 1000
    server.otherwise(Reply.status(status).header("X-Why", "so").send(body))
    with SSEClient(over(server.url("/?secret"))) as client, pytest.raises(HTTPStatusError) as info:
        client.start()
    error = info.value
    assert (error.status, error.url) == (status, server.url("/?secret"))
    assert error.headers is not None
    assert error.headers["x-why"] == "so"
    assert error.body == body[:1024].encode()
    assert "secret" not in str(error)


def test_an_error_body_that_stalls_does_not_delay_the_error(server: SSEServer, over: Over) -> None:
    server.otherwise(Reply.status(500).content_length(100).send("half").stall())
    with SSEClient(over(server.url())) as client, pytest.raises(HTTPStatusError) as info:
        client.start()
    assert info.value.body == b"half"
    assert server.wait_for_open_connections(0)


@pytest.mark.parametrize("content_type", ["text/event-streamfoo", "text/html", ""])
def test_another_content_type_is_an_error(server: SSEServer, content_type: str, over: Over) -> None:
    server.otherwise(Reply.stream().header("Content-Type", content_type).send("no"))
    with SSEClient(over(server.url())) as client, pytest.raises(HTTPContentTypeError) as info:
        client.start()
    assert info.value.content_type == content_type
    assert info.value.body == b"no"


def test_a_content_type_is_judged_by_its_essence(server: SSEServer, over: Over) -> None:
    kind = "Text/Event-Stream ; charset=utf-8"
    server.otherwise(Reply.stream().header("Content-Type", kind).event("x"))
    with SSEClient(over(server.url())) as client:
        assert events(client) == ["x"]


def test_an_unknown_content_encoding_is_an_error(server: SSEServer, over: Over) -> None:
    server.otherwise(Reply.stream().header("Content-Encoding", "gzip, compress"))
    with SSEClient(over(server.url())) as client, pytest.raises(HTTPContentEncodingError) as info:
        client.start()
    assert info.value.content_encoding == "gzip, compress"


def test_retry_after_is_honored(server: SSEServer, over: Over) -> None:
    server.otherwise(Reply.status(503).header("Retry-After", "7"))
    strategy = RetryDelayStrategy.default(max_delay=100, jitter_multiplier=0)
    with SSEClient(over(server.url()), 1, strategy) as client:
        with pytest.raises(HTTPStatusError):
            client.start()
        assert client.next_retry_delay == 7


# Redirects


SECRETS = {"Authorization": "a", "Cookie": "b", "Proxy-Authorization": "c", "X-Mine": "d"}


@pytest.mark.parametrize("with_user_info", [False, True])
def test_credentials_stay_with_their_origin(
    server: SSEServer, other: SSEServer, with_user_info: bool, over: Over
) -> None:
    headers = dict(SECRETS)
    url = server.url("/a")
    if with_user_info:
        del headers["Authorization"]
        url = url.replace("//", "//me:secret@")
    server.enqueue(Reply.redirect(302, "/b"), Reply.redirect(307, other.url("/c")))
    other.enqueue(Reply.redirect(308, server.url("/d")))
    server.otherwise(Reply.stream().event("x"))
    with SSEClient(over(url, headers=headers)) as client:
        assert events(client) == ["x"]
    home, near, back = server.requests
    (away,) = other.requests
    for name in SECRETS:
        assert name in home.headers
        assert name in near.headers
    for request in (away, back):
        assert "x-mine" not in request.headers
        assert request.headers["host"] == f"127.0.0.1:{(other if request is away else server).port}"
        for name in ("authorization", "cookie", "proxy-authorization"):
            assert name not in request.headers


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [
        (301, "GET", b""),
        (302, "GET", b""),
        (303, "GET", b""),
        (307, "POST", b"x"),
        (308, "POST", b"x"),
    ],
)
def test_a_redirect_keeps_or_drops_the_body(
    server: SSEServer, status: int, method: str, body: bytes, over: Over
) -> None:
    server.enqueue(Reply.redirect(status, "there"), Reply.stream().event("x"))
    connect = over(server.url("/a/b"), method="POST", body=b"x", headers={"Content-Type": "a/b"})
    with SSEClient(connect) as client:
        assert events(client) == ["x"]
    request = server.requests[1]
    assert (request.method, request.path, request.body) == (method, "/a/there", body)
    assert ("content-type" in request.headers) == (method == "POST")


def test_a_host_header_stays_with_its_origin(
    server: SSEServer, other: SSEServer, over: Over
) -> None:
    server.enqueue(Reply.redirect(302, other.url()))
    other.enqueue(Reply.stream().event("x"))
    with SSEClient(over(server.url(), headers={"Host": "mine"})) as client:
        assert events(client) == ["x"]
    assert server.requests[0].headers["host"] == "mine"
    assert other.requests[0].headers["host"] == f"127.0.0.1:{other.port}"


@pytest.mark.parametrize(
    "location", [None, "ftp://127.0.0.1/", "http://a:b/", "http://[", "/again"]
)
def test_a_redirect_without_a_valid_location_is_an_error(
    server: SSEServer, location: str | None, over: Over, request: pytest.FixtureRequest
) -> None:
    reply = Reply.redirect(302, location or "").send("body")
    server.otherwise(reply if location else reply.without_header("Location"))
    with SSEClient(over(server.url())) as client, pytest.raises(HTTPRedirectError) as info:
        client.start()
    # httpx 0.28 closes a response that redirects to "http://a:b/" before it can be read.
    is_closed = location == "http://a:b/" and request.node.callspec.params["over"] == "httpx"
    assert (info.value.status, info.value.body) == (302, b"" if is_closed else b"body")
    assert server.request_count == (11 if location == "/again" else 1)


# Errors


def test_a_refused_connection_is_a_connect_error(server: SSEServer, over: Over) -> None:
    server.stop()
    with SSEClient(over(server.url("/?secret"))) as client, pytest.raises(ConnectError) as info:
        client.start()
    assert info.value.errno is not None
    assert "secret" not in str(info.value)


def test_a_connect_timeout_is_its_own_error(unresponsive_url: str, over: Over) -> None:
    with (
        SSEClient(over(unresponsive_url, connect_timeout=0.2)) as client,
        pytest.raises(ConnectTimeoutError),
    ):
        client.start()


def test_an_idle_stream_is_a_read_timeout(server: SSEServer, over: Over) -> None:
    server.enqueue(Reply.stream().stall(), Reply.stream().event("x").stall())
    with SSEClient(over(server.url(), read_timeout=SHORT), 0) as client:
        with pytest.raises(ReadTimeoutError):
            next(client.events)
        reading = client.events
        assert next(reading).data == "x"
        with pytest.raises(ReadTimeoutError):
            next(reading)


def test_a_missing_response_is_a_read_timeout(server: SSEServer, over: Over) -> None:
    server.otherwise(Reply.raw("").stall())
    with SSEClient(over(server.url(), read_timeout=0.3)) as client, pytest.raises(ReadTimeoutError):
        client.start()


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply.raw(""), "^the server closed the connection before responding$"),
        (Reply.raw("").reset(), "^the server reset the connection before responding$"),
    ],
)
def test_a_connection_closed_before_the_response_is_a_request_error(
    server: SSEServer, reply: Reply, text: str, over: Over
) -> None:
    server.otherwise(reply)
    with SSEClient(over(server.url())) as client, pytest.raises(RequestError, match=text):
        client.start()


HEAD_OF_CHUNKS = (
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


CLOSED = "^the server closed the connection mid-response$"


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply.stream().event("x").drop_connection(), CLOSED),
        (Reply.stream().event("x").reset(), "^the server reset the connection mid-response$"),
        (Reply.stream().content_length(100).event("x").drop_connection(), CLOSED),
        (Reply.raw(HEAD_OF_CHUNKS + "9\r\ndata: x\n\n\r\n5\r\nda"), CLOSED),
        (
            Reply.raw(HEAD_OF_CHUNKS + "9\r\ndata: x\n\n\r\nfive\r\ndata:\r\n").stall(),
            "^the connection failed: ",
        ),
    ],
    ids=["chunked", "reset", "length", "in a chunk", "bad chunk"],
)
def test_a_truncated_body_is_a_read_error_after_its_events(
    server: SSEServer, reply: Reply, text: str, over: Over
) -> None:
    server.otherwise(reply)
    with SSEClient(over(server.url())) as client:
        reading = client.events
        assert next(reading).data == "x"
        with pytest.raises(ReadError, match=text):
            next(reading)


def test_data_that_cannot_be_decoded_is_a_read_error(server: SSEServer, over: Over) -> None:
    server.otherwise(Reply.stream().header("Content-Encoding", "gzip").event("no gzip"))
    with SSEClient(over(server.url())) as client, pytest.raises(ReadError):
        list(client.events)


def test_a_body_without_a_length_ends_with_its_connection(server: SSEServer, over: Over) -> None:
    server.otherwise(Reply.stream().close_delimited().event("x").drop_connection())
    with SSEClient(over(server.url())) as client:
        assert events(client) == ["x"]


@pytest.mark.parametrize("ending", ["broken", "no answer", "status"])
def test_a_post_is_not_sent_twice(server: SSEServer, ending: str, over: Over) -> None:
    replies = {
        "broken": Reply.stream().event("x").reset(),
        "no answer": Reply.raw(""),
        "status": Reply.status(500),
    }
    server.otherwise(replies[ending])
    connect = over(server.url(), method="POST", body="x")
    with SSEClient(connect, 0, error_strategy=CONTINUE) as client, pytest.raises(Exception):  # noqa: B017, PT011
        for _ in client.all:
            pass
    assert server.request_count == 1


def test_a_post_that_was_never_sent_is_repeated(server: SSEServer, over: Over) -> None:
    server.otherwise(Reply.stream().event("x"))
    server.stop()
    connect = over(server.url(), method="POST", body="x")
    with SSEClient(connect, 0, error_strategy=CONTINUE) as client:
        reading = client.all
        fault = next(reading)
        assert isinstance(fault, Fault)
        assert isinstance(fault.error, ConnectError)
        server.restart()
        assert next(action for action in reading if isinstance(action, Start)).status == 200


def test_a_get_is_resumed_after_a_lost_connection(server: SSEServer, over: Over) -> None:
    server.enqueue(
        Reply.stream().event("a", id="1").reset(), Reply.raw(""), Reply.stream().event("b")
    )
    with SSEClient(over(server.url()), 0, error_strategy=ErrorStrategy.reconnect()) as client:
        reading = client.events
        assert [next(reading).data, next(reading).data] == ["a", "b"]
    assert server.requests[2].last_event_id == "1"


# Invalid settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"headers": {"a b": "c"}}, "header"),
        ({"headers": {"a": "secret\r\nb: c"}}, "control characters"),
        ({"headers": {"a": 1}}, "str or bytes"),
        ({"method": "GET /"}, "method"),
    ],
)
def test_invalid_settings_are_refused(options: dict[str, Any], message: str, over: Over) -> None:
    with pytest.raises((TypeError, ValueError), match=message) as info:
        over("http://localhost/", **options)
    assert "secret" not in str(info.value)


@pytest.mark.parametrize(
    "url", ["nowhere", "ftp://localhost/", "http://", "http://a:b/", "http://["]
)
def test_an_invalid_url_is_refused(url: str, over: Over) -> None:
    with pytest.raises(ValueError, match="url"):
        over(url)
