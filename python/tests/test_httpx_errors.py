"""HTTP over clients of httpx and httpx2: timeouts, errors and invalid settings."""

from __future__ import annotations

import ssl
import subprocess
import sys
import traceback
from typing import Any

import pytest

from async_sources import connect_by, run
from everstream import AsyncSSEClient, SSEClient
from everstream.config import ConnectStrategy
from everstream.config.async_connect_strategy import AsyncConnectStrategy
from everstream.errors import (
    ConnectError,
    ConnectTimeoutError,
    ReadTimeoutError,
    RequestError,
    SSEError,
)
from everstream.testing import Reply, SSEServer
from httpx_clients import KINDS, client_of, hook, is_async, library_of
from test_http_rules import data, is_event, read
from transports import transport_fixture

by = transport_fixture(KINDS)


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
        _, error = read(
            by, unresponsive_url, is_event, client=client_of(by, timeout=timeout), **options
        )
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
