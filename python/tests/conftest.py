"""What the tests share."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from everstream.testing import SSEServer

LIMIT = 10.0


@pytest.fixture
def server() -> Iterator[SSEServer]:
    with SSEServer() as server:
        yield server


class Background:
    """A function in a thread of its own."""

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
        """What it returned or raised. It is nudged until it ends, if that is what ends it."""
        deadline = time.monotonic() + LIMIT
        while nudge is not None and self._thread.is_alive() and time.monotonic() < deadline:
            nudge()
            self._thread.join(0.05)
        self._thread.join(LIMIT)
        assert not self._thread.is_alive(), "it doesn't come to an end"
        if self._error is not None:
            raise self._error
        return self._result


@pytest.fixture
def deaf() -> Iterator[str]:
    """The URL of a port that doesn't answer when somebody connects: its queue is full."""
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
