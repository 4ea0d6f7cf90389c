"""The body of a response."""

from __future__ import annotations

from typing import Any, Final

from urllib3 import exceptions as u3

from .. import _body
from .._disconnect import MID_RESPONSE, causes, disconnect
from ..errors import ReadError, ReadTimeoutError
from .wire import Wire

CHUNK: Final = 16384


class Body(_body.Body):
    """The chunks of a response of urllib3."""

    def __init__(self, response: Any, wire: Wire) -> None:
        super().__init__(wire)
        self._response = response
        self._decodes = False

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

    def _close_response(self) -> None:
        # A connection whose response was read to its end is in the pool already.
        self._response.close()
        self._response.release_conn()

    def decode(self, coding: str | None) -> None:
        """Says what the body is encoded as. To be called before it is read."""
        self._decodes = coding is not None
        if coding is not None:
            # urllib3 decodes what is named here, and would take any other word for a coding too.
            self._response.headers["content-encoding"] = coding


def _disconnect(error: Exception) -> str | None:
    for cause in causes(error):
        # http.client tells an end where the size of a chunk should be, which is b'', from one that
        # is no number only by the error below its own.
        if isinstance(cause, ValueError) and not str(cause).endswith("b''"):
            return None
    return disconnect(error, MID_RESPONSE)
