"""close() and interrupt() from another thread, over urllib3 and httpx."""

from __future__ import annotations

import importlib
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import LIMIT, Background, Over
from everstream import SSEClient
from everstream.actions import Fault, Start
from everstream.config import ConnectStrategy, ErrorStrategy, RetryDelayStrategy
from everstream.errors import InterruptedStartError
from everstream.testing import Gate, Reply, SSEServer
from httpx_clients import LIBRARIES, new_client
from test_blocking_http import events

HOUR = RetryDelayStrategy.from_lambda(lambda _: (3600, None))
CONTINUE = ErrorStrategy.always_continue()


@pytest.fixture
def trusting(request: pytest.FixtureRequest, over: Over) -> dict[str, Any]:
    """The options of a strategy that trusts the server below."""
    library = request.node.callspec.params["over"]
    if library in LIBRARIES:
        context = ssl.create_default_context(cafile=CERTIFICATE)
        return {"client": new_client(library, verify=context)}
    return {"pool": importlib.import_module(library).PoolManager(ca_certs=str(CERTIFICATE))}


@pytest.fixture
def reusing(request: pytest.FixtureRequest, server: SSEServer, over: Over) -> dict[str, Any]:
    """The options of a strategy that already has a connection to the server."""
    library = request.node.callspec.params["over"]
    server.enqueue(Reply.status(200))
    if library in LIBRARIES:
        client = importlib.import_module(library).Client()
        client.get(server.url())
        return {"client": client}
    pool = importlib.import_module(library).PoolManager()
    pool.request("GET", server.url())
    return {"pool": pool}


CERTIFICATE = Path(__file__).parent / "certificate.pem"


class TLSServer:
    """Sends one event over TLS and then nothing."""

    def __init__(self, answer: bytes) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self._listener.getsockname()[1]}/"
        self._answer = answer
        self.received = threading.Event()
        self.left = Background(lambda: self._serve(context))

    def _serve(self, context: ssl.SSLContext) -> bytes:
        with self._listener, self._listener.accept()[0] as plain:
            plain.settimeout(LIMIT)
            with context.wrap_socket(plain, server_side=True) as connection:
                assert connection.recv(65536)
                self.received.set()
                connection.sendall(self._answer)
                try:
                    return connection.recv(1)
                except (OSError, ssl.SSLError) as error:
                    return str(error).encode() if isinstance(error, TimeoutError) else b""


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

Phase = tuple[ConnectStrategy, Callable[[], bool]]


def in_handshake(over: Over, server: SSEServer) -> Phase:
    server.otherwise(Reply.on_accept().stall())
    url = server.url().replace("http:", "https:")
    return over(url, connect_timeout=None), lambda: server.wait_for_connections(1)


def waiting_for_headers(over: Over, server: SSEServer) -> Phase:
    server.otherwise(Reply.stream().head_after(Gate()))
    return over(server.url(), connect_timeout=None), lambda: server.wait_for_requests(1)


def reading(over: Over, server: SSEServer) -> Phase:
    server.otherwise(Reply.stream().stall())
    return over(server.url()), lambda: server.wait_for_requests(1)


@pytest.fixture(params=[in_handshake, waiting_for_headers, "again", reading, "TLS headers", "TLS"])
def phase(request: pytest.FixtureRequest, over: Over, server: SSEServer) -> Phase:
    if request.param == "again":
        # On a reused connection.
        options = request.getfixturevalue("reusing")
        server.otherwise(Reply.stream().head_after(Gate()))
        return over(server.url(), **options), lambda: server.wait_for_requests(2)
    if isinstance(request.param, str):
        tls = TLSServer(HEAD if request.param == "TLS" else b"")
        connect = over(tls.url, **request.getfixturevalue("trusting"))
        return connect, lambda: tls.received.wait(LIMIT)
    made: Phase = request.param(over, server)
    return made


def test_close_ends_the_iteration(phase: Phase, server: SSEServer) -> None:
    connect, reached = phase
    client = SSEClient(connect, 1, HOUR, error_strategy=CONTINUE)
    reader = Background(lambda: events(client))
    assert reached()
    client.close()
    assert reader.result() == []
    assert server.wait_for_open_connections(0)


def test_interrupt_is_like_an_end_by_the_server(phase: Phase, server: SSEServer) -> None:
    connect, reached = phase
    client = SSEClient(connect, 1, HOUR, error_strategy=CONTINUE)
    reader = Background(
        lambda: next(action for action in client.all if isinstance(action, Fault)).error
    )
    assert reached()
    client.interrupt()
    assert reader.result() is None
    assert server.wait_for_open_connections(0)
    client.close()


def test_start_is_interrupted(over: Over, server: SSEServer) -> None:
    connect, reached = waiting_for_headers(over, server)
    client = SSEClient(connect)
    starter = Background(client.start)
    assert reached()
    client.interrupt()
    with pytest.raises(InterruptedStartError):
        starter.result()
    client.close()


def test_received_data_is_delivered_after_tls_is_stopped(
    over: Over, trusting: dict[str, Any]
) -> None:
    """After a shutdown, a TLS socket isn't read as a plain one."""
    tls = TLSServer(HEAD + b"data: one\n\n")
    client = SSEClient(over(tls.url, **trusting))
    actions = client.all
    assert isinstance(next(actions), Start)
    client.interrupt()
    assert [type(action) for action in actions][-1:] == [Fault]
    assert tls.left.result() == b""
    client.close()


def test_a_garbage_collected_client_closes_its_socket(over: Over, server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("x").stall())
    client = SSEClient(over(server.url()))
    assert next(client.events).data == "x"
    del client
    assert server.wait_for_open_connections(0)
