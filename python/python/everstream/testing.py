"""A scriptable SSE server on real sockets of the loopback interface, for tests.

Script its replies, then check the requests that it received::

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

With pytest, the fixture ``sse_server`` is such a server; it is stopped after the test.
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
    """Path and query, as received."""
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
    """A server on a free port of 127.0.0.1, in its own threads.

    Each request takes the next reply from the queue. If the queue is empty, the reply set by
    :meth:`otherwise` is sent, or else a 404 with an explanation. The methods can be called from any
    thread. A ``with`` statement stops the server at its end.
    """

    def __init__(self) -> None:
        """Raises ``OSError`` if the system has no free port."""
        self._native = _native.Server()

    def url(self, path: str = "/") -> str:
        """The URL of a path on this server."""
        return self._native.url(path)

    @property
    def port(self) -> int:
        """The port that the server listens on."""
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
        """How many replies are left in the queue."""
        return self._native.queued_replies

    @property
    def requests(self) -> list[Request]:
        """The requests received so far, oldest first.

        A request is listed once it has been read completely, before the reply is sent.
        """
        return [
            Request(method, target, Headers(headers), body)
            for method, target, headers, body in self._native.requests()
        ]

    @property
    def request_count(self) -> int:
        """How many requests have been received."""
        return self._native.request_count

    @property
    def refused_requests(self) -> int:
        """How many requests were refused because they weren't valid HTTP/1."""
        return self._native.refused_requests

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return self._native.open_connections

    @property
    def accepted_connections(self) -> int:
        """How many connections have been accepted."""
        return self._native.accepted_connections

    def wait_for_requests(self, count: int, timeout: float = 10) -> bool:
        """Waits until this many requests have been received, at most ``timeout`` seconds.

        Returns whether that happened in time, like the other ``wait_for_`` methods.
        """
        return self._native.wait_for_requests(count, timeout)

    def wait_for_connections(self, count: int, timeout: float = 10) -> bool:
        """Waits until this many connections have been accepted, at most ``timeout`` seconds."""
        return self._native.wait_for_connections(count, timeout)

    def wait_for_open_connections(self, count: int, timeout: float = 10) -> bool:
        """Waits until exactly this many connections are open, at most ``timeout`` seconds.

        Wait for 0 to check that a client has closed its sockets.
        """
        return self._native.wait_for_open_connections(count, timeout)

    def drop_connections(self) -> None:
        """Closes all connections. The server keeps listening."""
        self._native.drop_connections()

    def reset_connections(self) -> None:
        """Resets all connections. The server keeps listening."""
        self._native.reset_connections()

    def stop(self) -> None:
        """Stops listening and closes all connections; new ones are refused.

        The queue and the received requests are kept, and so is the port, for :meth:`restart`.
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
