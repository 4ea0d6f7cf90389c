"""A scriptable SSE server on real sockets of the loopback interface, for tests.

It is told what to answer, and tells what it was asked::

    from everstream import SSEClient
    from everstream.testing import Reply, SSEServer

    def test_it_resumes():
        with SSEServer() as server:
            server.enqueue(
                Reply.stream().event("one", id="1").reset(),
                Reply.stream().event("two"),
            )
            with SSEClient(server.url("/feed"), 0, error_strategy=...) as client:
                ...
            assert server.requests[1].last_event_id == "1"

With pytest installed, the fixture ``sse_server`` is such a server, stopped after the test.
"""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple

from . import _native
from ._headers import Headers
from ._native import Feed, Gate, Reply

__all__ = ["Feed", "Gate", "Reply", "Request", "SSEServer"]


class Request(NamedTuple):
    """A request that the server has received."""

    method: str
    target: str
    """Path and query, as they were sent."""
    headers: Headers
    """Values are read as UTF-8."""
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the question mark; empty if there is none."""
        return self.target.partition("?")[2]

    @property
    def last_event_id(self) -> str | None:
        """The ``Last-Event-ID`` header; ``None`` if there was none."""
        return self.headers.get("last-event-id")


class SSEServer:
    """A server on a free port of 127.0.0.1, in threads of its own.

    Each request takes the next reply of the queue; when that is empty, the one that
    :meth:`otherwise` has set; without it, the answer is a 404 that says so. The methods may be
    called from any thread. In a ``with`` statement it is stopped at the end.
    """

    def __init__(self) -> None:
        """Raises ``OSError`` if the system has no free port."""
        self._native = _native.Server()

    def url(self, path: str = "/") -> str:
        """The URL of a path on this server."""
        return self._native.url(path)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._native.port

    def enqueue(self, *replies: Reply) -> SSEServer:
        """Adds replies to the queue, each of which answers one request. Returns the server."""
        for reply in replies:
            self._native.enqueue(reply)
        return self

    def otherwise(self, reply: Reply) -> SSEServer:
        """Sets the reply to every request that finds the queue empty. Returns the server."""
        self._native.otherwise(reply)
        return self

    @property
    def queued_replies(self) -> int:
        """How many replies of the queue were not taken yet."""
        return self._native.queued_replies

    @property
    def requests(self) -> list[Request]:
        """What was received so far, oldest first.

        A request is here when all of it was read, before it is answered.
        """
        return [
            Request(method, target, Headers(headers), body)
            for method, target, headers, body in self._native.requests()
        ]

    @property
    def request_count(self) -> int:
        """How many requests were received so far."""
        return self._native.request_count

    @property
    def refused_requests(self) -> int:
        """How much was refused because it wasn't proper HTTP/1."""
        return self._native.refused_requests

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return self._native.open_connections

    @property
    def accepted_connections(self) -> int:
        """How many connections were accepted so far."""
        return self._native.accepted_connections

    def wait_for_requests(self, count: int, timeout: float = 10) -> bool:
        """Waits until this many requests were received, at most for ``timeout`` seconds.

        Like the other ``wait_for_`` methods, it returns whether that happened in time.
        """
        return self._native.wait_for_requests(count, timeout)

    def wait_for_connections(self, count: int, timeout: float = 10) -> bool:
        """Waits until this many connections were accepted, at most for ``timeout`` seconds."""
        return self._native.wait_for_connections(count, timeout)

    def wait_for_open_connections(self, count: int, timeout: float = 10) -> bool:
        """Waits until exactly this many connections are open, at most for ``timeout`` seconds.

        Wait for 0 to check that a client has closed its sockets.
        """
        return self._native.wait_for_open_connections(count, timeout)

    def drop_connections(self) -> None:
        """Closes all connections, and keeps listening."""
        self._native.drop_connections()

    def reset_connections(self) -> None:
        """Resets all connections, and keeps listening."""
        self._native.reset_connections()

    def stop(self) -> None:
        """Stops listening and closes all connections; new ones are refused.

        Script and records stay, and the port is kept for :meth:`restart`.
        """
        self._native.stop()

    def restart(self) -> None:
        """Listens again on the same port. Raises ``OSError`` if the system refuses it."""
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
