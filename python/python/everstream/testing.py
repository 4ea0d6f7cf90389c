"""A scriptable SSE server on loopback, for tests."""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple

from . import _native
from ._headers import Headers
from ._native import Reply

__all__ = ["Reply", "Request", "SSEServer"]


class Request(NamedTuple):
    """A request that the server has received."""

    method: str
    target: str
    headers: Headers
    body: bytes


class SSEServer:
    """A server on a free port of 127.0.0.1, in threads of its own."""

    def __init__(self) -> None:
        self._native = _native.Server()

    def url(self, path: str = "/") -> str:
        """The URL of a path on this server."""
        return self._native.url(path)

    def enqueue(self, *replies: Reply) -> SSEServer:
        """Adds replies, each to one request."""
        for reply in replies:
            self._native.enqueue(reply)
        return self

    def otherwise(self, reply: Reply) -> SSEServer:
        """Sets the reply to every request that finds the queue empty."""
        self._native.otherwise(reply)
        return self

    @property
    def requests(self) -> list[Request]:
        """What was received so far, oldest first."""
        return [
            Request(method, target, Headers(headers), body)
            for method, target, headers, body in self._native.requests()
        ]

    @property
    def request_count(self) -> int:
        """How many requests were received so far."""
        return self._native.request_count

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return self._native.open_connections

    @property
    def accepted_connections(self) -> int:
        """How many connections were accepted so far."""
        return self._native.accepted_connections

    def wait_for_requests(self, count: int, timeout: float = 10) -> bool:
        """Waits until so many requests have come; whether they have."""
        return self._native.wait_for_requests(count, timeout)

    def wait_for_connections(self, count: int, timeout: float = 10) -> bool:
        """Waits until so many connections were accepted; whether they were."""
        return self._native.wait_for_connections(count, timeout)

    def wait_for_open_connections(self, count: int, timeout: float = 10) -> bool:
        """Waits until exactly so many connections are open; whether they are."""
        return self._native.wait_for_open_connections(count, timeout)

    def drop_connections(self) -> None:
        """Closes all connections, and goes on listening."""
        self._native.drop_connections()

    def stop(self) -> None:
        """Stops listening and closes all connections."""
        self._native.stop()

    def restart(self) -> None:
        """Listens again on the same port."""
        self._native.restart()

    def __enter__(self) -> SSEServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
