"""The body of a response."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Final

from urllib3 import exceptions as u3

from .._disconnect import MID_RESPONSE, causes, disconnect
from .._native import Exchange
from ..errors import ReadError, ReadTimeoutError, SSEError
from .wire import Wire

CHUNK: Final = 16384


class Body:
    """The chunks of a response, each as soon as it is there.

    One thread reads, and any thread closes. What is read isn't closed by urllib3 in a second
    thread: a file that is read would be waited for, and its number given to another one.
    """

    def __init__(self, response: Any, wire: Wire) -> None:
        self._response = response
        self._wire = wire
        self._reading = threading.Lock()
        self._closed = False
        self._decodes = False

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> bytes:
        try:
            with self._reading:
                chunk = b"" if self._closed else self._read()
        finally:
            # Here the lock is released before the flag is looked at, and there the flag is set
            # before the lock is tried.
            if self._closed:
                self._release()
        if self._closed or not chunk:
            raise StopIteration
        return chunk

    def _read(self) -> bytes:
        try:
            chunk: bytes = self._response.read1(CHUNK, decode_content=self._decodes)
            return chunk
        except u3.ReadTimeoutError as error:
            failure: Exception = ReadTimeoutError("no byte came within the read timeout")
            cause: Exception = error
        except (u3.HTTPError, OSError, ValueError) as error:
            text = _disconnect(error) or f"the connection broke: {error}"
            failure, cause = ReadError(text), error
        raise failure from cause

    def decode(self, coding: str | None) -> None:
        """Says what the body is encoded as. To be called before it is read."""
        self._decodes = coding is not None
        if coding is not None:
            # urllib3 decodes what is named here, and would take any other word for a coding too.
            self._response.headers["content-encoding"] = coding

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
                # A connection whose response was read to its end is in the pool already.
                self._response.close()
                self._response.release_conn()
                self._wire.forget()
            finally:
                self._reading.release()


def _disconnect(error: Exception) -> str | None:
    for cause in causes(error):
        # http.client tells an end where the size of a chunk should be, which is b'', from one that
        # is no number only by the error below its own.
        if isinstance(cause, ValueError) and not str(cause).endswith("b''"):
            return None
    return disconnect(error, MID_RESPONSE)
