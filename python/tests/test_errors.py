from __future__ import annotations

import errno
import pickle
import time
from email.utils import formatdate

import pytest

from everstream import SSEClient, errors
from everstream.config import ConnectionResult, ConnectStrategy
from everstream.errors import HTTPContentTypeError, HTTPStatusError
from everstream.testing import Reply, SSEServer
from sources import Scripted
from transports import ALL, read, transport_fixture

by = transport_fixture(ALL)

REFUSED = "http://127.0.0.1:1/"


def test_errors_have_the_constructors_of_launchdarkly_eventsource() -> None:
    status = HTTPStatusError(404)
    assert (status.status, status.headers) == (404, None)
    assert HTTPStatusError(404, {"a": "b"}).headers == {"a": "b"}
    content_type = HTTPContentTypeError("text/html")
    assert (content_type.content_type, content_type.headers) == ("text/html", None)
    assert HTTPContentTypeError("text/html", {"a": "b"}).headers == {"a": "b"}
    assert "404" in str(status)
    assert "text/html" in str(content_type)


def test_every_exception_is_an_sse_error() -> None:
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.SSEError)


@pytest.mark.parametrize("status", [204, 404, 503])
def test_an_error_status_is_an_error(server: SSEServer, status: int) -> None:
    server.enqueue(Reply.status(status).header("X-Reason", "because"))
    with SSEClient(server.url()) as client, pytest.raises(HTTPStatusError) as raised:
        client.start()
    assert raised.value.status == status
    assert raised.value.headers is not None
    assert raised.value.headers["x-reason"] == "because"
    assert raised.value.url == server.url()


RESPONSES: dict[str, Reply] = {
    "HTTPStatusError": Reply.status(503),
    "HTTPContentTypeError": Reply.status(201).header("Content-Type", "text/html"),
    "HTTPContentEncodingError": Reply.stream().header("Content-Encoding", "rot13"),
    "HTTPRedirectError": Reply.redirect(302, "ftp://example.com/"),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_every_error_of_a_response_has_its_status_headers_and_retry_after(
    name: str, by: str, server: SSEServer
) -> None:
    status = {"HTTPStatusError": 503, "HTTPContentTypeError": 201, "HTTPRedirectError": 302}
    server.enqueue(RESPONSES[name].header("Retry-After", "7"))
    _, error = read(by, server.url())
    assert isinstance(error, errors.HTTPResponseError)
    assert type(error) is getattr(errors, name)
    assert error.status == status.get(name, 200)
    assert error.headers is not None
    assert error.headers["retry-after"] == "7"
    assert error.retry_after == 7
    assert error.url == server.url()


def test_retry_after_is_none_without_a_valid_header() -> None:
    assert HTTPStatusError(503).retry_after is None
    assert HTTPStatusError(503, {"Retry-After": "soon"}).retry_after is None
    assert HTTPStatusError(503, {"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}).retry_after == 0
    date = formatdate(time.time() + 100, usegmt=True)
    assert 90 < (HTTPStatusError(503, {"Retry-After": date}).retry_after or 0) <= 100


def test_a_source_may_set_the_status_of_a_wrong_content_type() -> None:
    error = HTTPContentTypeError("text/html", status=201)
    assert (error.status, HTTPContentTypeError("text/html").status) == (201, 200)

    def connect(_: str | None) -> ConnectionResult:
        raise error

    with SSEClient(Scripted(connect)) as client, pytest.raises(HTTPContentTypeError) as raised:
        client.start()
    assert raised.value is error


def test_an_error_has_the_beginning_of_the_body(server: SSEServer) -> None:
    server.enqueue(Reply.status(500).header("Content-Length", "3").send("no!"))
    with SSEClient(server.url()) as client, pytest.raises(HTTPStatusError) as raised:
        next(client.all)
    assert raised.value.body == b"no!"


def test_a_wrong_content_type_is_an_error(server: SSEServer) -> None:
    server.enqueue(Reply.stream().header("Content-Type", "text/html").event("x"))
    with SSEClient(server.url()) as client, pytest.raises(HTTPContentTypeError) as raised:
        client.start()
    assert raised.value.content_type == "text/html"
    assert raised.value.headers is not None
    assert raised.value.body.startswith(b"data: x")


def test_a_refused_connection_is_a_connection_error() -> None:
    with SSEClient(REFUSED) as client, pytest.raises(ConnectionError) as raised:
        client.start()
    assert isinstance(raised.value, errors.ConnectError)
    assert raised.value.errno is not None
    assert "refused" in str(raised.value)


def test_a_connect_timeout_is_a_timeout_error(unresponsive_url: str) -> None:
    strategy = ConnectStrategy.http(unresponsive_url, connect_timeout=0.05)
    with SSEClient(strategy) as client, pytest.raises(TimeoutError) as raised:
        client.start()
    assert isinstance(raised.value, errors.ConnectTimeoutError)
    assert isinstance(raised.value, ConnectionError)


def test_a_read_timeout_is_a_timeout_error(server: SSEServer) -> None:
    server.enqueue(Reply.stream().stall())
    strategy = ConnectStrategy.http(server.url(), read_timeout=0.05)
    with SSEClient(strategy) as client, pytest.raises(TimeoutError) as raised:
        next(client.events)
    assert isinstance(raised.value, errors.ReadTimeoutError)
    assert "read_timeout" in str(raised.value)


def test_a_broken_connection_is_a_connection_error(server: SSEServer) -> None:
    server.enqueue(Reply.stream().event("x").drop_connection())
    with SSEClient(server.url()) as client:
        events = client.events
        assert next(events).data == "x"
        with pytest.raises(ConnectionError) as raised:
            next(events)
    assert isinstance(raised.value, errors.ReadError)
    assert str(raised.value) == "the server closed the connection mid-response"


def test_a_reset_connection_has_the_errno_of_the_system(server: SSEServer) -> None:
    server.enqueue(Reply.stream().event("x").reset())
    with SSEClient(server.url()) as client, pytest.raises(errors.ReadError) as raised:
        list(client.events)
    assert str(raised.value) == "the server reset the connection mid-response"
    assert raised.value.errno == errno.ECONNRESET


def test_a_request_without_a_response_is_a_connection_error(server: SSEServer) -> None:
    server.enqueue(Reply.on_accept().drop_connection())
    with SSEClient(server.url()) as client, pytest.raises(ConnectionError) as raised:
        client.start()
    assert isinstance(raised.value, errors.RequestError)


def test_an_event_that_is_too_large_is_an_error(server: SSEServer) -> None:
    server.enqueue(Reply.stream().event("x" * 2000).stall())
    strategy = ConnectStrategy.http(server.url(), max_event_size=1000)
    with SSEClient(strategy) as client, pytest.raises(errors.EventTooLargeError):
        next(client.events)


def test_a_redirect_without_a_valid_location_is_an_error(server: SSEServer) -> None:
    server.enqueue(Reply.redirect(302, "ftp://example.com/"))
    with SSEClient(server.url()) as client, pytest.raises(errors.HTTPRedirectError) as raised:
        client.start()
    assert raised.value.status == 302


def test_an_unknown_content_encoding_is_an_error(server: SSEServer) -> None:
    server.enqueue(Reply.stream().header("Content-Encoding", "rot13"))
    with (
        SSEClient(server.url()) as client,
        pytest.raises(errors.HTTPContentEncodingError) as raised,
    ):
        client.start()
    assert raised.value.content_encoding == "rot13"


def test_errors_can_be_pickled(server: SSEServer) -> None:
    made = [
        HTTPStatusError(404, {"a": "b", "Retry-After": "7"}),
        HTTPContentTypeError("text/html", status=201),
    ]
    server.enqueue(Reply.status(503))
    with SSEClient(server.url()) as client, pytest.raises(HTTPStatusError) as raised:
        client.start()
    for error in [*made, raised.value]:
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error)
        assert str(copy) == str(error)
        assert copy.headers == error.headers
        assert (copy.url, copy.body) == (error.url, error.body)
        assert (copy.status, copy.retry_after) == (error.status, error.retry_after)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@127.0.0.1:1/feed?token=secret#secret",
        "http://user:secret@127.0.0.1:99999/?token=secret",
        "ftp://user:secret@127.0.0.1/?token=secret",
    ],
)
def test_no_message_contains_a_secret(url: str) -> None:
    headers = {"Authorization": "secret"}
    with pytest.raises((errors.ConnectError, ValueError)) as raised:
        SSEClient(ConnectStrategy.http(url, headers=headers)).start()
    assert "secret" not in str(raised.value)
    assert "secret" not in repr(raised.value)


def test_secrets_in_response_headers_are_not_printed(server: SSEServer) -> None:
    reply = Reply.status(302).header("Location", "gopher://u:hidden@h/?hidden")
    server.enqueue(reply.header("Set-Cookie", "hidden"))
    url = server.url("/?token=hidden")
    with SSEClient(url) as client, pytest.raises(errors.HTTPRedirectError) as raised:
        client.start()
    assert raised.value.headers is not None
    assert "hidden" in raised.value.headers["set-cookie"]
    for text in (str(raised.value), repr(raised.value), repr(raised.value.headers)):
        assert "hidden" not in text


def test_a_strategy_is_printed_without_secrets() -> None:
    strategy = ConnectStrategy.http("http://u:secret@host/feed?token=secret")
    assert repr(strategy) == "ConnectStrategy.http('http://host/feed')"
