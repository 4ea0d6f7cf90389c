"""The body of a response, for threads: one thread reads it, and any thread can close it."""

from __future__ import annotations

import contextlib
import threading

from ._native import Exchange
from ._stoppable_socket import StoppableSocket
from .errors import SSEError


class Body:
    """An iterator over the chunks of a response, each as soon as it arrives. To be subclassed.

    One thread reads, and any thread can close. While one thread reads, no other thread calls the
    HTTP library's ``close()``: it would wait for the read to end, and the file descriptor might be
    reused meanwhile.
    """

    def __init__(self, sock: StoppableSocket) -> None:
        self._sock = sock
        self._reading = threading.Lock()
        self._closed = False

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes:
        try:
            with self._reading:
                chunk = b"" if self._closed else self._read()
        except SSEError:
            # An error caused by closing isn't the server's fault.
            if not self._closed:
                raise
            chunk = b""
        finally:
            # No release is missed: here the lock is released before the flag is read, and close()
            # sets the flag before it tries the lock.
            if self._closed:
                self._release()
        if self._closed or not chunk:
            raise StopIteration
        return chunk

    def _read(self) -> bytes:
        """The next chunk; empty at the end."""
        raise NotImplementedError

    def _close_response(self) -> None:
        """Closes the response. No thread reads it then. May be called more than once."""
        raise NotImplementedError

    def read_error(self, exchange: Exchange) -> None:
        """Reads an error's body, up to its limits of time and size. Ignores further errors."""
        seconds = exchange.error_body_time
        if seconds is None:
            return
        # A socket's own timeout restarts with every byte.
        timer = threading.Timer(seconds, self._sock.shut_down)
        timer.daemon = True
        timer.start()
        try:
            with contextlib.suppress(SSEError):
                for chunk in self:
                    exchange.handle_body(chunk)
                    if exchange.error_body_time is None:
                        break
        finally:
            timer.cancel()

    def close(self) -> None:
        self._closed = True
        if self._reading.locked():
            self._sock.stop()
        self._release()

    def _release(self) -> None:
        if self._reading.acquire(blocking=False):
            try:
                self._close_response()
                self._sock.clear()
            finally:
                self._reading.release()
