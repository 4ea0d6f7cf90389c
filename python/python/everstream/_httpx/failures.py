"""Translates exceptions of httpx."""

from __future__ import annotations

import os
import socket
import ssl
from typing import Any

from .._disconnect import (
    BAD_HOST,
    MID_RESPONSE,
    NO_RESPONSE,
    causes,
    closed,
    disconnect,
    errno,
    mark_settings,
)
from .._native import Exchange, redact_url
from ..errors import ReadError, SSEError


def before_response(
    library: Any, error: Exception, exchange: Exchange, read_timeout: float | None
) -> Exception:
    """The exception for a failure before the response. It says whether a request was sent."""
    shown = redact_url(exchange.request[1])
    cause: Exception | None = error
    if isinstance(error, library.PoolTimeout):
        text = f"could not connect to {shown}: no connection of the client was free in time"
        failure = exchange.connect_failure(text, is_timeout=True)
    elif isinstance(error, library.ConnectTimeout):
        text = f"could not connect to {shown} in time"
        failure = exchange.connect_failure(text, is_timeout=True)
    elif isinstance(error, UnicodeError) or (
        isinstance(error, library.InvalidURL) and exchange.is_redirected
    ):
        text = f"could not connect to {shown}: {BAD_HOST}"
        failure = exchange.connect_failure(text, is_timeout=False)
    elif isinstance(error, (library.ConnectError, library.ProxyError)):
        text = f"could not connect to {shown}: {_reason(error)}"
        failure = exchange.connect_failure(text, is_timeout=False)
    elif isinstance(error, library.ReadTimeout) and read_timeout is not None:
        failure = exchange.response_timeout(read_timeout)
    elif isinstance(error, library.TimeoutException):
        text = f"no response received from {shown} within the read timeout"
        failure = exchange.request_failure(text, is_timeout=True)
    elif isinstance(error, (library.InvalidURL, library.UnsupportedProtocol)):
        failure = ValueError(f"{shown} isn't a URL that {library.__name__} can request")
    elif isinstance(error, library.LocalProtocolError):
        # The text of the error may contain the value of a header.
        text, cause = f"the request to {shown} failed: it isn't valid HTTP", None
        failure = exchange.request_failure(text, is_timeout=False)
    else:
        text = _disconnect(library, error, NO_RESPONSE) or f"the request to {shown} failed: {error}"
        failure = exchange.request_failure(text, is_timeout=False)
    number = errno(error)
    if number is not None and isinstance(failure, OSError):
        failure.errno = number
    failure.__cause__ = cause
    return mark_settings(failure, error)


def mid_response(library: Any, error: Exception) -> SSEError:
    """The exception for a failure while the body is read."""
    text = _disconnect(library, error, MID_RESPONSE) or f"the connection failed: {error}"
    failure = ReadError(text)
    failure.__cause__ = error
    return failure


def _disconnect(library: Any, error: Exception, when: str) -> str | None:
    text = str(error)
    # h11 provides only a text: "Server disconnected ...", "peer closed connection ...".
    if isinstance(error, library.RemoteProtocolError) and (
        "disconnected" in text or "closed connection" in text
    ):
        return closed(when)
    return disconnect(error, when)


def _reason(error: Exception) -> str:
    """Why there is no connection. If several addresses were tried, why the first one failed."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate isn't trusted: {cause.verify_message}"
        if isinstance(cause, socket.gaierror) and cause.strerror:
            return cause.strerror
        if isinstance(cause, OSError) and cause.errno and not isinstance(cause, ssl.SSLError):
            return os.strerror(cause.errno)
    return str(error) or type(error).__name__
