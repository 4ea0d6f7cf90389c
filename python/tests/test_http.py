"""The settings of ConnectStrategy.http."""

from __future__ import annotations

from typing import Any

import pytest

from everstream import SSEClient
from everstream.actions import Fault
from everstream.config import ConnectStrategy, ErrorStrategy
from everstream.testing import Reply, Request, SSEServer


def requested(server: SSEServer, path: str = "/", **options: Any) -> Request:
    server.enqueue(Reply.stream().stall())
    with SSEClient(ConnectStrategy.http(server.url(path), **options)) as client:
        client.start()
    return server.requests[-1]


def test_the_request_has_the_headers_of_an_event_stream(server: SSEServer) -> None:
    request = requested(server, "/feed?a=1")
    assert (request.method, request.target, request.body) == ("GET", "/feed?a=1", b"")
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["cache-control"] == "no-cache"


def test_headers_are_sent(server: SSEServer) -> None:
    request = requested(server, headers={"X-Text": "ü", "X-Bytes": b"b", "Accept": "text/x"})
    assert request.headers["x-text"] == "ü"
    assert request.headers["x-bytes"] == "b"
    assert request.headers["accept"] == "text/x"


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"X": "a\nb"}, ValueError),
        ({"X Y": "a"}, ValueError),
        ({"X": 5}, TypeError),
        ([1], TypeError),
        (5, TypeError),
    ],
)
def test_invalid_headers_are_errors(headers: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        SSEClient(ConnectStrategy.http("http://localhost/", headers=headers))


def test_an_invalid_url_is_an_error() -> None:
    for url in ("", "localhost", "ftp://localhost/", "http://"):
        with pytest.raises(ValueError, match="url"):
            SSEClient(url)


@pytest.mark.parametrize("body", [b'{"stream": true}', '{"stream": true}'])
def test_any_method_and_body_can_be_sent(server: SSEServer, body: str | bytes) -> None:
    headers = {"Content-Type": "application/json"}
    request = requested(server, method="POST", body=body, headers=headers)
    assert (request.method, request.body) == ("POST", b'{"stream": true}')
    assert request.headers["content-type"] == "application/json"


def test_a_post_is_not_repeated_by_default(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a"))
    strategy = ConnectStrategy.http(server.url(), method="POST", body="x")
    with SSEClient(strategy, 0, error_strategy=ErrorStrategy.always_continue()) as client:
        assert [event.data for event in client.events] == ["a"]
        assert list(client.events) == []
    assert server.request_count == 1


def test_invalid_settings_are_errors() -> None:
    http = ConnectStrategy.http
    with pytest.raises(ValueError, match="method"):
        SSEClient(http("http://localhost/", method="A B"))
    with pytest.raises(ValueError, match="read_timeout"):
        http("http://localhost/", read_timeout=-1)
    with pytest.raises(ValueError, match="connect_timeout"):
        http("http://localhost/", connect_timeout=-1)
    with pytest.raises(TypeError, match="body"):
        http("http://localhost/", body=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="query_params"):
        http("http://localhost/", query_params={"a": "b"})  # type: ignore[arg-type]


def test_query_params_is_called_before_every_connection(server: SSEServer) -> None:
    server.otherwise(Reply.stream())
    numbers = iter(range(1, 10))
    strategy = ConnectStrategy.http(
        server.url("/feed?a=1&n=0"), query_params=lambda: {"n": next(numbers), "t": "a b&c"}
    )
    with SSEClient(strategy, 0) as client:
        list(client.events)
        list(client.events)
    assert [request.target for request in server.requests] == [
        "/feed?a=1&n=1&t=a+b%26c",
        "/feed?a=1&n=2&t=a+b%26c",
    ]


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
def test_query_params_can_have_several_values(server: SSEServer, params: Any, target: str) -> None:
    assert requested(server, "/?topic=z", query_params=lambda: params).target == target


def test_an_exception_in_query_params_is_raised_unchanged(server: SSEServer) -> None:
    mistake = LookupError("no token")

    def query_params() -> dict[str, str]:
        raise mistake

    strategy = ConnectStrategy.http(server.url(), query_params=query_params)
    with SSEClient(strategy) as client, pytest.raises(LookupError) as raised:
        client.start()
    assert raised.value is mistake
    assert raised.traceback[-1].name == "query_params"

    one_retry = ErrorStrategy.continue_with_max_attempts(1)
    with SSEClient(strategy, 0, error_strategy=one_retry) as client:
        fault = next(client.all)
    assert isinstance(fault, Fault)
    assert fault.error is mistake
    assert server.request_count == 0


def test_an_invalid_query_is_an_error(server: SSEServer) -> None:
    strategy = ConnectStrategy.http(server.url(), query_params=lambda: [5])  # type: ignore[list-item]
    with SSEClient(strategy) as client, pytest.raises(TypeError, match="pairs"):
        client.start()


def test_a_timeout_of_zero_means_no_timeout(server: SSEServer) -> None:
    request = requested(server, read_timeout=0, connect_timeout=0)
    assert request.method == "GET"
    assert requested(server, read_timeout=None, connect_timeout=None).method == "GET"


def test_one_strategy_can_serve_many_clients(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a").stall())
    strategy = ConnectStrategy.http(server.url())
    with SSEClient(strategy) as one, SSEClient(strategy) as other:
        assert next(one.events).data == next(other.events).data == "a"
    assert server.request_count == 2
