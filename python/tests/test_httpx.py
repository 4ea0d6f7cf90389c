"""HTTP over clients of httpx and httpx2: which settings of the client apply."""

from __future__ import annotations

import base64
import logging
from typing import Any

import pytest

from async_sources import run
from conftest import Background
from everstream import AsyncSSEClient, SSEClient
from everstream.actions import Start
from everstream.config import ConnectStrategy, ErrorStrategy
from everstream.config.async_connect_strategy import AsyncConnectStrategy
from everstream.errors import HTTPStatusError
from everstream.testing import Gate, Reply, SSEServer
from httpx_clients import KINDS, client_of, hook, is_async, library_of, transport_of
from test_http_rules import THRICE, data, is_event, is_start, read
from transports import transport_fixture

by = transport_fixture(KINDS)


# Settings of the client


def test_the_settings_of_the_client_are_used(server: SSEServer, by: str) -> None:
    server.otherwise(Reply.stream().event("a"))
    client = client_of(
        by,
        headers={"X-Client": "1", "X-Both": "1", "User-Agent": "me"},
        auth=("user", "pass"),
        cookies={"jar": "1"},
        params={"token": "1"},
    )
    client.headers["X-Later"] = "1"
    read(by, server.url("/feed?a=b"), is_event, client=client, headers={"X-Both": "2"})
    (request,) = server.requests
    assert request.target == "/feed?token=1&a=b"
    basic = "Basic " + base64.b64encode(b"user:pass").decode()
    for name, value in {
        "x-client": "1",
        "x-both": "2",
        "x-later": "1",
        "user-agent": "me",
        "authorization": basic,
        "cookie": "jar=1",
        "accept": "text/event-stream",
        "cache-control": "no-cache",
    }.items():
        assert request.headers.get_all(name) == [value], name


def test_a_changed_header_is_sent_with_the_next_attempt(server: SSEServer, by: str) -> None:
    server.enqueue(Reply.status(503), Reply.stream().event("a"))
    tokens = iter("12")
    client = client_of(by)

    def next_token() -> None:
        client.headers["Authorization"] = f"Bearer {next(tokens)}"

    read(by, server.url(), is_event, client=client, errors=THRICE, query_params=next_token)
    # query_params is called after the headers are read: the first token is for the second attempt.
    assert [request.headers.get("authorization") for request in server.requests] == [
        None,
        "Bearer 1",
    ]


def test_settings_of_the_client_do_not_leave_their_origin(
    server: SSEServer, other: SSEServer, by: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.enqueue(Reply.redirect(307, "/near?b"), Reply.redirect(307, other.url("/there")))
    server.otherwise(Reply.stream().stall())
    other.enqueue(Reply.redirect(307, server.url("/back")))
    seen: list[str] = []
    authenticated: list[str] = []

    class Bearer(library_of(by).Auth):  # type: ignore[misc]
        def auth_flow(self, request: Any) -> Any:
            authenticated.append(request.url.path)
            request.headers["Authorization"] = "Bearer secret"
            yield request

    def sign(request: Any) -> None:
        seen.append(str(request.url))
        request.headers["X-Signature"] = "secret"
        request.url = request.url.copy_merge_params({"signature": "secret"})

    client = client_of(
        by,
        headers={"X-Api-Key": "secret", "User-Agent": "me"},
        auth=Bearer(),
        cookies={"jar": "secret"},
        params={"token": "secret"},
        event_hooks={"request": [hook(by, sign)]},
    )
    with caplog.at_level(logging.WARNING, "mine"):
        actions, _ = read(by, server.url("/a"), is_start, client=client)
    first, near, back = server.requests
    (there,) = other.requests
    assert first.target == "/a?token=secret&signature=secret"
    assert near.target == "/near?b=&signature=secret"
    for request in (first, near):
        assert request.headers["x-api-key"] == request.headers["x-signature"] == "secret"
        assert request.headers["authorization"] == "Bearer secret"
        assert request.headers["cookie"] == "jar=secret"
    for request in (there, back):
        assert "secret" not in f"{request.target} {request.headers.items()}"
        assert "authorization" not in request.headers
        assert request.headers["user-agent"] == "me"
    # Hooks are called for every request.
    assert len(seen) == 4
    assert authenticated == ["/a", "/near"]
    (start,) = actions
    assert isinstance(start, Start)
    assert start.withheld_headers == ("x-api-key",)
    assert "X-Api-Key was not sent" in caplog.text


def test_a_client_is_left_open_and_its_connection_is_reused(server: SSEServer, by: str) -> None:
    server.otherwise(Reply.stream().event("a"))
    library = library_of(by)

    async def in_loop() -> None:
        async with library.AsyncClient() as client:
            for _ in range(2):
                connect = AsyncConnectStrategy.http(server.url(), client=client)
                async with AsyncSSEClient(connect) as sse:
                    assert [event.data async for event in sse.events] == ["a"]
            assert (await client.get(server.url())).status_code == 200

    if is_async(by):
        run(in_loop())
    else:
        with library.Client() as client:
            for _ in range(2):
                with SSEClient(ConnectStrategy.http(server.url(), client=client)) as sse:
                    assert [event.data for event in sse.events] == ["a"]
            assert client.get(server.url()).status_code == 200
    assert server.accepted_connections == 1


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_connection_returned_to_the_pool_is_not_stopped(server: SSEServer, library: str) -> None:
    module = pytest.importorskip(library)
    gate = Gate()
    server.enqueue(Reply.stream().event("a"), Reply.status(200).head_after(gate).send("mine"))
    with module.Client() as client:
        sse = SSEClient(ConnectStrategy.http(server.url(), client=client))
        assert [event.data for event in sse.events] == ["a"]
        mine = Background(lambda: client.get(server.url("/mine")).content)
        assert server.wait_for_requests(2)
        sse.interrupt()
        sse.close()
        gate.open()
        assert mine.result() == b"mine"
    assert server.accepted_connections == 1


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_connection_is_not_stopped_after_the_end_of_the_stream(
    server: SSEServer, library: str
) -> None:
    """It returns to the pool before the strategy's connection is closed."""
    module = pytest.importorskip(library)
    server.otherwise(Reply.stream().event("a"))
    with module.Client() as client:
        strategy = ConnectStrategy.http(server.url(), client=client)
        connections = strategy.create_client(logging.getLogger("mine"))
        with connections.connect(None) as result:
            assert b"".join(result.stream) == b"data: a\n\n"
            connections.interrupt()
            assert client.get(server.url()).status_code == 200
    assert server.accepted_connections == 1


def test_the_error_names_a_closed_client(server: SSEServer, by: str) -> None:
    client = client_of(by)

    async def close() -> None:
        await client.aclose()

    run(close()) if is_async(by) else client.close()
    with pytest.raises(RuntimeError, match="Client is closed: keep it open"):
        read(by, server.url(), is_event, client=client, errors=ErrorStrategy.reconnect())
    assert server.request_count == 0


def test_a_relative_url_is_resolved_against_the_base_url(server: SSEServer, by: str) -> None:
    server.otherwise(Reply.stream().event("a"))
    for base, url in ((server.url("/v1"), "feed?a=b"), (server.url("/v1/"), "/feed?a=b")):
        actions, _ = read(by, url, is_event, client=client_of(by, base_url=base))
        assert data(actions) == ["a"]
    elsewhere = client_of(by, base_url="http://127.0.0.1:1/v1")
    read(by, server.url("/whole"), is_event, client=elsewhere)
    targets = [request.target for request in server.requests]
    assert targets == ["/v1/feed?a=b", "/v1/feed?a=b", "/whole"]
    with pytest.raises(ValueError, match="url"):
        read(by, "feed", is_event, client=client_of(by))


def test_the_proxy_of_the_client_is_used(server: SSEServer, by: str) -> None:
    server.otherwise(Reply.stream().event("a"))
    actions, _ = read(
        by, "http://nowhere.invalid/feed", is_event, client=client_of(by, proxy=server.url())
    )
    assert data(actions) == ["a"]
    assert server.requests[0].target == "http://nowhere.invalid/feed"


def test_a_transport_without_a_network_works(by: str) -> None:
    library = library_of(by)
    kind = {"content-type": "text/event-stream"}

    def answer(request: Any) -> Any:
        if request.url.path == "/moved":
            return library.Response(307, headers={"location": "/feed"})
        return library.Response(200, headers=kind, content=b"data: a\n\n")

    client = client_of(by, transport=library.MockTransport(answer))
    actions, error = read(by, "http://localhost/moved", is_event, client=client)
    assert (data(actions), error) == (["a"], None)


# Hooks


def test_raise_for_status_in_a_hook_is_an_error_with_the_response(
    server: SSEServer, by: str
) -> None:
    """raise_for_status() raises for redirects too, and httpx closes the response."""
    server.enqueue(Reply.redirect(307, "/there"), Reply.status(503).header("Retry-After", "7"))
    hooks = {"response": [hook(by, lambda response: response.raise_for_status())]}
    client = client_of(by, event_hooks=hooks)
    _, error = read(by, server.url(), is_event, client=client)
    assert isinstance(error, HTTPStatusError)
    assert error.status == 503
    assert error.headers is not None
    assert error.headers["retry-after"] == "7"
    assert server.requests[1].path == "/there"


def test_an_error_has_the_body_that_a_hook_read(server: SSEServer, by: str) -> None:
    server.enqueue(Reply.status(500).send("sorry"))

    def read_it(response: Any) -> None:
        response.read()

    async def read_it_in_loop(response: Any) -> None:
        await response.aread()

    hooks = {"response": [read_it_in_loop if is_async(by) else read_it]}
    _, error = read(by, server.url(), is_event, client=client_of(by, event_hooks=hooks))
    assert isinstance(error, HTTPStatusError)
    assert error.body == b"sorry"


def test_an_exception_in_a_hook_is_raised_unchanged(server: SSEServer, by: str) -> None:
    class NotNow(Exception):
        pass

    def refuse(_: Any) -> None:
        raise NotNow

    client = client_of(by, event_hooks={"request": [hook(by, refuse)]})
    with pytest.raises(NotNow):
        read(by, server.url(), is_event, client=client)
    assert server.request_count == 0


# Repeating requests


@pytest.mark.parametrize("reply", [Reply.raw(""), Reply.raw("").reset(), Reply.status(503)])
def test_the_retries_of_a_transport_do_not_repeat_a_post(
    server: SSEServer, by: str, reply: Reply
) -> None:
    server.otherwise(reply)
    client = client_of(by, transport=transport_of(by, retries=3))
    read(by, server.url(), is_start, client=client, method="POST", body="x", errors=THRICE)
    assert server.request_count == 1


def test_the_client_does_not_follow_redirects(server: SSEServer, by: str) -> None:
    server.enqueue(Reply.redirect(303, "/there"))
    server.otherwise(Reply.stream().event("a"))
    client = client_of(by, follow_redirects=True, max_redirects=0)
    actions, _ = read(by, server.url(), is_event, client=client, method="POST", body="x")
    assert data(actions) == ["a"]
    assert [(request.method, request.body) for request in server.requests] == [
        ("POST", b"x"),
        ("GET", b""),
    ]


def test_authentication_in_two_steps_sends_the_request_again(server: SSEServer, by: str) -> None:
    challenge = 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'
    server.enqueue(
        Reply.status(401).header("WWW-Authenticate", challenge), Reply.stream().event("a")
    )
    client = client_of(by, auth=library_of(by).DigestAuth("user", "pass"))
    actions, _ = read(by, server.url(), is_event, client=client, method="POST", body="x")
    assert data(actions) == ["a"]
    assert [request.body for request in server.requests] == [b"x", b"x"]
    assert server.requests[1].headers["authorization"].startswith("Digest ")
