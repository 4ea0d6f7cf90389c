"""The rules of HTTP, which are the same over every transport."""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import pytest

from async_sources import connect_by, run
from conftest import LIMIT
from everstream import AsyncSSEClient, SSEClient
from everstream.actions import Action, Event, Start
from everstream.config import ConnectStrategy, ErrorStrategy
from everstream.errors import (
    HTTPContentEncodingError,
    HTTPContentTypeError,
    HTTPRedirectError,
    HTTPStatusError,
    SSEError,
)
from everstream.testing import Reply, SSEServer
from httpx_clients import LIBRARIES, new_client, skip_if_missing
from sources import Passing

THRICE = ErrorStrategy.continue_with_max_attempts(3)


TRANSPORTS = ["own", "wrapped", "urllib3", "async", "async wrapped", "aiohttp"]
# test_httpx.py tests all four kinds of clients.
OVER_HTTPX = ["httpx", "async httpx2"]


@pytest.fixture(params=[*TRANSPORTS, *OVER_HTTPX])
def by(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    skip_if_missing(kind)
    return kind


def is_event(action: Action) -> bool:
    return isinstance(action, Event)


def is_start(action: Action) -> bool:
    return isinstance(action, Start)


def read(
    by: str,
    url: str,
    until: Callable[[Action], bool],
    *,
    errors: ErrorStrategy | None = None,
    **options: Any,
) -> tuple[list[Action], BaseException | None]:
    """All actions up to the first that matches, and the error if the iteration ended before."""
    actions: list[Action] = []
    logger = logging.getLogger("mine")
    errors = errors or ErrorStrategy.always_fail()

    async def read_async(kind: str) -> None:
        connect = connect_by(kind, url, **options)
        async with AsyncSSEClient(connect, 0, error_strategy=errors, logger=logger) as client:
            async for action in client.all:
                actions.append(action)
                if until(action):
                    return

    def read_blocking() -> None:
        if by == "urllib3" and options.get("pool") is None:
            options.setdefault("urllib3_request_options", {})
        if by in LIBRARIES:
            options.setdefault("client", new_client(by))
        connect = ConnectStrategy.http(url, **options)
        if by == "wrapped":
            connect = Passing(connect)
        with SSEClient(connect, 0, error_strategy=errors, logger=logger) as client:
            for action in client.all:
                actions.append(action)
                if until(action):
                    return

    try:
        if by == "aiohttp" or by.startswith("async"):
            run(read_async(by.removeprefix("async ")))
        else:
            read_blocking()
    except SSEError as error:
        return actions, error
    return actions, None


def data(actions: list[Action]) -> list[str]:
    return [action.data for action in actions if isinstance(action, Event)]


# Repeating requests


@pytest.mark.parametrize(
    "reply",
    [
        Reply.redirect(302, "ftp://localhost/"),
        Reply.status(302),
        Reply.stream().header("Content-Encoding", "compress"),
        Reply.stream().header("Content-Type", "text/html"),
        Reply.status(500),
        Reply.raw(""),
        Reply.raw("").reset(),
    ],
    ids=["scheme", "no location", "coding", "type", "status", "no answer", "reset"],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_request_that_is_not_safe_is_sent_once(
    server: SSEServer, by: str, method: str, reply: Reply
) -> None:
    server.otherwise(reply)
    read(by, server.url(), is_start, errors=THRICE, method=method, body="x")
    assert server.request_count == 1


def test_a_post_in_a_redirect_loop_is_sent_once_to_each_url(server: SSEServer, by: str) -> None:
    server.otherwise(Reply.redirect(307, "/"))
    _, error = read(by, server.url(), is_start, errors=THRICE, method="POST", body="x")
    assert isinstance(error, HTTPRedirectError)
    assert server.request_count == 11


@pytest.mark.parametrize("reply", [Reply.status(503), Reply.raw("")], ids=["status", "no answer"])
def test_the_retries_of_a_pool_do_not_repeat_a_post(server: SSEServer, reply: Reply) -> None:
    urllib3 = pytest.importorskip("urllib3")
    server.otherwise(reply)
    retry = urllib3.Retry(3, status_forcelist=[503], allowed_methods=None, redirect=3)
    with urllib3.PoolManager(retries=retry) as pool:
        read("urllib3", server.url(), is_start, pool=pool, method="POST", body="x")
    assert server.request_count == 1


def test_an_exception_in_query_params_means_no_request_was_sent(server: SSEServer, by: str) -> None:
    """No request was sent, so even a POST can be retried."""

    class TokenServerError(Exception):
        pass

    calls: list[int] = []

    def query_params() -> dict[str, str]:
        calls.append(1)
        if len(calls) == 1:
            raise TokenServerError("not now")
        return {"token": "1"}

    server.enqueue(Reply.stream().event("a"))
    options: dict[str, Any] = {"method": "POST", "body": "x", "query_params": query_params}
    actions, _ = read(by, server.url(), is_event, errors=THRICE, **options)
    assert data(actions) == ["a"]
    assert server.requests[0].query == "token=1"


# Headers and origins


def test_a_header_stays_with_its_origin_and_a_warning_names_it(
    server: SSEServer, other: SSEServer, by: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.enqueue(Reply.redirect(307, "/near"), Reply.redirect(307, other.url("/there?secret")))
    other.enqueue(Reply.stream().stall())
    headers = {"X-Api-Key": "secret", "User-Agent": "me", "Accept-Language": "de"}
    with caplog.at_level(logging.WARNING, "mine"):
        actions, _ = read(by, server.url("/"), is_start, headers=headers)
    assert [request.headers["x-api-key"] for request in server.requests] == ["secret", "secret"]
    (there,) = other.requests
    assert "x-api-key" not in there.headers
    assert there.headers["user-agent"] == "me"
    assert there.headers["accept-language"] == "de"
    (start,) = actions
    assert isinstance(start, Start)
    assert start.withheld_headers == ("x-api-key",)
    assert [record.getMessage() for record in caplog.records] == [
        f"X-Api-Key was not sent to {other.url('/there')}: it was set for another origin"
    ]


def test_a_warning_explains_why_another_origin_refuses(
    server: SSEServer, other: SSEServer, by: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.enqueue(Reply.redirect(307, other.url("/there")))
    other.enqueue(Reply.status(401))
    headers = {"Authorization": "secret", "X-Team": "blue"}
    with caplog.at_level(logging.WARNING, "mine"):
        _, error = read(by, server.url("/"), is_start, headers=headers)
    assert isinstance(error, HTTPStatusError)
    assert sorted(error.withheld_headers) == ["authorization", "x-team"]
    warnings = [record.getMessage() for record in caplog.records]
    expected = f"were not sent to {other.url('/there')}: they were set for another origin"
    assert [text for text in warnings if expected in text] == warnings[:1]


def test_sensitive_headers_are_sent_to_their_own_origin(server: SSEServer, by: str) -> None:
    server.enqueue(Reply.redirect(307, "/near"), Reply.stream().stall())
    headers = {"X-Api-Key": "1"}
    actions, _ = read(
        by, server.url("/"), is_start, headers=headers, sensitive_headers=["x-API-key"]
    )
    assert [request.headers["x-api-key"] for request in server.requests] == ["1", "1"]
    (start,) = actions
    assert isinstance(start, Start)
    assert start.withheld_headers == ()


@pytest.mark.parametrize("names", ["X-Api-Key", [5], 5])
def test_sensitive_headers_are_a_list_of_names(by: str, names: Any) -> None:
    with pytest.raises(TypeError):
        read(by, "http://localhost/", is_start, sensitive_headers=names)


# What counts as a stream


@pytest.mark.parametrize(
    "types", [["text/html, text/event-stream"], ["text/html", "Text/Event-Stream;x=y"]]
)
def test_of_several_content_types_the_last_one_counts(
    server: SSEServer, by: str, types: list[str]
) -> None:
    lines = "".join(f"Content-Type: {value}\r\n" for value in types)
    server.enqueue(Reply.raw(f"HTTP/1.1 200 OK\r\n{lines}\r\ndata: a\n\n"))
    assert data(read(by, server.url(), is_event)[0]) == ["a"]
    server.enqueue(Reply.stream().header("Content-Type", "text/event-stream, text/html"))
    _, error = read(by, server.url(), is_event)
    assert isinstance(error, HTTPContentTypeError)


@pytest.mark.parametrize(
    "coding", ["none", "utf-8", "UTF8", "chunked", "identity, identity", "none,", "binary"]
)
def test_an_identity_coding_is_not_decoded(server: SSEServer, by: str, coding: str) -> None:
    server.enqueue(Reply.stream().header("Content-Encoding", coding).event("a").stall())
    assert data(read(by, server.url(), is_event)[0]) == ["a"]


@pytest.mark.parametrize("coding", ["gzip", "X-GZip", "identity, gzip", "none,gzip"])
def test_one_coding_is_decoded(server: SSEServer, by: str, coding: str) -> None:
    packer = zlib.compressobj(wbits=31)
    event = packer.compress(b"data: a\n\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    server.enqueue(Reply.stream().header("Content-Encoding", coding).send(event).stall())
    assert data(read(by, server.url(), is_event)[0]) == ["a"]


@pytest.mark.parametrize("coding", ["gzip, gzip", "gzip, deflate", "aws-chunked"])
def test_several_codings_are_an_error(server: SSEServer, by: str, coding: str) -> None:
    reply = Reply.stream().header("Content-Encoding", coding).send("as it is")
    server.enqueue(reply)
    _, error = read(by, server.url(), is_event)
    assert isinstance(error, HTTPContentEncodingError)
    assert error.content_encoding == coding
    assert error.body == b"as it is"


def test_the_body_of_an_error_is_decoded(server: SSEServer, by: str) -> None:
    packer = zlib.compressobj(wbits=31)
    body = packer.compress(b"sorry" * 1000) + packer.flush()
    server.enqueue(Reply.status(500).header("Content-Encoding", "x-gzip").send(body))
    _, error = read(by, server.url(), is_event)
    assert isinstance(error, HTTPStatusError)
    assert error.body == (b"sorry" * 1000)[:1024]


@pytest.mark.parametrize(
    "reply",
    [
        Reply.stream().header("Content-Type", "text/html").send("half").stall(),
        Reply.raw("HTTP/1.0 500 No\r\n\r\nhalf").stall(),
        Reply.raw("HTTP/1.1 500 No\r\nConnection: close\r\n\r\nhalf").stall(),
    ],
    ids=["chunked", "HTTP/1.0", "until it closes"],
)
def test_an_error_is_reported_even_if_its_body_never_ends(
    server: SSEServer, by: str, reply: Reply
) -> None:
    server.enqueue(reply)
    began = time.monotonic()
    _, error = read(by, server.url(), is_event)
    assert isinstance(error, (HTTPStatusError, HTTPContentTypeError))
    assert error.body == b"half"
    assert time.monotonic() - began < LIMIT
    assert server.wait_for_open_connections(0)


def test_an_error_whose_body_trickles_is_reported(server: SSEServer, by: str) -> None:
    """Each byte would restart the timeout of a socket."""
    reply = Reply.status(500).without_header("Content-Length").header("Connection", "close")
    for _ in range(100):
        reply = reply.send("x").pause(0.5)
    server.enqueue(reply)
    began = time.monotonic()
    _, error = read(by, server.url(), is_event)
    assert isinstance(error, HTTPStatusError)
    # All of it takes 50 s.
    assert 1 <= len(error.body) < 60
    assert time.monotonic() - began < LIMIT


# Any content type


@pytest.mark.parametrize("kind", [None, "text/plain", "text/html; charset=iso-8859-1", ""])
def test_any_content_type_is_read_as_utf8(server: SSEServer, by: str, kind: str | None) -> None:
    reply = Reply.stream().without_header("Content-Type")
    server.otherwise((reply if kind is None else reply.header("Content-Type", kind)).event("é"))
    actions, error = read(by, server.url(), is_event, any_content_type=True)
    assert (data(actions), error) == (["é"], None)
    default: dict[str, Any] = {}
    for options in (default, {"any_content_type": False}):
        _, error = read(by, server.url(), is_event, **options)
        assert isinstance(error, HTTPContentTypeError)
        assert error.body == "data: é\n\n".encode()


@pytest.mark.parametrize("status", [204, 500])
def test_a_status_is_judged_with_any_content_type(server: SSEServer, by: str, status: int) -> None:
    server.otherwise(Reply.stream().with_status(status))
    _, error = read(by, server.url(), is_event, any_content_type=True)
    assert isinstance(error, HTTPStatusError)


# Cookies


def cookies(server: SSEServer) -> list[str | None]:
    return [request.headers.get("cookie") for request in server.requests]


def is_last(action: Action) -> bool:
    return isinstance(action, Event) and action.data == "last"


def test_a_sticky_session_survives_redirects_errors_and_reconnects(
    server: SSEServer, by: str
) -> None:
    server.enqueue(
        Reply.redirect(307, "/moved").header("Set-Cookie", "node=7; Path=/"),
        Reply.status(503).header("Set-Cookie", "busy=1; Path=/"),
        Reply.stream().header("Set-Cookie", "busy=; Path=/; Max-Age=0").event("a"),
        Reply.stream().event("last"),
    )
    actions, error = read(
        by, server.url("/feed"), is_last, errors=ErrorStrategy.always_continue(), cookies=True
    )
    assert (data(actions), error) == (["a", "last"], None)
    assert cookies(server) == [None, "node=7", "node=7; busy=1", "node=7"]


def test_cookies_are_off_by_default(server: SSEServer, by: str) -> None:
    server.enqueue(
        Reply.redirect(307, "/moved").header("Set-Cookie", "node=7; Path=/"),
        Reply.stream().header("Set-Cookie", "a=1; Path=/"),
        Reply.stream().event("last"),
    )
    options: dict[str, Any] = {}
    if by in OVER_HTTPX:
        # An httpx client has its own cookie jar.
        none = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        kind = "AsyncClient" if by.startswith("async") else "Client"
        options["client"] = new_client(by.removeprefix("async "), kind, cookies=none)
    read(by, server.url(), is_last, errors=ErrorStrategy.always_continue(), **options)
    assert cookies(server) == [None, None, None]


def test_the_users_cookies_take_precedence_over_the_servers(server: SSEServer, by: str) -> None:
    server.enqueue(
        Reply.redirect(307, "/").header("Set-Cookie", "node=7; Path=/"),
        Reply.redirect(307, "/").header("Set-Cookie", "mine=theirs; Path=/"),
        Reply.stream().event("last"),
    )
    read(by, server.url(), is_last, headers={"Cookie": "mine=1"}, cookies=True)
    assert cookies(server) == ["mine=1", "mine=1; node=7", "mine=1; node=7"]


def test_cookies_never_reach_another_host(server: SSEServer, other: SSEServer, by: str) -> None:
    """Cookies ignore the port, so the second server needs another host name."""
    away = other.url("/").replace("127.0.0.1", "localhost")
    server.enqueue(
        Reply.redirect(307, away).header("Set-Cookie", "home=secret; Path=/"),
        Reply.stream(),
        Reply.redirect(307, away),
    )
    other.enqueue(
        Reply.redirect(307, server.url("/back")).header("Set-Cookie", "other=1; Path=/"),
        Reply.stream().event("last"),
    )
    _, error = read(by, server.url(), is_last, errors=ErrorStrategy.always_continue(), cookies=True)
    assert error is None
    assert cookies(server) == [None, "home=secret", "home=secret"]
    assert cookies(other) == [None, "other=1"]


def test_cookies_appear_in_no_message(
    server: SSEServer, by: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.enqueue(
        Reply.redirect(307, "/").header("Set-Cookie", "node=hidden; Path=/"),
        Reply.status(418).header("Set-Cookie", "a=hidden"),
    )
    with caplog.at_level(logging.DEBUG):
        _, error = read(by, server.url(), is_last, cookies=True)
    assert cookies(server) == [None, "node=hidden"]
    # httpx logs the headers that it receives at the level DEBUG.
    said = [record for record in caplog.records if not record.name.startswith("httpcore")]
    text = "".join(record.getMessage() for record in said)
    assert "hidden" not in f"{error} {error!r} {text}"


@pytest.mark.parametrize("transport", ["own", "urllib3"])
def test_clients_of_one_strategy_share_cookies(server: SSEServer, transport: str) -> None:
    options: dict[str, Any] = {}
    if transport == "urllib3":
        pytest.importorskip("urllib3")
        options["urllib3_request_options"] = {}
    server.enqueue(Reply.stream().header("Set-Cookie", "node=7").event("a"))
    server.otherwise(Reply.stream().event("b"))
    connect = ConnectStrategy.http(server.url(), cookies=True, **options)
    for _ in range(2):
        with SSEClient(connect) as client:
            client.start()
    assert cookies(server) == [None, "node=7"]


def test_cookies_of_an_aiohttp_session_are_sent_too(server: SSEServer) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    server.enqueue(Reply.redirect(307, "/").header("Set-Cookie", "node=7; Path=/"))
    server.otherwise(Reply.stream().event("last"))

    async def main() -> None:
        async with aiohttp.ClientSession(cookies={"own": "1"}) as session:
            connect = connect_by("own", server.url(), session=session, cookies=True)
            async with AsyncSSEClient(connect) as client:
                await client.start()

    run(main())
    first, second = (request.headers.get("cookie") for request in server.requests)
    assert first == "own=1"
    assert sorted((second or "").split("; ")) == ["node=7", "own=1"]


# Settings of aiohttp


def test_an_aiohttp_timeout_can_be_a_number(server: SSEServer) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    for timeout in (30, 30.5, aiohttp.ClientTimeout(total=30)):
        server.enqueue(Reply.stream().event("a").stall())
        options: dict[str, Any] = {
            "aiohttp_request_options": {"timeout": timeout},
            "read_timeout": 10,
        }
        actions, error = read("aiohttp", server.url(), is_event, **options)
        assert error is None
        assert data(actions) == ["a"]


def test_the_session_of_the_user_still_repeats_its_own_requests(server: SSEServer) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    server.enqueue(Reply.raw(""), Reply.raw(""), Reply.status(200).send("mine"))

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            connect = connect_by("own", server.url(), session=session, method="PUT")
            async with AsyncSSEClient(connect) as client:
                with pytest.raises(SSEError):
                    await client.start()
            async with session.get(server.url()) as response:
                assert await response.read() == b"mine"

    run(main())
    assert [request.method for request in server.requests] == ["PUT", "GET", "GET"]
