"""Describes how a server ended a connection, in the same words as the engine's own HTTP."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from typing import Final, TypeVar
from urllib.parse import urlsplit

_E = TypeVar("_E", bound=BaseException)

MID_RESPONSE: Final = "mid-response"
NO_RESPONSE: Final = "before responding"
BAD_HOST: Final = "the host isn't a valid name"

_CLOSED: Final = (
    EOFError,
    BrokenPipeError,
    ConnectionAbortedError,
    ssl.SSLEOFError,
    http.client.IncompleteRead,
    http.client.RemoteDisconnected,
)


def closed(when: str) -> str:
    """The server closed the connection."""
    return f"the server closed the connection {when}"


def reset(when: str) -> str:
    """The server reset the connection."""
    return f"the server reset the connection {when}"


def disconnect(error: BaseException, when: str) -> str | None:
    """The message if the server closed or reset the connection, otherwise ``None``."""
    found = list(causes(error))
    for cause in found:
        # RemoteDisconnected, which means closed, is a subclass of ConnectionResetError.
        is_close = isinstance(cause, http.client.RemoteDisconnected)
        if isinstance(cause, ConnectionResetError) and not is_close:
            return reset(when)
    return closed(when) if any(isinstance(cause, _CLOSED) for cause in found) else None


def errno(error: BaseException) -> int | None:
    """The system's error number, if there is one."""
    for cause in causes(error):
        # The numbers of OpenSSL's errors aren't system error numbers.
        if isinstance(cause, OSError) and cause.errno and not isinstance(cause, ssl.SSLError):
            return cause.errno
    return None


def mark_settings(failure: _E, error: BaseException) -> _E:
    """Marks a failure that retrying can't fix until someone changes the settings, so that
    ``ErrorStrategy.reconnect()`` doesn't retry it: the certificate isn't trusted, or the proxy
    requires other credentials. The engine reads the mark.
    """
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes(error)) or any(
        _is_proxy_authentication(cause) for cause in causes(error)
    ):
        failure._everstream_needs_other_settings = True  # type: ignore[attr-defined]
    return failure


def _is_proxy_authentication(error: BaseException) -> bool:
    """Whether a proxy answered CONNECT with 407. aiohttp has the status, the others a text."""
    name = type(error).__name__
    if name == "ClientHttpProxyError":
        return getattr(error, "status", None) == 407
    text = str(error)
    return text.startswith("Tunnel connection failed: 407") or (
        name == "ProxyError" and text.startswith("407 ")
    )


def is_bad_host(error: Exception, url: str) -> bool:
    """Whether the host name is invalid: a label is empty or too long, or its Punycode can't be
    decoded. Python and the libraries raise a ``UnicodeError`` for that.
    """
    if not isinstance(error, UnicodeError):
        return False
    if type(error).__module__.partition(".")[0] == "idna":
        return True
    try:
        (urlsplit(url).hostname or "").encode("idna")
    except UnicodeError:
        return True
    return False


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all of its causes, each once."""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting:
        this = waiting.pop()
        if any(this is other for other in seen):
            continue
        seen.append(this)
        yield this
        grouped = getattr(this, "exceptions", ())
        inner = (*this.args, *grouped, this.__cause__, this.__context__)
        waiting += [one for one in inner if isinstance(one, BaseException)]
