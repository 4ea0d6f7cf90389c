"""close() and interrupt() from another thread, where urllib3 makes the connections."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import urllib3

from conftest import LIMIT, Background
from everstream import SSEClient
from everstream.actions import Fault, Start
from everstream.config import ConnectStrategy, ErrorStrategy, RetryDelayStrategy
from everstream.errors import InterruptedStartError
from everstream.testing import Gate, Reply, SSEServer
from test_urllib3 import events, over

HOUR = RetryDelayStrategy.from_lambda(lambda _: (3600, None))
CONTINUE = ErrorStrategy.always_continue()


def trusting(certificate: Path) -> urllib3.PoolManager:
    return urllib3.PoolManager(ca_certs=str(certificate))


CERTIFICATE = Path(__file__).parent / "certificate.pem"


class TLSServer:
    """Answers one request with an event over TLS, and goes silent."""

    def __init__(self, answer: bytes) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self._listener.getsockname()[1]}/"
        self._answer = answer
        self.asked = threading.Event()
        self.left = Background(lambda: self._serve(context))

    def _serve(self, context: ssl.SSLContext) -> bytes:
        with self._listener, self._listener.accept()[0] as plain:
            plain.settimeout(LIMIT)
            with context.wrap_socket(plain, server_side=True) as connection:
                assert connection.recv(65536)
                self.asked.set()
                connection.sendall(self._answer)
                try:
                    return connection.recv(1)
                except (OSError, ssl.SSLError) as error:
                    return str(error).encode() if isinstance(error, TimeoutError) else b""


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

Phase = tuple[ConnectStrategy, Callable[[], bool]]


def in_handshake(server: SSEServer) -> Phase:
    server.otherwise(Reply.on_accept().stall())
    url = server.url().replace("http:", "https:")
    return over(url, connect_timeout=None), lambda: server.wait_for_connections(1)


def waiting_for_headers(server: SSEServer) -> Phase:
    server.otherwise(Reply.stream().head_after(Gate()))
    return over(server.url(), connect_timeout=None), lambda: server.wait_for_requests(1)


def waiting_for_headers_again(server: SSEServer) -> Phase:
    """On a connection that was used before."""
    server.enqueue(Reply.status(200), Reply.stream().head_after(Gate()))
    pool = urllib3.PoolManager()
    pool.request("GET", server.url())
    return over(server.url(), pool=pool), lambda: server.wait_for_requests(2)


def reading(server: SSEServer) -> Phase:
    server.otherwise(Reply.stream().stall())
    return over(server.url()), lambda: server.wait_for_requests(1)


def waiting_for_tls_headers(_: SSEServer) -> Phase:
    tls = TLSServer(b"")
    return over(tls.url, pool=trusting(CERTIFICATE)), lambda: tls.asked.wait(LIMIT)


def reading_tls(_: SSEServer) -> Phase:
    tls = TLSServer(HEAD)
    return over(tls.url, pool=trusting(CERTIFICATE)), lambda: tls.asked.wait(LIMIT)


@pytest.fixture(
    params=[
        in_handshake,
        waiting_for_headers,
        waiting_for_headers_again,
        reading,
        waiting_for_tls_headers,
        reading_tls,
    ]
)
def phase(request: pytest.FixtureRequest, server: SSEServer) -> Phase:
    made: Phase = request.param(server)
    return made


def test_close_ends_the_iteration(phase: Phase, server: SSEServer) -> None:
    connect, reached = phase
    client = SSEClient(connect, 1, HOUR, error_strategy=CONTINUE)
    reader = Background(lambda: events(client))
    assert reached()
    client.close()
    assert reader.result() == []
    assert server.wait_for_open_connections(0)


def test_interrupt_is_like_an_end_of_the_server(phase: Phase, server: SSEServer) -> None:
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


def test_start_is_interrupted(server: SSEServer) -> None:
    connect, reached = waiting_for_headers(server)
    client = SSEClient(connect)
    starter = Background(client.start)
    assert reached()
    client.interrupt()
    with pytest.raises(InterruptedStartError):
        starter.result()
    client.close()


def test_what_came_is_read_after_tls_is_stopped() -> None:
    """A TLS socket that is shut isn't read as if it were a plain one."""
    tls = TLSServer(HEAD + b"data: one\n\n")
    client = SSEClient(over(tls.url, pool=trusting(CERTIFICATE)))
    actions = client.all
    assert isinstance(next(actions), Start)
    client.interrupt()
    assert [type(action) for action in actions][-1:] == [Fault]
    assert tls.left.result() == b""
    client.close()


def test_a_client_that_is_dropped_lets_go_of_its_socket(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("x").stall())
    client = SSEClient(over(server.url()))
    assert next(client.events).data == "x"
    del client
    assert server.wait_for_open_connections(0)
