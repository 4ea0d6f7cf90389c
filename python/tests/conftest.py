"""Shared by the tests."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from everstream.config import ConnectStrategy
from everstream.testing import SSEServer
from httpx_clients import LIBRARIES, new_client, skip_if_missing

LIMIT = 30.0
"""Only a hang takes that long, also on a busy machine."""

SHORT = 1.0
"""A read timeout that a test waits for. A busy machine answers sooner."""


@pytest.fixture
def server() -> Iterator[SSEServer]:
    with SSEServer() as server:
        yield server


@pytest.fixture
def other() -> Iterator[SSEServer]:
    with SSEServer() as server:
        yield server


Over = Callable[..., ConnectStrategy]


@pytest.fixture(params=["urllib3", *LIBRARIES])
def over(request: pytest.FixtureRequest) -> Over:
    """Creates strategies that use a library of the user."""
    library: str = request.param
    skip_if_missing(library)

    def make(url: str, **options: Any) -> ConnectStrategy:
        if library in LIBRARIES:
            options.setdefault("client", new_client(library))
        elif options.get("pool") is None:
            options.setdefault("urllib3_request_options", {})
        return ConnectStrategy.http(url, **options)

    return make


class Background:
    """Runs a function in a thread."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(function,), daemon=True)
        self._thread.start()

    def _run(self, function: Callable[[], Any]) -> None:
        try:
            self._result = function()
        except BaseException as error:
            self._error = error

    def result(self, nudge: Callable[[], Any] | None = None) -> Any:
        """Returns or raises the outcome. Calls ``nudge`` repeatedly until the thread ends."""
        deadline = time.monotonic() + LIMIT
        while nudge is not None and self._thread.is_alive() and time.monotonic() < deadline:
            nudge()
            self._thread.join(0.05)
        self._thread.join(LIMIT)
        assert not self._thread.is_alive(), "the thread did not end in time"
        if self._error is not None:
            raise self._error
        return self._result


@pytest.fixture
def unresponsive_url() -> Iterator[str]:
    """The URL of a port that ignores connections, because its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        queued: list[socket.socket] = []
        try:
            while True:
                client = socket.socket()
                queued.append(client)
                client.settimeout(0.2)
                client.connect(address)
        except TimeoutError:
            pass
        try:
            yield f"http://127.0.0.1:{address[1]}/"
        finally:
            for client in queued:
                client.close()


AUTHORITY = Path(__file__).parent / "authority.pem"
SIGNED = Path(__file__).parent / "signed.pem"
"""A certificate for localhost and 127.0.0.1, signed by authority.pem, with its key."""

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: 1\ndata: over TLS\n\n"


@pytest.fixture
def tls_port() -> Iterator[int]:
    """The port of a server that sends one event over TLS and then nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SIGNED)

    def answer(plain: socket.socket) -> None:
        plain.settimeout(LIMIT)
        with plain:
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    assert connection.recv(65536)
                    connection.sendall(ANSWER)
                    connection.recv(1)
            except OSError:
                pass  # The client rejected the certificate, or closed the connection.

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(plain,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(LIMIT)
