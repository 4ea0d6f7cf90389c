"""The exceptions.

All of them are subclasses of :class:`SSEError`. Network errors are also subclasses of the matching
built-in exceptions, such as ``ConnectionError`` and ``TimeoutError``. No message contains the query
or the user info of a URL, or the value of a request header.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ._headers import Headers, as_headers
from ._native import parse_retry_after, redact_url

__all__ = [
    "ClosedError",
    "ConnectError",
    "ConnectTimeoutError",
    "EventTooLargeError",
    "HTTPContentEncodingError",
    "HTTPContentTypeError",
    "HTTPRedirectError",
    "HTTPResponseError",
    "HTTPStatusError",
    "IncompleteStreamError",
    "InterruptedStartError",
    "ReadError",
    "ReadTimeoutError",
    "RequestError",
    "RequestSetupError",
    "SSEError",
]


#: Appended to the message of an error after which the request isn't sent again.
NOT_REPEATED: Final = (
    "the request isn't safe to repeat, so it isn't sent again "
    "(repeat_unsafe and resume_with_get change that)"
)

#: Appended to the message of an error that is raised again by a later loop.
ONLY_START: Final = "only start() sends the request again"


class SSEError(Exception):
    """Base class of the exceptions of this package."""

    #: Whether the error strategy would have continued, but the request isn't safe (RFC 9110,
    #: section 9.2.1) and the server may have acted on it. ``repeat_unsafe`` of
    #: :class:`~everstream.SSEClient` sends it again, ``resume_with_get`` resumes it.
    not_repeated: bool = False
    _only_start: bool = False

    def __str__(self) -> str:
        return with_notes(self, super().__str__())


def with_notes(error: SSEError, text: str) -> str:
    """The message of an error, with what it says about sending the request again."""
    if error.not_repeated:
        text = f"{text}; {NOT_REPEATED}"
    return f"{text}; {ONLY_START}" if error._only_start else text


class ConnectError(SSEError, ConnectionError):
    """No connection could be established (DNS, TCP, TLS or proxy), or the server reported over
    HTTP/2 that it didn't process the request. The server can't have acted on the request.
    """


class ConnectTimeoutError(ConnectError, TimeoutError):
    """No connection could be established within ``connect_timeout``. No request was sent."""


class RequestError(SSEError, ConnectionError):
    """The request failed before a response arrived; the server may have received it."""


class RequestSetupError(SSEError):
    """The function for ``headers`` or ``auth`` raised the exception that is its ``__cause__``. No
    request was sent.
    """


class ReadError(SSEError, ConnectionError):
    """The connection broke while the stream was read."""


class ReadTimeoutError(SSEError, TimeoutError):
    """No response or no data was received for ``read_timeout``."""


class EventTooLargeError(SSEError):
    """The server sent an event larger than ``max_event_size``."""


class IncompleteStreamError(SSEError):
    """The stream ended before its end marker, which ``until`` describes."""


class ClosedError(SSEError):
    """The client was closed; it can't be started again."""


class InterruptedStartError(SSEError):
    """``start()`` was interrupted, and the error strategy said to fail."""


class HTTPResponseError(SSEError):
    """The server answered, but not with a stream. Base class of the four classes below."""

    def __init__(
        self,
        value: Any,
        headers: Mapping[str, Any] | None,
        *,
        status: int,
        url: str | None,
        body: bytes,
        message: str,
    ) -> None:
        super().__init__(message)
        self._value = value
        self._headers = as_headers(headers)
        self._status = status
        self._url = url
        self._body = body
        self._withheld_headers: tuple[str, ...] = ()
        header = self._headers.get("Retry-After") if self._headers is not None else None
        # Now, because a date means a time from when the response arrived.
        self._retry_after = None if header is None else parse_retry_after(header)

    @property
    def status(self) -> int:
        """The status code."""
        return self._status

    @property
    def headers(self) -> Headers | None:
        """The response's headers, as a mapping that ignores case."""
        return self._headers

    @property
    def retry_after(self) -> float | None:
        """How long the server asked the client to wait with ``Retry-After``, in seconds."""
        return self._retry_after

    @property
    def url(self) -> str | None:
        """The URL that answered, after redirects. It may hold secrets in its query."""
        return self._url

    @property
    def body(self) -> bytes:
        """The first KiB of the response's body."""
        return self._body

    @property
    def withheld_headers(self) -> tuple[str, ...]:
        """The names of headers that were not sent to this URL, in lower case: a redirect led to
        another origin than the one they were set for.
        """
        return self._withheld_headers

    def __reduce__(self) -> tuple[Any, ...]:
        # All fields; an exception's own ``args`` is only its message.
        return _restore, (type(self), self.args), dict(self.__dict__)


def _restore(kind: type[HTTPResponseError], args: tuple[Any, ...]) -> HTTPResponseError:
    error = kind.__new__(kind)
    error.args = args
    return error


def _at(url: str | None) -> str:
    return redact_url(url) if url else "the server"


class HTTPStatusError(HTTPResponseError):
    """The response's status isn't 2xx, or is 204."""

    def __init__(
        self,
        status: int,
        headers: Mapping[str, Any] | None = None,
        *,
        url: str | None = None,
        body: bytes = b"",
        message: str | None = None,
    ) -> None:
        message = message or f"{_at(url)} answered with status {status}"
        super().__init__(status, headers, status=status, url=url, body=body, message=message)


class HTTPContentTypeError(HTTPResponseError):
    """The response's content type isn't ``text/event-stream``."""

    def __init__(
        self,
        content_type: str,
        headers: Mapping[str, Any] | None = None,
        *,
        status: int = 200,
        url: str | None = None,
        body: bytes = b"",
        message: str | None = None,
    ) -> None:
        message = message or (
            f"{_at(url)} answered with content type {content_type!r} instead of text/event-stream"
        )
        super().__init__(content_type, headers, status=status, url=url, body=body, message=message)

    @property
    def content_type(self) -> str:
        """The content type; empty if there was none."""
        content_type: str = self._value
        return content_type


class HTTPContentEncodingError(HTTPResponseError):
    """The response's content coding isn't supported."""

    def __init__(
        self,
        content_encoding: str,
        headers: Mapping[str, Any] | None = None,
        *,
        status: int = 200,
        url: str | None = None,
        body: bytes = b"",
        message: str | None = None,
    ) -> None:
        message = message or f"{_at(url)} answered with content encoding {content_encoding!r}"
        super().__init__(
            content_encoding, headers, status=status, url=url, body=body, message=message
        )

    @property
    def content_encoding(self) -> str:
        """The content encoding, such as ``compress``."""
        content_encoding: str = self._value
        return content_encoding


class HTTPRedirectError(HTTPResponseError):
    """The response is a redirect that wasn't followed."""

    def __init__(
        self,
        status: int,
        headers: Mapping[str, Any] | None = None,
        *,
        url: str | None = None,
        body: bytes = b"",
        message: str | None = None,
    ) -> None:
        message = (
            message or f"{_at(url)} responded with a redirect ({status}) that can't be followed"
        )
        super().__init__(status, headers, status=status, url=url, body=body, message=message)
