"""HTTP in asyncio: the same rules over our own HTTP, aiohttp and httpx."""

from __future__ import annotations

import asyncio
import base64
import socket
import sys
import zlib
from typing import Any

import pytest

from async_sources import collect, connect_by, in_thread, run
from conftest import SHORT
from everstream import AsyncSSEClient
from everstream.actions import Start
from everstream.config import ErrorStrategy
from everstream.config.async_connect_strategy import AsyncConnectStrategy
from everstream.errors import (
    ConnectError,
    ConnectTimeoutError,
    HTTPContentEncodingError,
    HTTPContentTypeError,
    HTTPRedirectError,
    HTTPStatusError,
    ReadError,
    ReadTimeoutError,
    RequestError,
)
from everstream.testing import Reply, Request, SSEServer
from httpx_clients import LIBRARIES, skip_if_missing


@pytest.fixture(params=["own", "wrapped", "aiohttp", *LIBRARIES])
def by(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    skip_if_missing(kind)
    return kind


def start(url: str, by: str, **options: Any) -> None:
    async def main() -> None:
        async with AsyncSSEClient(connect_by(by, url, **options)) as client:
            await client.start()

    run(main())


def requested(server: SSEServer, by: str, path: str = "/", **options: Any) -> Request:
    server.enqueue(Reply.stream().stall())
    start(server.url(path), by, **options)
    return server.requests[-1]


def test_the_request_has_the_headers_of_an_event_stream(server: SSEServer, by: str) -> None:
    request = requested(server, by, "/feed?a=1")
    assert (request.method, request.target, request.body) == ("GET", "/feed?a=1", b"")
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["cache-control"] == "no-cache"


def test_headers_are_sent(server: SSEServer, by: str) -> None:
    request = requested(server, by, headers={"X-Bytes": b"b", "Accept": "text/x"})
    assert request.headers["x-bytes"] == "b"
    assert request.headers.get_all("accept") == ["text/x"]


def test_any_method_and_body_can_be_sent(server: SSEServer, by: str) -> None:
    headers = {"Content-Type": "application/json"}
    request = requested(server, by, method="POST", body='{"stream": true}', headers=headers)
    assert (request.method, request.body) == ("POST", b'{"stream": true}')
    assert request.headers.get_all("content-type") == ["application/json"]


def test_a_post_is_not_repeated_by_default(server: SSEServer, by: str) -> None:
    server.otherwise(Reply.stream().event("a"))
    strategy = connect_by(by, server.url(), method="POST", body="x")

    async def main() -> None:
        always = ErrorStrategy.always_continue()
        async with AsyncSSEClient(strategy, 0, error_strategy=always) as client:
            assert [event.data for event in await collect(client.events)] == ["a"]
            assert await collect(client.events) == []

    run(main())
    assert server.request_count == 1


@pytest.mark.parametrize("url", ["", "localhost", "ftp://localhost/", "http://"])
def test_an_invalid_url_is_an_error(url: str, by: str) -> None:
    with pytest.raises(ValueError, match="url"):
        AsyncSSEClient(connect_by(by, url))


def test_invalid_settings_are_errors(by: str) -> None:
    for options, error in (
        ({"read_timeout": -1}, ValueError),
        ({"connect_timeout": -1}, ValueError),
        ({"body": 5}, TypeError),
        ({"query_params": {"a": "b"}}, TypeError),
        ({"headers": {"X": 5}}, TypeError),
    ):
        with pytest.raises(error):
            connect_by(by, "http://localhost/", **options)


@pytest.mark.parametrize(
    ("params", "target"),
    [
        (None, "/?topic=z"),
        ({}, "/?topic=z"),
        ({"topic": ["a", "b"]}, "/?topic=a&topic=b"),
        ([("topic", "a"), ("topic", "b")], "/?topic=a&topic=b"),
        ((("x", 1),), "/?topic=z&x=1"),
    ],
)
def test_query_params_are_added(server: SSEServer, by: str, params: Any, target: str) -> None:
    assert requested(server, by, "/?topic=z", query_params=lambda: params).target == target


def test_an_exception_in_query_params_is_raised_unchanged(server: SSEServer, by: str) -> None:
    mistake = LookupError("no token")

    def query_params() -> dict[str, str]:
        raise mistake

    with pytest.raises(LookupError) as raised:
        start(server.url(), by, query_params=query_params)
    assert raised.value is mistake
    assert server.request_count == 0


@pytest.mark.parametrize("status", [204, 304, 400, 404, 500, 503])
def test_an_error_status_is_an_error(server: SSEServer, by: str, status: int) -> None:
    server.enqueue(Reply.status(status).header("X-Why", "because"))
    with pytest.raises(HTTPStatusError) as raised:
        start(server.url(), by)
    assert raised.value.status == status
    assert raised.value.headers is not None
    assert raised.value.headers["x-why"] == "because"
    assert raised.value.url == server.url()


def test_the_beginning_of_an_errors_body_is_kept(server: SSEServer, by: str) -> None:
    server.enqueue(Reply.stream().header("Content-Type", "text/html").send("x" * 5000).stall())
    with pytest.raises(HTTPContentTypeError) as raised:
        start(server.url(), by)
    assert raised.value.content_type == "text/html"
    assert raised.value.body == b"x" * 1024


@pytest.mark.parametrize("value", ["Text/Event-Stream", "text/event-stream ; charset=utf-8"])
def test_a_content_type_is_judged_by_its_essence(server: SSEServer, by: str, value: str) -> None:
    server.enqueue(Reply.stream().header("Content-Type", value).stall())
    start(server.url(), by)
    server.enqueue(Reply.stream().header("Content-Type", "text/event-streamfoo"))
    with pytest.raises(HTTPContentTypeError):
        start(server.url(), by)


def test_an_unknown_coding_is_an_error(server: SSEServer, by: str) -> None:
    server.enqueue(Reply.stream().header("Content-Encoding", "rot13"))
    with pytest.raises(HTTPContentEncodingError) as raised:
        start(server.url(), by)
    assert raised.value.content_encoding == "rot13"


def test_a_compressed_event_arrives_when_it_is_flushed(server: SSEServer, by: str) -> None:
    packer = zlib.compressobj(wbits=31)
    event = packer.compress(b"data: a\n\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    server.enqueue(Reply.stream().header("Content-Encoding", "gzip").send(event).stall())

    async def main() -> None:
        async with AsyncSSEClient(connect_by(by, server.url())) as client:
            assert (await anext(client.events)).data == "a"

    run(main())


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_event_without_chunked_framing_arrives_when_it_is_flushed(by: str, version: str) -> None:
    head = f"HTTP/{version} 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    done = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode() + b"data: a\n\n")
        await done.wait()
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with AsyncSSEClient(connect_by(by, f"http://127.0.0.1:{port}/")) as client:
                assert (await anext(client.events)).data == "a"
            done.set()

    run(main())


def test_retry_after_is_honored(server: SSEServer, by: str) -> None:
    server.enqueue(Reply.status(503).header("Retry-After", "7"))

    async def main() -> None:
        strategy = ErrorStrategy.reconnect(statuses=[503])
        connect = connect_by(by, server.url())
        async with AsyncSSEClient(connect, 0, error_strategy=strategy) as client:
            await anext(client.all)
            assert client.next_retry_delay == 7

    run(main())


def test_a_refused_port_is_a_connect_error(by: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/?secret"
        with pytest.raises(ConnectError) as raised:
            start(url, by)
    assert "secret" not in str(raised.value)


def test_time_limits_hold(server: SSEServer, unresponsive_url: str, by: str) -> None:
    with pytest.raises(ConnectTimeoutError):
        start(unresponsive_url, by, connect_timeout=0.1)
    server.enqueue(Reply.stream().head_delayed(3600))
    with pytest.raises(ReadTimeoutError):
        start(server.url(), by, read_timeout=0.1)

    async def main() -> None:
        server.enqueue(Reply.stream().event("a").stall())
        connect = connect_by(by, server.url(), read_timeout=SHORT)
        async with AsyncSSEClient(connect) as client:
            events = client.events
            assert (await anext(events)).data == "a"
            with pytest.raises(ReadTimeoutError):
                await anext(events)

    run(main())


def test_an_event_that_is_too_large_is_an_error(server: SSEServer, by: str) -> None:
    from everstream.errors import EventTooLargeError

    server.enqueue(Reply.stream().send("data: " + "x" * 1000))

    async def main() -> None:
        connect = connect_by(by, server.url(), max_event_size=100)
        async with AsyncSSEClient(connect) as client:
            with pytest.raises(EventTooLargeError):
                await anext(client.events)

    run(main())


def test_a_lost_connection_is_an_error(server: SSEServer, by: str) -> None:
    server.enqueue(Reply.on_accept().drop_connection(), Reply.stream().event("a").drop_connection())
    with pytest.raises(RequestError):
        start(server.url(), by, method="POST")

    async def main() -> None:
        async with AsyncSSEClient(connect_by(by, server.url())) as client:
            events = client.events
            assert (await anext(events)).data == "a"
            with pytest.raises(ReadError):
                await anext(events)

    run(main())


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply.raw(""), "the server closed the connection before responding"),
        (Reply.raw("").reset(), "the server reset the connection before responding"),
        (
            Reply.stream().event("a").drop_connection(),
            "the server closed the connection mid-response",
        ),
        (
            Reply.stream().event("a").reset(),
            "the server reset the connection mid-response",
        ),
        (
            Reply.stream().content_length(100).event("a").drop_connection(),
            "the server closed the connection mid-response",
        ),
    ],
    ids=["no response", "reset at once", "chunked", "reset", "length"],
)
def test_a_disconnect_has_the_same_message_over_every_transport(
    server: SSEServer, by: str, reply: Reply, text: str
) -> None:
    server.otherwise(reply)

    async def main() -> None:
        async with AsyncSSEClient(connect_by(by, server.url())) as client:
            with pytest.raises((RequestError, ReadError), match=f"^{text}$"):
                async for _ in client.events:
                    pass

    run(main())


def test_events_before_a_lost_connection_are_delivered(server: SSEServer, by: str) -> None:
    server.enqueue(Reply.stream().event("a").drop_connection())

    async def main() -> None:
        async with AsyncSSEClient(connect_by(by, server.url())) as client:
            await client.start()
            assert await in_thread(server.wait_for_open_connections, 0)
            await asyncio.sleep(0)
            assert (await anext(client.events)).data == "a"

    run(main())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server: SSEServer, by: str, status: int) -> None:
    server.enqueue(Reply.redirect(status, "/b?c#d"), Reply.stream().event("a").stall())

    async def main() -> None:
        connect = connect_by(
            by, server.url("/a"), method="POST", body="x", headers={"Authorization": "secret"}
        )
        async with AsyncSSEClient(connect) as client:
            started = await anext(client.all)
            assert isinstance(started, Start)
            assert started.url is not None
            assert started.url.startswith(server.url("/b?c"))

    run(main())
    first, second = server.requests
    assert (first.method, first.target, first.body) == ("POST", "/a", b"x")
    kept = status in (307, 308)
    expected = ("POST", "/b?c", b"x") if kept else ("GET", "/b?c", b"")
    assert (second.method, second.target, second.body) == expected
    assert second.headers["authorization"] == "secret"
    assert ("content-length" in second.headers) == kept


@pytest.mark.parametrize("location", [None, "ftp://localhost/", "http://"])
def test_a_redirect_without_a_valid_location_is_an_error(
    server: SSEServer, by: str, location: str | None
) -> None:
    reply = Reply.status(302) if location is None else Reply.redirect(302, location)
    server.enqueue(reply)
    with pytest.raises(HTTPRedirectError) as raised:
        start(server.url(), by)
    assert raised.value.status == 302


def test_a_redirect_loop_is_an_error(server: SSEServer, by: str) -> None:
    server.otherwise(Reply.redirect(302, "/"))
    with pytest.raises(HTTPRedirectError):
        start(server.url(), by)
    assert server.request_count == 11


def test_credentials_never_leave_their_origin(server: SSEServer, by: str) -> None:
    with SSEServer() as other:
        server.enqueue(Reply.redirect(307, other.url("/there")), Reply.stream().stall())
        other.enqueue(Reply.redirect(307, server.url("/back")))
        headers = {
            "Authorization": "secret",
            "cookie": "secret=1",
            "Proxy-Authorization": "secret",
            "X-Mine": "secret",
            "User-Agent": "kept",
        }
        start(server.url(), by, headers=headers)
        first, back = server.requests
        (there,) = other.requests
    assert first.headers["authorization"] == "secret"
    assert first.headers["cookie"] == "secret=1"
    for request in (there, back):
        assert request.headers["user-agent"] == "kept"
        assert not [name for name, value in request.headers.items() if "secret" in value]


def test_credentials_of_a_session_never_leave_their_origin(
    server: SSEServer,
) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    basic = "Basic " + base64.b64encode(b"secret:secret").decode()

    async def main(other: SSEServer) -> None:
        session = aiohttp.ClientSession(
            headers={"Authorization": basic, "X-Session": "1"}, cookies={"secret": "1"}
        )
        async with session:
            connect = AsyncConnectStrategy.http(
                server.url(),
                session=session,
                aiohttp_request_options={
                    "cookies": {"secret2": "1"},
                    "headers": {"Proxy-Authorization": "secret"},
                    "params": {"token": "secret"},
                },
            )
            async with AsyncSSEClient(connect) as client:
                await client.start()
            assert not session.closed

    with SSEServer() as other:
        server.enqueue(Reply.redirect(307, other.url("/there")))
        other.enqueue(Reply.stream().stall())
        run(main(other))
        (first,), (there,) = server.requests, other.requests
    assert first.target == "/?token=secret"
    assert first.headers["authorization"] == basic
    assert first.headers["x-session"] == "1"
    assert "secret=1" in first.headers["cookie"]
    assert "secret2=1" in first.headers["cookie"]
    assert there.target == "/there"
    for name in ("authorization", "cookie", "proxy-authorization", "x-session"):
        assert name not in there.headers


def test_the_users_session_is_used_and_left_open(server: SSEServer) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    server.otherwise(Reply.stream().event("a").stall())

    async def main() -> None:
        async with aiohttp.ClientSession(headers={"X-Session": "1"}) as session:
            connect = AsyncConnectStrategy.http(server.url(), session=session)
            for _ in range(2):
                async with AsyncSSEClient(connect) as client:
                    assert (await anext(client.events)).data == "a"
                assert await in_thread(server.wait_for_open_connections, 0)
            assert not session.closed

    run(main())
    assert [request.headers["x-session"] for request in server.requests] == ["1", "1"]


def test_without_aiohttp_the_error_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "everstream._aiohttp", raising=False)
    choices: list[dict[str, Any]] = [{"session": object()}, {"aiohttp_request_options": {}}]
    for options in choices:
        with pytest.raises(ImportError, match=r"everstream\[aiohttp\]"):
            AsyncConnectStrategy.http("http://localhost/", **options)
    AsyncConnectStrategy.http("http://localhost/")
