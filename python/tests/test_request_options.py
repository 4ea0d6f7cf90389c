"""The options of a request mean the same over every transport."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import AUTHORITY, LIMIT, SIGNED
from everstream.errors import ConnectError, HTTPStatusError, SSEError
from everstream.testing import Reply, SSEServer
from httpx_clients import skip_if_missing
from transports import ALL, OF_LIBRARIES, TRANSPORTS, data, read, transport, transport_fixture

CLIENT = Path(__file__).parent / "client.pem"
"""A self-signed client certificate, with its key."""

by = transport_fixture(ALL)
by_connection = transport_fixture(TRANSPORTS)


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
    default: dict[str, Any] = {}
    for options in (default, {"verify": True}):
        _, error = read(by_connection, url, **options)
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


def test_the_client_accepts_the_parameters_of_the_strategy(server: SSEServer, by: str) -> None:
    server.otherwise(Reply.status(401))
    _, error = read(by, server.url(), headers={"X-A": "1"}, method="QUERY", body=b"x")
    assert isinstance(error, HTTPStatusError)
    (request,) = server.requests
    assert (request.method, request.headers["x-a"], request.body) == ("QUERY", "1", b"x")
