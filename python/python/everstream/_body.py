"""The body of a response, for threads: one reads it, and any closes it."""

from __future__ import annotations

import contextlib
import threading

from ._native import Exchange
from ._wire import Wire
from .errors import SSEError


class Body:
    """The chunks of a response, each as soon as it is there. To be subclassed.

    One thread reads, and any thread closes. What is read isn't closed by the HTTP library in a
    second thread: a file that is read would be waited for, and its number given to another one.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._reading = threading.Lock()
        self._closed = False

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes:
        try:
            with self._reading:
                chunk = b"" if self._closed else self._read()
        except SSEError:
            # What closing broke isn't the server's fault.
            if not self._closed:
                raise
            chunk = b""
        finally:
            # Here the lock is released before the flag is looked at, and there the flag is set
            # before the lock is tried.
            if self._closed:
                self._release()
        if self._closed or not chunk:
            raise StopIteration
        return chunk

    def _read(self) -> bytes:
        """The next chunk; nothing at the end."""
        raise NotImplementedError

    def _close_response(self) -> None:
        """Nobody reads it now. May be called more than once."""
        raise NotImplementedError

    def read_error(self, exchange: Exchange) -> None:
        """Reads the body of an error, for as long as it may take. What fails ends it."""
        seconds = exchange.error_body_time
        if seconds is None:
            return
        # A socket's own timeout begins again with every byte.
        timer = threading.Timer(seconds, self._wire.cut)
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
            self._wire.stop()
        self._release()

    def _release(self) -> None:
        if self._reading.acquire(blocking=False):
            try:
                self._close_response()
                self._wire.forget()
            finally:
                self._reading.release()
