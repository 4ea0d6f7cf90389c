"""The body of a response of urllib3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from urllib3 import exceptions as u3

from .. import _body
from .._decoder import Decoder
from .._disconnect import MID_RESPONSE, causes, disconnect
from ..errors import ReadError, ReadTimeoutError, SSEError
from .stoppable_socket import StoppableSocket

CHUNK: Final = 16384


class Body(_body.Body):
    """The chunks of a response of urllib3."""

    def __init__(self, response: Any, sock: StoppableSocket) -> None:
        super().__init__(sock)
        self._response = response
        #: Whether urllib3 reports a truncated body as an error. http.client ignores an invalid
        #: length, and the user may have disabled the check.
        self.has_checked_end: bool = response.chunked or (
            response.length_remaining is not None
            and getattr(response, "enforce_content_length", False)
        )
        self._decoder = Decoder(None)
        self._pieces: Iterator[bytes] = iter(())
        self._ended = False

    def decode(self, coding: str | None) -> None:
        """Sets the content coding. Must be called before the body is read.

        urllib3's own decoding isn't used, because it doesn't detect truncated data.
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
                failure = _caused(
                    ReadTimeoutError("no data received within the read timeout"), error
                )
            except (u3.HTTPError, OSError, ValueError) as error:
                text = _disconnect(error) or f"the connection failed: {error}"
                failure = _caused(ReadError(text), error)
            self._ended = not data
            self._pieces = self._decoder.pieces(data, failure)

    def _close_response(self) -> None:
        # If the response was read to its end, the connection is already back in the pool.
        self._response.close()
        self._response.release_conn()


def _caused(failure: SSEError, cause: Exception) -> SSEError:
    failure.__cause__ = cause
    return failure


def _disconnect(error: Exception) -> str | None:
    for cause in causes(error):
        # If the connection ended where the size of a chunk was expected, http.client raises the
        # same error as for an invalid size. Only the inner ValueError differs: it ends with b''.
        if isinstance(cause, ValueError) and not str(cause).endswith("b''"):
            return None
    return disconnect(error, MID_RESPONSE)
