"""HTTP over clients of httpx and httpx2: which settings of the client apply."""

from __future__ import annotations

import base64
import importlib
import logging
import ssl
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from async_sources import connect_by, run
from conftest import Background
from everstream import AsyncSSEClient, SSEClient
from everstream.actions import Start
from everstream.config import ConnectStrategy, ErrorStrategy
from everstream.config.async_connect_strategy import AsyncConnectStrategy
from everstream.errors import (
    ConnectError,
    ConnectTimeoutError,
    HTTPStatusError,
    ReadTimeoutError,
    RequestError,
    SSEError,
)
from everstream.testing import Gate, Reply, SSEServer
from httpx_clients import new_client, skip_if_missing
from test_http_rules import THRICE, data, is_event, is_start, read

Hook = Callable[[Any], None]


@pytest.fixture(params=["httpx", "httpx2", "async httpx", "async httpx2"])
def by(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    skip_if_missing(kind)
    return kind


@pytest.fixture
def other() -> Iterator[SSEServer]:
    with SSEServer() as server:
        yield server


def library_of(by: str) -> Any:
    return importlib.import_module(by.removeprefix("async "))


def is_async(by: str) -> bool:
    return by.startswith("async")


def client_of(by: str, **options: Any) -> Any:
    return new_client(
        by.removeprefix("async "), "AsyncClient" if is_async(by) else "Client", **options
    )


def hook(by: str, function: Hook) -> Any:
    """Adapts a function to the client: unchanged, or as a coroutine function."""

    async def in_loop(argument: Any) -> None:
        function(argument)

    return in_loop if is_async(by) else function


def transport_of(by: str, **options: Any) -> Any:
    name = "AsyncHTTPTransport" if is_async(by) else "HTTPTransport"
    limits = library_of(by).Limits(max_keepalive_connections=0)
    return getattr(library_of(by), name)(limits=limits, **options)


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
    # query_params is called after the headers are read, so the first token is sent by the second attempt.
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


# Timeouts


def test_the_read_timeout_of_the_client_does_not_apply_to_the_stream(
    server: SSEServer, by: str
) -> None:
    """The default of httpx is 5 s, which would end every quiet stream."""
    reply = Reply.stream().head_delayed(0.3).event("a").pause(0.3).event("b").stall()
    server.otherwise(reply)
    timeout = library_of(by).Timeout(5, read=0.1)

    def is_b(action: Any) -> bool:
        return is_event(action) and action.data == "b"

    actions, error = read(by, server.url(), is_b, client=client_of(by, timeout=timeout))
    assert (data(actions), error) == (["a", "b"], None)
    client = client_of(by, timeout=library_of(by).Timeout(None))
    _, error = read(by, server.url(), is_b, client=client, read_timeout=0.1)
    assert isinstance(error, ReadTimeoutError)


def test_the_connect_timeout_of_the_client_is_used_unless_overridden(
    unresponsive_url: str, by: str
) -> None:
    Timeout = library_of(by).Timeout
    cases: list[tuple[Any, dict[str, Any]]] = [
        (Timeout(60, connect=0.2), {}),
        (Timeout(60, connect=60), {"connect_timeout": 0.2}),
    ]
    for timeout, options in cases:
        _, error = read(by, unresponsive_url, is_event, client=client_of(by, timeout=timeout), **options)
        assert isinstance(error, ConnectTimeoutError)
        assert str(error) == f"could not connect to {unresponsive_url} in time"


def test_a_pool_without_a_free_connection_is_a_connect_timeout(server: SSEServer, by: str) -> None:
    server.otherwise(Reply.stream().event("a").stall())
    library = library_of(by)
    options = {"limits": library.Limits(max_connections=1), "timeout": library.Timeout(5, pool=0.1)}

    async def in_loop() -> None:
        async with library.AsyncClient(**options) as client:
            connect = AsyncConnectStrategy.http(server.url(), client=client)
            async with AsyncSSEClient(connect) as one, AsyncSSEClient(connect) as two:
                await one.start()
                await two.start()

    def in_thread() -> None:
        with library.Client(**options) as client:
            connect = ConnectStrategy.http(server.url(), client=client)
            with SSEClient(connect) as one, SSEClient(connect) as two:
                one.start()
                two.start()

    with pytest.raises(ConnectTimeoutError, match="no connection of the client was free in time"):
        run(in_loop()) if is_async(by) else in_thread()


# Errors


def test_a_refused_connection_says_why(server: SSEServer, by: str) -> None:
    server.stop()
    _, error = read(by, server.url("/?secret"), is_event, client=client_of(by))
    assert isinstance(error, ConnectError)
    assert str(error) == f"could not connect to {server.url('/')}: Connection refused"
    assert error.errno is not None
    assert isinstance(error.__cause__, library_of(by).ConnectError)


def test_a_certificate_that_is_not_trusted_says_why(tls_port: int, by: str) -> None:
    client = client_of(by, verify=ssl.create_default_context())
    _, error = read(by, f"https://localhost:{tls_port}/", is_event, client=client)
    assert isinstance(error, ConnectError)
    assert "the certificate isn't trusted: " in str(error)


def test_a_proxy_that_refuses_is_a_connect_error(server: SSEServer, by: str) -> None:
    """Nothing was sent to the server, so even a POST can be repeated."""
    server.otherwise(Reply.status(403))
    client = client_of(by, proxy=server.url())
    _, error = read(by, "https://nowhere.invalid/", is_event, client=client, method="POST")
    assert type(error) is ConnectError
    assert server.requests[0].method == "CONNECT"


def test_errors_contain_no_secrets(server: SSEServer, by: str) -> None:
    server.otherwise(Reply.raw(b"no HTTP\r\n\r\n"))
    _, error = read(by, server.url("/?secret"), is_event, client=client_of(by))
    assert isinstance(error, RequestError)
    assert str(error).startswith(f"the request to {server.url('/')} failed: ")
    request_hook = hook(by, lambda request: request.headers.update({"X-Sign": "secret\x01"}))
    client = client_of(by, event_hooks={"request": [request_hook]})
    _, refused = read(by, server.url(), is_event, client=client)
    assert isinstance(refused, RequestError)
    assert "secret" not in "".join(traceback.format_exception(refused))
    client = client_of(by, headers={"X-Token": "secret\x01"})
    with pytest.raises(ValueError, match="X-Token") as raised:
        read(by, server.url(), is_event, client=client)
    assert "secret" not in f"{error} {raised.value}"


# Invalid settings


class PoolManager:
    """Replaces the class of urllib3."""


class ClientSession:
    """Replaces the class of aiohttp."""


def a(library: str, name: str) -> Any:
    return getattr(pytest.importorskip(library), name)


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_the_error_says_where_to_pass_the_other_kind_of_client(library: str) -> None:
    with pytest.raises(TypeError) as raised:
        ConnectStrategy.http("http://localhost/", client=a(library, "AsyncClient")())
    assert str(raised.value) == (
        "client must be a Client of httpx or httpx2, not AsyncClient; pass that to "
        "AsyncConnectStrategy.http(client=...), for AsyncSSEClient"
    )
    with a(library, "Client")() as client, pytest.raises(TypeError) as raised:
        AsyncConnectStrategy.http("http://localhost/", client=client)
    assert str(raised.value) == (
        "client must be an AsyncClient of httpx or httpx2, not Client; pass that to "
        "ConnectStrategy.http(client=...), for SSEClient"
    )
    with pytest.raises(TypeError, match="not type Client; pass an instance"):
        ConnectStrategy.http("http://localhost/", client=a(library, "Client"))


@pytest.mark.parametrize("http", [ConnectStrategy.http, AsyncConnectStrategy.http])
@pytest.mark.parametrize(
    ("client", "place"),
    [
        (PoolManager(), r"; pass that to ConnectStrategy\.http\(pool=\.\.\.\)$"),
        (ClientSession(), r"; pass that to AsyncConnectStrategy\.http\(session=\.\.\.\)$"),
        ("client", "not str$"),
    ],
)
def test_an_object_that_is_not_a_client_is_refused(http: Any, client: Any, place: str) -> None:
    with pytest.raises(TypeError, match=place):
        http("http://localhost/", client=client)


def test_only_one_library_can_be_chosen(by: str) -> None:
    if is_async(by):
        with pytest.raises(TypeError, match="session"):
            connect_by("own", "http://localhost/", client=client_of(by), session=object())
    else:
        with pytest.raises(TypeError, match="pool"):
            ConnectStrategy.http("http://localhost/", client=client_of(by), pool=PoolManager())


def test_invalid_settings_are_errors(by: str) -> None:
    wrong: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"read_timeout": -1}, ValueError),
        ({"body": 5}, TypeError),
        ({"query_params": {"a": "b"}}, TypeError),
        ({"headers": {"Content-Length": "5"}}, ValueError),
    ]
    for options, error in wrong:
        with pytest.raises(error):
            read(by, "http://localhost/", is_event, client=client_of(by), **options)


@pytest.mark.parametrize("is_missing", [False, True])
def test_httpx_is_not_imported(is_missing: bool, server: SSEServer) -> None:
    """Without httpx, other objects passed as the client are refused."""
    server.otherwise(Reply.stream().event("a"))
    program = f"""
import sys
if {is_missing}:
    sys.modules["httpx"] = sys.modules["httpx2"] = None
import everstream, everstream.actions, everstream.compat, everstream.config, everstream.errors
import everstream.testing
from everstream.config.async_connect_strategy import AsyncConnectStrategy
with everstream.SSEClient("{server.url()}") as client:
    print(next(client.events).data)
for http in (everstream.config.ConnectStrategy.http, AsyncConnectStrategy.http):
    try:
        http("http://localhost/", client=object())
    except TypeError as error:
        print(error)
print([name for name in sys.modules if "httpx" in name.split("_")[0] and sys.modules[name]])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "a",
        "client must be a Client of httpx or httpx2, not object",
        "client must be an AsyncClient of httpx or httpx2, not object",
        "[]",
    ], done.stderr


def test_a_strategy_is_printed_without_secrets(by: str) -> None:
    kind = AsyncConnectStrategy if is_async(by) else ConnectStrategy
    connect: Any = kind.http("http://localhost/?secret", client=client_of(by))
    assert repr(connect) == f"{kind.__name__}.http('http://localhost/')"


# Content codings


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_codings_of_installed_libraries_are_decoded(
    server: SSEServer, by: str, coding: str
) -> None:
    if coding == "br":
        packer = pytest.importorskip("brotli").Compressor()
        event = packer.process(b"data: a\n\n") + packer.flush()
    else:
        zstd = pytest.importorskip("backports.zstd").ZstdCompressor()
        event = zstd.compress(b"data: a\n\n") + zstd.flush(zstd.FLUSH_BLOCK)
    server.enqueue(Reply.stream().header("Content-Encoding", coding).send(event).stall())
    actions, error = read(by, server.url(), is_event, client=client_of(by))
    assert (data(actions), error) == (["a"], None)


def test_an_error_of_this_package_is_raised_once(server: SSEServer, by: str) -> None:
    server.stop()
    _, error = read(by, server.url(), is_event, client=client_of(by))
    assert isinstance(error, SSEError)
    assert error.__context__ is error.__cause__ or error.__context__ is None
