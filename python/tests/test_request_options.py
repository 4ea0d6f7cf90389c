"""The options of a request and its stream mean the same over every transport, whether they are passed
to the client or to its strategy.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from async_sources import Wrapping, run, until
from conftest import LIMIT, SIGNED
from everstream import AsyncSSEClient, SSEClient
from everstream.actions import Action, Event, Fault, Start
from everstream.config import ConnectionResult, ConnectStrategy, ErrorStrategy
from everstream.config.async_connect_strategy import AsyncConnectStrategy
from everstream.errors import (
    ConnectError,
    EventTooLargeError,
    HTTPStatusError,
    IncompleteStreamError,
    ReadTimeoutError,
    RequestSetupError,
    SSEError,
)
from everstream.testing import Reply, SSEServer
from httpx_clients import LIBRARIES, new_client, skip_if_missing
from sources import Scripted
from test_http_rules import Passing

AUTHORITY = Path(__file__).parent / "authority.pem"
CLIENT = Path(__file__).parent / "client.pem"
"""A self-signed client certificate, with its key."""
OF_LIBRARIES = [*LIBRARIES, *(f"async {name}" for name in LIBRARIES)]
TRANSPORTS = ["own", "wrapped", "urllib3", "async own", "async wrapped", "async aiohttp"]
CONTINUE = ErrorStrategy.always_continue()
TWICE = ErrorStrategy.continue_with_max_attempts(1)


@pytest.fixture(params=[*TRANSPORTS, *OF_LIBRARIES])
def by(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    skip_if_missing(kind)
    return kind


@pytest.fixture(params=TRANSPORTS)
def by_connection(request: pytest.FixtureRequest) -> str:
    """The transports that don't use a client of the user."""
    kind: str = request.param
    skip_if_missing(kind)
    return kind


@pytest.fixture(params=[name for name in [*TRANSPORTS, *OF_LIBRARIES] if "async" in name])
def by_async(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    skip_if_missing(kind)
    return kind


@pytest.fixture
def other() -> Iterator[SSEServer]:
    with SSEServer() as server:
        yield server


def transport(by: str) -> dict[str, Any]:
    """The options that select this transport."""
    library = by.removeprefix("async ")
    if library in LIBRARIES:
        return {"client": new_client(library, "AsyncClient" if by != library else "Client")}
    return {
        "urllib3": {"urllib3_request_options": {}},
        "aiohttp": {"aiohttp_request_options": {}},
    }.get(library, {})


def read(
    by: str, url: str, count: int = 1, *, errors: ErrorStrategy | None = None, **options: Any
) -> tuple[list[Action], BaseException | None]:
    """All actions up to this many events, and the error if the iteration ended before."""
    options = {**transport(by), **options}
    actions: list[Action] = []
    found = 0

    async def read_async() -> None:
        nonlocal found
        if by == "async wrapped":
            connect: Any = Wrapping(AsyncConnectStrategy.http(url, **options))
            client = AsyncSSEClient(connect, 0, error_strategy=errors)
        else:
            client = AsyncSSEClient(url, 0, error_strategy=errors, **options)
        async with client:
            async for action in client.all:
                actions.append(action)
                found += isinstance(action, Event)
                if found == count:
                    return

    def read_blocking() -> None:
        nonlocal found
        if by == "wrapped":
            connect = Passing(ConnectStrategy.http(url, **options))
            client = SSEClient(connect, 0, error_strategy=errors)
        else:
            client = SSEClient(url, 0, error_strategy=errors, **options)
        with client:
            for action in client.all:
                actions.append(action)
                found += isinstance(action, Event)
                if found == count:
                    return

    try:
        if by.startswith("async"):
            run(read_async())
        else:
            read_blocking()
    except Exception as error:
        return actions, error
    return actions, None


def data(actions: list[Action]) -> list[str]:
    return [action.data for action in actions if isinstance(action, Event)]


def counting(make: Callable[[int], Any]) -> Callable[[], Any]:
    """A function that returns ``make(1)``, ``make(2)``, ``make(3)`` and so on."""
    calls: list[int] = []

    def function() -> Any:
        calls.append(1)
        return make(len(calls))

    return function


# Headers


@pytest.mark.parametrize("kind", [dict, list, iter])
def test_headers_are_a_mapping_or_pairs(server: SSEServer, by: str, kind: Any) -> None:
    server.otherwise(Reply.stream().event("a"))
    assert read(by, server.url(), headers=kind([("X-A", "1"), ("X-B", b"2")]))[1] is None
    (request,) = server.requests
    assert (request.headers["x-a"], request.headers["x-b"]) == ("1", "2")


def test_a_header_can_have_several_values(server: SSEServer, by: str) -> None:
    server.otherwise(Reply.stream().event("a"))
    assert read(by, server.url(), headers=[("X-A", "1"), ("x-a", "2")])[1] is None
    fresh: dict[str, Any] = {"headers": lambda: [("X-A", "3"), ("x-a", "4")]}
    assert read(by, server.url(), **fresh)[1] is None
    assert [request.headers.get_all("x-a") for request in server.requests] == [
        ["1", "2"],
        ["3", "4"],
    ]


def test_a_headers_function_is_called_before_each_attempt(server: SSEServer, by: str) -> None:
    server.enqueue(Reply.status(503), Reply.stream().event("a"), Reply.stream().event("b"))
    headers = counting(lambda n: {"Authorization": f"Bearer {n}", "Accept": "text/*"})
    actions, error = read(by, server.url(), 2, errors=CONTINUE, headers=headers)
    assert (data(actions), error) == (["a", "b"], None)
    sent = [request.headers.get_all("authorization") for request in server.requests]
    assert sent == [["Bearer 1"], ["Bearer 2"], ["Bearer 3"]]
    assert {request.headers["accept"] for request in server.requests} == {"text/*"}


def test_headers_from_a_function_stay_with_their_origin(
    server: SSEServer, other: SSEServer, by: str
) -> None:
    server.enqueue(Reply.redirect(307, "/near"), Reply.redirect(307, other.url("/there")))
    other.enqueue(Reply.stream().event("a"))
    options: dict[str, Any] = {"headers": lambda: {"X-Key": "secret"}, "auth": lambda: ("me", "x")}
    actions, error = read(by, server.url(), **options)
    assert error is None
    assert {request.headers["x-key"] for request in server.requests} == {"secret"}
    assert "x-key" not in other.requests[0].headers
    assert "authorization" not in other.requests[0].headers
    start = actions[0]
    assert isinstance(start, Start)
    assert sorted(start.withheld_headers) == ["authorization", "x-key"]


def test_a_headers_function_can_return_none(server: SSEServer, by: str) -> None:
    server.otherwise(Reply.stream().event("a"))
    assert read(by, server.url(), headers=lambda: None)[1] is None
    assert server.requests[0].headers["accept"] == "text/event-stream"


def test_a_resuming_get_has_fresh_headers_too(server: SSEServer, by: str) -> None:
    server.enqueue(Reply.stream().retry(1).event("a", id="1"), Reply.stream().event("b"))
    headers = counting(lambda n: {"Accept": "application/json, text/event-stream", "X-N": str(n)})
    options: dict[str, Any] = {"json": {"a": 1}, "resume_with_get": True, "headers": headers}
    actions, error = read(by, server.url(), 2, errors=CONTINUE, **options)
    assert (data(actions), error) == (["a", "b"], None)
    post, get = server.requests
    assert (post.method, post.headers["x-n"], post.body) == ("POST", "1", b'{"a":1}')
    assert post.headers["accept"] == "application/json, text/event-stream"
    assert (get.method, get.headers["x-n"], get.body) == ("GET", "2", b"")
    assert get.headers["accept"] == "text/event-stream"
    assert "content-type" not in get.headers


def test_headers_and_auth_can_be_coroutine_functions(server: SSEServer, by_async: str) -> None:
    server.enqueue(Reply.status(503), Reply.stream().event("a"))

    async def headers() -> dict[str, str]:
        await asyncio.sleep(0)
        return {"X-Key": "fresh"}

    async def auth() -> str:
        return "Bearer 1"

    options: dict[str, Any] = {"headers": headers, "auth": auth}
    actions, error = read(by_async, server.url(), errors=CONTINUE, **options)
    assert (data(actions), error) == (["a"], None)
    for request in server.requests:
        assert request.headers["x-key"] == "fresh"
        assert request.headers["authorization"] == "Bearer 1"


def test_closing_cancels_a_headers_coroutine(server: SSEServer, by_async: str) -> None:
    ended: list[str] = []
    begun: list[int] = []

    async def headers() -> dict[str, str]:
        begun.append(1)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")
        return {}

    async def main() -> None:
        options: dict[str, Any] = {**transport(by_async), "headers": headers}
        connect: Any = AsyncConnectStrategy.http(server.url(), **options)
        client = AsyncSSEClient(Wrapping(connect) if "wrapped" in by_async else connect)
        reading = asyncio.create_task(client.start())
        await until(lambda: bool(begun))
        await client.close()
        with pytest.raises(SSEError):
            await reading
        await until(lambda: bool(ended))

    run(main())
    assert server.request_count == 0


def test_a_headers_coroutine_in_a_closed_loop_does_not_block_the_reader(
    server: SSEServer,
) -> None:
    async def headers() -> dict[str, str]:
        await asyncio.Event().wait()
        return {}

    async def begin() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.start(), 0.05)

    async def again() -> None:
        with pytest.raises(RuntimeError, match=r"event loop .* is closed"):
            await client.start()
        await client.close()

    client = AsyncSSEClient(server.url(), headers=headers)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.close()
    run(again())


# Exceptions in functions


class TokenServerError(Exception):
    pass


@pytest.mark.parametrize("name", ["headers", "auth"])
def test_an_exception_in_a_function_is_the_cause_of_a_request_setup_error(
    server: SSEServer, by: str, name: str
) -> None:
    mistake = TokenServerError("down")

    def function() -> Any:
        raise mistake

    options: dict[str, Any] = {name: function}
    _, error = read(by, server.url(), **options)
    assert isinstance(error, RequestSetupError)
    assert str(error) == f"no request was sent: the function for {name} raised TokenServerError"
    assert error.__cause__ is mistake
    assert server.request_count == 0


def test_a_post_is_retried_if_a_function_raised_before_it_was_sent(server: SSEServer, by: str) -> None:
    def token(number: int) -> str:
        if number == 1:
            raise TokenServerError("down")
        return f"Bearer {number}"

    server.enqueue(Reply.stream().event("a"))
    options: dict[str, Any] = {"json": [], "auth": counting(token)}
    actions, error = read(by, server.url(), errors=ErrorStrategy.reconnect(), **options)
    assert (data(actions), error) == (["a"], None)
    fault = actions[0]
    assert isinstance(fault, Fault)
    assert isinstance(fault.error, RequestSetupError)
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer 2"]


@pytest.mark.parametrize("found", [5, {"X-A": 5}, "X-A: 1"])
def test_invalid_headers_from_a_function_are_errors(server: SSEServer, by: str, found: Any) -> None:
    _, error = read(by, server.url(), headers=lambda: found)
    cause = error.__cause__ if isinstance(error, RequestSetupError) else error
    assert isinstance(cause, TypeError)
    assert server.request_count == 0


def test_a_programming_error_in_a_function_is_not_retried(server: SSEServer, by: str) -> None:
    tokens: dict[int, Any] = {}
    asked = counting(lambda n: tokens[n])
    _, error = read(by, server.url(), errors=ErrorStrategy.reconnect(), headers=asked)
    assert isinstance(error, RequestSetupError)
    assert isinstance(error.__cause__, KeyError)
    assert error.__cause__.args == (1,)


def test_the_blocking_client_refuses_coroutine_functions(server: SSEServer) -> None:
    async def token() -> Any:
        return "Bearer 1"

    for name in ("headers", "auth"):
        function: dict[str, Any] = {name: token}
        with pytest.raises(TypeError, match=f"{name} can be a coroutine function only in Async"):
            SSEClient(server.url(), **function)
        function = {name: lambda: token()}
        _, error = read("own", server.url(), **function)
        assert isinstance(error, RequestSetupError)
        assert "AsyncSSEClient" in str(error.__cause__)


# Auth


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (("me", "p@ss:ü"), "Basic bWU6cEBzczrDvA=="),
        ("Bearer 1", "Bearer 1"),
        (lambda: ("me", ""), "Basic bWU6"),
        (lambda: "Bearer 2", "Bearer 2"),
        (lambda: None, "of headers"),
    ],
    ids=["pair", "text", "function of a pair", "function of text", "function of none"],
)
def test_auth_takes_precedence_over_a_header(
    server: SSEServer, by: str, auth: Any, expected: str
) -> None:
    server.otherwise(Reply.stream().event("a"))
    headers = {"authorization": "of headers"}
    assert read(by, server.url(), auth=auth, headers=headers)[1] is None
    assert read(by, server.url(), auth=auth, headers=lambda: headers)[1] is None
    for request in server.requests:
        assert request.headers.get_all("authorization") == [expected]


@pytest.mark.parametrize("by", OF_LIBRARIES)
def test_auth_takes_precedence_over_that_of_a_client(server: SSEServer, by: str) -> None:
    skip_if_missing(by)
    server.otherwise(Reply.stream().event("a"))
    client = transport(by)["client"]
    client.auth = ("theirs", "x")
    assert read(by, server.url(), client=client, auth=("me", "x"))[1] is None
    assert server.requests[0].headers["authorization"] == "Basic bWU6eA=="


# Body and query


def test_json_is_posted(server: SSEServer, by: str) -> None:
    server.otherwise(Reply.stream().event("a"))
    assert read(by, server.url(), json={"text": "ü", "n": [1]})[1] is None
    (request,) = server.requests
    assert (request.method, request.body) == ("POST", '{"text":"ü","n":[1]}'.encode())
    assert request.headers.get_all("content-type") == ["application/json"]


def test_json_can_have_another_method_and_content_type(server: SSEServer, by: str) -> None:
    server.otherwise(Reply.stream().event("a"))
    kind = {"content-type": "application/vnd.api+json"}
    assert read(by, server.url(), json=[], method="put", headers=kind)[1] is None
    assert read(by, server.url(), json=[], method="PUT", headers=lambda: kind)[1] is None
    for request in server.requests:
        assert (request.method, request.body) == ("PUT", b"[]")
        assert request.headers.get_all("content-type") == ["application/vnd.api+json"]


@pytest.mark.parametrize(
    "params", [{"b": ["1", "2"], "c": "ü&"}, [("b", "1"), ("b", 2), ("c", "ü&")]]
)
def test_params_are_added_to_the_query(server: SSEServer, by: str, params: Any) -> None:
    server.otherwise(Reply.stream().event("a"))
    url = server.url("/feed?a=%20x&b=old")
    assert read(by, url, params=params)[1] is None
    assert read(by, url, params=params, query_params=lambda: {"c": "fresh"})[1] is None
    assert server.requests[0].target == "/feed?a=%20x&b=1&b=2&c=%C3%BC%26"
    assert server.requests[1].query.split("&")[-1] == "c=fresh"
    assert server.requests[1].query.count("c=") == 1


@pytest.mark.parametrize("by", OF_LIBRARIES)
def test_params_are_added_to_a_relative_url(server: SSEServer, by: str) -> None:
    skip_if_missing(by)
    server.otherwise(Reply.stream().event("a"))
    client = transport(by)["client"]
    client.base_url = server.url("/base/")
    assert read(by, "feed?b=1", client=client, params={"a": "x"})[1] is None
    assert server.requests[0].target == "/base/feed?b=1&a=x"


# Connecting


def test_a_proxy_is_used(server: SSEServer, by_connection: str) -> None:
    server.otherwise(Reply.stream().event("a"))
    proxy = server.url("").replace("//", "//me:p%40ss@").rstrip("/")
    actions, error = read(by_connection, "http://nowhere.invalid/feed", proxy=proxy)
    assert (data(actions), error) == (["a"], None)
    (request,) = server.requests
    assert request.target == "http://nowhere.invalid/feed"
    assert request.headers["proxy-authorization"] == "Basic bWU6cEBzcw=="


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_verify_says_which_certificates_are_trusted(tls_port: int, by_connection: str) -> None:
    url = f"https://localhost:{tls_port}/"
    _, error = read(by_connection, url)
    assert isinstance(error, ConnectError)
    for verify in (AUTHORITY, str(AUTHORITY), False):
        actions, error = read(by_connection, url, verify=verify)
        assert (data(actions), error) == (["over TLS"], None), verify


@pytest.fixture
def mutual_port() -> Iterator[int]:
    """The port of a server that requires this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SIGNED)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(CLIENT)
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: known\n\n"

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            plain.settimeout(LIMIT)
            with plain:
                try:
                    with context.wrap_socket(plain, server_side=True) as connection:
                        assert connection.recv(65536)
                        connection.sendall(answer)
                        connection.recv(1)
                except OSError:
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(LIMIT)


def test_cert_is_sent_to_a_server_that_requires_it(mutual_port: int, by_connection: str) -> None:
    url = f"https://localhost:{mutual_port}/"
    _, error = read(by_connection, url, verify=AUTHORITY)
    assert isinstance(error, SSEError)
    for cert in (CLIENT, (str(CLIENT), CLIENT)):
        actions, error = read(by_connection, url, verify=AUTHORITY, cert=cert)
        assert (data(actions), error) == (["known"], None)


@pytest.mark.parametrize("by", ["own", "wrapped", "async own", "async wrapped"])
@pytest.mark.parametrize(
    ("http2", "expected"), [(True, b"PRI "), (False, b"GET "), (None, b"GET ")]
)
def test_http2_chooses_the_version(by: str, http2: bool | None, expected: bytes) -> None:
    received: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(LIMIT)
                received.append(connection.recv(4))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        _, error = read(by, f"http://127.0.0.1:{port}/", http2=http2)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(LIMIT)
    assert isinstance(error, SSEError)
    assert set(received) == {expected}


# The options of the stream, set by the strategy or the client


@pytest.fixture(params=["client", "strategy"])
def where(request: pytest.FixtureRequest) -> str:
    """Where the options of the stream are set."""
    place: str = request.param
    return place


def stream(by: str, where: str, url: str, count: int = 100, **options: Any) -> tuple[Any, Any]:
    """Like :func:`read`, but the client has a strategy, and one of the two gets the options."""
    request: dict[str, Any] = {
        name: options.pop(name) for name in ("json", "method") if name in options
    }
    errors = options.pop("errors", None)
    if where == "strategy":
        request, options = {**request, **options}, {}
    request = {**transport(by), **request}
    actions: list[Action] = []

    async def read_async() -> None:
        connect: Any = AsyncConnectStrategy.http(url, **request)
        if by == "async wrapped":
            connect = Wrapping(connect)
        async with AsyncSSEClient(connect, 0, error_strategy=errors, **options) as client:
            async for action in client.all:
                actions.append(action)
                if len(data(actions)) == count:
                    return

    def read_blocking() -> None:
        connect: Any = ConnectStrategy.http(url, **request)
        if by == "wrapped":
            connect = Passing(connect)
        with SSEClient(connect, 0, error_strategy=errors, **options) as client:
            for action in client.all:
                actions.append(action)
                if len(data(actions)) == count:
                    return

    try:
        if by.startswith("async"):
            run(read_async())
        else:
            read_blocking()
    except Exception as error:
        return data(actions), error
    return data(actions), None


@pytest.mark.parametrize("last", ["[DONE]", lambda event: event.data == "[DONE]"])
def test_until_ends_the_stream(server: SSEServer, by: str, where: str, last: Any) -> None:
    server.otherwise(Reply.stream().event("a").event("[DONE]").event("b").stall())
    assert stream(by, where, server.url(), until=last, errors=CONTINUE) == (["a"], None)
    assert server.request_count == 1


def test_a_stream_that_ends_before_until_is_incomplete(
    server: SSEServer, by: str, where: str
) -> None:
    server.otherwise(Reply.stream().event("a"))
    events, error = stream(by, where, server.url(), until="[DONE]", json={})
    assert events == ["a"]
    assert isinstance(error, IncompleteStreamError)
    assert server.request_count == 1


def test_an_exception_in_until_is_raised_and_the_event_follows(server: SSEServer, by: str) -> None:
    mistake = LookupError("no")
    calls: list[str] = []

    def is_last(event: Event) -> bool:
        calls.append(event.data)
        if len(calls) == 1:
            raise mistake
        return False

    server.otherwise(Reply.stream().event("a").event("b").stall())

    async def read_async() -> list[str]:
        connect = AsyncConnectStrategy.http(server.url(), **transport(by))
        async with AsyncSSEClient(connect, until=is_last) as client:
            with pytest.raises(LookupError) as raised:
                await anext(client.events)
            assert raised.value is mistake
            events = client.events
            return [(await anext(events)).data, (await anext(events)).data]

    if by.startswith("async"):
        assert run(read_async()) == ["a", "b"]
        return
    with SSEClient(ConnectStrategy.http(server.url(), **transport(by)), until=is_last) as client:
        with pytest.raises(LookupError) as raised:
            next(client.events)
        assert raised.value is mistake
        events = client.events
        assert [next(events).data, next(events).data] == ["a", "b"]


def test_an_event_that_is_too_large_fails_or_is_skipped(
    server: SSEServer, by: str, where: str
) -> None:
    server.otherwise(Reply.stream().event("a").event("x" * 200).event("b"))
    options: dict[str, Any] = {"max_event_size": 100}
    events, error = stream(by, where, server.url(), **options)
    assert events == ["a"]
    assert isinstance(error, EventTooLargeError)
    assert stream(by, where, server.url(), oversize="skip", **options) == (["a", "b"], None)


def test_an_idle_stream_is_a_read_timeout(server: SSEServer, by: str, where: str) -> None:
    server.enqueue(Reply.stream().event("a").stall(), Reply.stream().head_delayed(3600))
    for expected in (["a"], []):
        began = time.monotonic()
        events, error = stream(by, where, server.url(), read_timeout=0.3)
        assert events == expected
        assert time.monotonic() - began < 5
        assert isinstance(error, ReadTimeoutError)
    assert server.wait_for_open_connections(0)


def test_a_read_timeout_can_be_unlimited(server: SSEServer, by: str, where: str) -> None:
    server.otherwise(Reply.stream().event("a"))
    for endless in (0, None, float("inf")):
        assert stream(by, where, server.url(), read_timeout=endless) == (["a"], None)


def test_a_read_timeout_has_the_same_message_over_every_transport(server: SSEServer, by: str) -> None:
    """The engine enforces it over every transport."""
    server.enqueue(Reply.stream().event("a").stall())
    _, error = stream(by, "client", server.url(), read_timeout=0.25)
    assert re.search(r" for 250 ?ms \(read_timeout\)$", str(error))


def test_an_event_resets_the_read_timeout(server: SSEServer, by: str, where: str) -> None:
    reply = Reply.stream()
    for number in range(6):
        reply = reply.event(str(number)).pause(0.1)
    server.enqueue(reply)
    events, error = stream(by, where, server.url(), read_timeout=0.5)
    assert (events, error) == (list("012345"), None)


def test_a_post_is_repeated_with_repeat_unsafe(server: SSEServer, by: str, where: str) -> None:
    server.otherwise(Reply.stream().event("a"))
    options: dict[str, Any] = {"json": {}, "repeat_unsafe": True, "errors": CONTINUE}
    assert stream(by, where, server.url(), 2, **options) == (["a", "a"], None)
    assert [request.method for request in server.requests] == ["POST", "POST"]


def test_an_unfinished_event_is_delivered_with_dispatch_unfinished(
    server: SSEServer, by: str, where: str
) -> None:
    server.otherwise(Reply.stream().send("data: a\n"))
    assert stream(by, where, server.url(), dispatch_unfinished=True) == (["a"], None)
    assert stream(by, where, server.url()) == ([], None)


def test_a_read_timeout_closes_a_custom_source_that_blocks() -> None:
    closed = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield b"data: a\n\n"
        assert closed.wait(LIMIT)

    source = Scripted(lambda _: ConnectionResult(chunks(), closed.set))
    with SSEClient(source, read_timeout=0.2) as client:
        events = client.events
        assert next(events).data == "a"
        with pytest.raises(ReadTimeoutError, match=r" for 200 ?ms \(read_timeout\)$"):
            next(events)
    assert closed.is_set()


def test_the_client_accepts_the_parameters_of_the_strategy(server: SSEServer, by: str) -> None:
    server.otherwise(Reply.status(401))
    _, error = read(by, server.url(), headers={"X-A": "1"}, method="QUERY", body=b"x")
    assert isinstance(error, HTTPStatusError)
    (request,) = server.requests
    assert (request.method, request.headers["x-a"], request.body) == ("QUERY", "1", b"x")
