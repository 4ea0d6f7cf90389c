"""``headers`` and ``auth``, and functions for them, mean the same over every transport."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from async_sources import Wrapping, run, until
from everstream import AsyncSSEClient, SSEClient
from everstream.actions import Fault, Start
from everstream.config import ErrorStrategy
from everstream.config.async_connect_strategy import AsyncConnectStrategy
from everstream.errors import RequestSetupError, SSEError
from everstream.testing import Reply, SSEServer
from httpx_clients import skip_if_missing
from transports import ALL, OF_LIBRARIES, counting, data, read, transport, transport_fixture

by = transport_fixture(ALL)
by_async = transport_fixture([kind for kind in ALL if "async" in kind])
CONTINUE = ErrorStrategy.always_continue()


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


def test_a_post_is_retried_if_a_function_raised_before_it_was_sent(
    server: SSEServer, by: str
) -> None:
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
    tokens_by_call = counting(lambda n: tokens[n])
    _, error = read(by, server.url(), errors=ErrorStrategy.reconnect(), headers=tokens_by_call)
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
