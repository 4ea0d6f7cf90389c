"""HTTP over urllib3, with the user's pool or request options."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from conftest import LIMIT, Background
from everstream import SSEClient
from everstream.config import ConnectStrategy, ErrorStrategy, RetryDelayStrategy
from everstream.errors import (
    ConnectError,
    ConnectTimeoutError,
    HTTPRedirectError,
    HTTPStatusError,
    ReadTimeoutError,
    RequestError,
)
from everstream.testing import Gate, Reply, SSEServer

HOUR = RetryDelayStrategy.from_lambda(lambda _: (3600, None))
CONTINUE = ErrorStrategy.always_continue()


def over(url: str, **options: Any) -> ConnectStrategy:
    """A strategy that uses urllib3, whatever the options."""
    if options.get("pool") is None:
        options.setdefault("urllib3_request_options", {})
    return ConnectStrategy.http(url, **options)


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager() as pool:
        yield pool


def events(client: SSEClient) -> list[str]:
    return [event.data for event in client.events]


def test_interim_responses_without_end_are_an_error(server: SSEServer) -> None:
    server.otherwise(Reply.raw(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000))
    with SSEClient(over(server.url("/"))) as client, pytest.raises(HTTPStatusError) as raised:
        next(client.events)
    assert raised.value.status == 103


# The request


def test_method_body_and_options_reach_the_server(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("x"))
    for options in ({"body": "ä"}, {"urllib3_request_options": {"json": {"a": "ä"}}}):
        with SSEClient(over(server.url(), method="post", **options)) as client:
            list(client.events)
    text, json = server.requests
    assert (text.method, text.body) == ("POST", "ä".encode())
    assert json.headers["content-type"] == "application/json"
    assert json.body.decode() in ('{"a":"ä"}', '{"a":"\\u00e4"}')


def test_headers_of_the_options_are_sent_too(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("x"))
    options = {"headers": {"X-A": "1", "X-B": "1"}}
    connect = over(server.url(), headers={"x-b": "2"}, urllib3_request_options=options)
    with SSEClient(connect) as client:
        list(client.events)
    assert server.requests[0].headers.get_all("x-a") == ["1"]
    assert server.requests[0].headers.get_all("x-b") == ["2"]


# Redirects


def test_fields_are_not_added_to_the_url_of_a_redirect(server: SSEServer) -> None:
    server.enqueue(Reply.redirect(302, "/there?b=2"), Reply.stream().event("x"))
    options = {"fields": {"a": "1"}}
    with SSEClient(over(server.url("/"), urllib3_request_options=options)) as client:
        assert events(client) == ["x"]
    assert [request.target for request in server.requests] == ["/?a=1", "/there?b=2"]


def test_redirects_can_be_disabled_in_the_options(server: SSEServer) -> None:
    server.otherwise(Reply.redirect(302, "/"))
    connect = over(server.url(), urllib3_request_options={"redirect": False})
    with SSEClient(connect) as client, pytest.raises(HTTPRedirectError):
        client.start()
    assert server.request_count == 1


# Errors


def test_a_refused_connection_has_the_error_of_urllib3(server: SSEServer) -> None:
    server.stop()
    with SSEClient(over(server.url("/?secret"))) as client, pytest.raises(ConnectError) as info:
        client.start()
    assert info.value.errno is not None
    assert isinstance(info.value.__cause__, urllib3.exceptions.NewConnectionError)
    assert "secret" not in str(info.value)


def test_a_connect_timeout_of_urllib3_is_a_connect_timeout(unresponsive_url: str) -> None:
    options = {"timeout": urllib3.Timeout(connect=0.2)}
    connect = over(unresponsive_url, urllib3_request_options=options)
    with SSEClient(connect) as client, pytest.raises(ConnectTimeoutError):
        client.start()


def test_a_read_timeout_of_urllib3_is_a_read_timeout(server: SSEServer) -> None:
    server.enqueue(Reply.stream().stall(), Reply.stream().event("x").stall())
    with SSEClient(over(server.url(), urllib3_request_options={"timeout": 0.3}), 0) as client:
        with pytest.raises(ReadTimeoutError):
            next(client.events)
        reading = client.events
        assert next(reading).data == "x"
        with pytest.raises(ReadTimeoutError):
            next(reading)


def test_the_read_timeout_of_the_stream_is_not_set_on_the_socket(
    server: SSEServer, pool: urllib3.PoolManager
) -> None:
    """The engine enforces the read timeout of the stream."""
    made: list[urllib3.connection.HTTPConnection] = []
    limits: list[float | None] = []

    class Recorded(urllib3.connection.HTTPConnection):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            made.append(self)

        def getresponse(self) -> Any:
            limits.append(self.sock.gettimeout())
            return super().getresponse()

    class Pool(urllib3.connectionpool.HTTPConnectionPool):
        ConnectionCls = Recorded

    pool.pool_classes_by_scheme = {"http": Pool}
    server.otherwise(Reply.stream().event("x").stall())
    with SSEClient(server.url(), pool=pool, read_timeout=LIMIT) as client:
        next(client.events)
        (connection,) = made
        limits.append(connection.sock.gettimeout())
    # The first is that of connecting, 10 s by default.
    assert limits == [10, None]


def test_half_a_response_head_is_a_request_error(server: SSEServer) -> None:
    server.otherwise(Reply.raw("HTTP/1.1 2"))
    with (
        SSEClient(over(server.url())) as client,
        pytest.raises(RequestError, match="BadStatusLine"),
    ):
        client.start()


# The user's pool


def test_the_users_pool_is_used_and_left_open(server: SSEServer, pool: urllib3.PoolManager) -> None:
    server.otherwise(Reply.stream().event("x"))
    with SSEClient(over(server.url(), pool=pool)) as client:
        assert events(client) == ["x"]
    # The connection returned to the pool and is reused.
    assert pool.request("GET", server.url("/mine")).status == 200
    assert server.accepted_connections == 1


def test_a_pool_that_blocks_gets_its_connection_back(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("x").stall())
    with urllib3.PoolManager(maxsize=1, block=True) as pool:
        for _ in range(3):
            with SSEClient(over(server.url(), pool=pool)) as client:
                assert next(client.events).data == "x"
            assert server.wait_for_open_connections(0)


def test_a_connection_returned_to_the_pool_is_not_stopped(
    server: SSEServer, pool: urllib3.PoolManager
) -> None:
    gate = Gate()
    server.enqueue(Reply.stream().event("x"), Reply.status(200).head_after(gate).send("mine"))
    client = SSEClient(over(server.url(), pool=pool))
    assert events(client) == ["x"]
    mine = Background(lambda: pool.request("GET", server.url("/mine")).data)
    assert server.wait_for_requests(2)
    client.interrupt()
    client.close()
    gate.open()
    assert mine.result() == b"mine"
    assert server.accepted_connections == 1


def test_our_own_pool_is_closed_with_the_client(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("x"))
    client = SSEClient(over(server.url()))
    assert events(client) == ["x"]
    assert server.open_connections == 1
    client.close()
    assert server.wait_for_open_connections(0)


def test_a_proxy_is_used(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("x"))
    with (
        urllib3.ProxyManager(server.url()) as pool,
        SSEClient(over("http://nowhere.invalid/feed", pool=pool)) as client,
    ):
        assert events(client) == ["x"]
    assert server.requests[0].target == "http://nowhere.invalid/feed"


# Invalid settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool": "pool"}, "PoolManager"),
        ({"urllib3_request_options": {"retries": 3}}, "retries"),
        ({"urllib3_request_options": {"timeout": 1}, "read_timeout": 1}, "timeout"),
    ],
)
def test_invalid_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message) as info:
        over("http://localhost/", **options)
    assert "secret" not in str(info.value)


def test_without_urllib3_the_error_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['urllib3'] = None\n"
        "from everstream.config import ConnectStrategy\n"
        "ConnectStrategy.http('http://localhost/')\n"
        "ConnectStrategy.http('http://localhost/', urllib3_request_options={})\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("ImportError")
    assert "everstream[urllib3]" in run.stderr.splitlines()[-1]


def test_a_refused_connection_is_not_a_timeout(server: SSEServer) -> None:
    server.stop()
    connect = ConnectStrategy.http(server.url(), urllib3_request_options={})
    with SSEClient(connect) as client, pytest.raises(ConnectError) as raised:
        client.start()
    assert type(raised.value) is ConnectError
    assert "in time" not in str(raised.value)
