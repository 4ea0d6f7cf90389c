"""The socket of an attempt, which any thread can shut down."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any


class StoppableSocket:
    """The socket of an attempt, which any thread can shut down.

    It holds a duplicate of the socket, because the HTTP library may close the original or reuse it
    for another request at any time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.stopped = False

    def stop(self) -> None:
        """Stops the attempt: wakes a thread that waits for it, and prevents new requests."""
        with self._lock:
            self.stopped = True
            self._shut()

    def shut_down(self) -> None:
        """Wakes a thread that waits for this connection; the attempt may make another one."""
        with self._lock:
            self._shut()

    def set(self, found: Any) -> None:
        """Sets the current socket; ``None``: there is none."""
        with self._lock:
            known, self._socket = self._socket, None
            if known is not None:
                known.close()
            if found is not None:
                # Family and type don't matter for shutdown().
                with contextlib.suppress(AttributeError, OSError):
                    self._socket = socket.fromfd(found.fileno(), socket.AF_INET, socket.SOCK_STREAM)
            if self.stopped:
                self._shut()

    @property
    def is_set(self) -> bool:
        """Whether there is a socket."""
        return self._socket is not None

    def clear(self) -> None:
        """The connection is closed."""
        self.set(None)

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
