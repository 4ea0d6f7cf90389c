"""The socket of an attempt, which any thread may shut."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any


class Wire:
    """The socket of an attempt; any thread may stop it.

    The socket is known by a duplicate: the HTTP library may close its own one, or hand it to
    somebody else, at any time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.stopped = False

    def stop(self) -> None:
        """Whoever waits for the network is woken, and nothing more is sent."""
        with self._lock:
            self.stopped = True
            self._shut()

    def cut(self) -> None:
        """Whoever waits for this connection is woken; another one may be made."""
        with self._lock:
            self._shut()

    def know(self, found: Any) -> None:
        """This is the socket from now on; ``None``: there is none."""
        with self._lock:
            known, self._socket = self._socket, None
            if known is not None:
                known.close()
            if found is not None:
                # Family and type matter to nobody who only shuts it.
                with contextlib.suppress(AttributeError, OSError):
                    self._socket = socket.fromfd(found.fileno(), socket.AF_INET, socket.SOCK_STREAM)
            if self.stopped:
                self._shut()

    @property
    def is_known(self) -> bool:
        """Whether there is a socket."""
        return self._socket is not None

    def forget(self) -> None:
        """The connection is closed."""
        self.know(None)

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
