"""The body of a response."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from urllib3 import exceptions as u3

from .. import _body
from .._decoder import Decoder
from .._disconnect import MID_RESPONSE, causes, disconnect
from ..errors import ReadError, ReadTimeoutError, SSEError
from .wire import Wire

CHUNK: Final = 16384


class Body(_body.Body):
    """The chunks of a response of urllib3."""

    def __init__(self, response: Any, wire: Wire) -> None:
        super().__init__(wire)
        self._response = response
        #: Whether a missing part is an error. http.client ignores a length that it can't read, and
        #: the user may have switched the check off.
        self.has_checked_end: bool = response.chunked or (
            response.length_remaining is not None
            and getattr(response, "enforce_content_length", False)
        )
        self._decoder = Decoder(None)
        self._pieces: Iterator[bytes] = iter(())
        self._ended = False

    def decode(self, coding: str | None) -> None:
        """Says what the body is encoded as. To be called before it is read.

        urllib3 doesn't decode: it doesn't notice that a coding isn't complete.
        """
        self._decoder = Decoder(coding)

    def _read(self) -> bytes:
        while True:
            for piece in self._pieces:
                return piece
            if self._ended:
                return b""
            data = b""
            failure: SSEError | None = None
            try:
                data = self._response.read1(CHUNK, decode_content=False)
            except u3.ReadTimeoutError as error:
                failure = _caused(ReadTimeoutError("no byte came within the read timeout"), error)
            except (u3.HTTPError, OSError, ValueError) as error:
                text = _disconnect(error) or f"the connection broke: {error}"
                failure = _caused(ReadError(text), error)
            self._ended = not data
            self._pieces = self._decoder.pieces(data, failure)

    def _close_response(self) -> None:
        # A connection whose response was read to its end is in the pool already.
        self._response.close()
        self._response.release_conn()


def _caused(failure: SSEError, cause: Exception) -> SSEError:
    failure.__cause__ = cause
    return failure


def _disconnect(error: Exception) -> str | None:
    for cause in causes(error):
        # http.client tells an end where the size of a chunk should be, which is b'', from one that
        # is no number only by the error below its own.
        if isinstance(cause, ValueError) and not str(cause).endswith("b''"):
            return None
    return disconnect(error, MID_RESPONSE)
