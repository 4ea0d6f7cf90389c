"""Makes network errors match ``except`` clauses written for launchdarkly-eventsource.

``launchdarkly-eventsource`` raises the exceptions of urllib3 or aiohttp. After
:func:`install`, each network error of this package is an instance of the exception that the
original would have raised, so that such a program's ``except`` clauses still match.
"""

from __future__ import annotations

import sys
from typing import Any, Final, TypeVar

from .errors import (
    ConnectError,
    ConnectTimeoutError,
    ReadError,
    ReadTimeoutError,
    RequestError,
    SSEError,
    with_notes,
)

_E = TypeVar("_E", bound=Exception)

_URLLIB3: Final = "urllib3.exceptions"
_AIOHTTP: Final = "aiohttp.client_exceptions"

#: The matching exceptions. The second part of the key distinguishes reasons for a ConnectError.
_NAMES: Final[dict[tuple[type[SSEError], str], dict[str, str]]] = {
    (ConnectError, ""): {_URLLIB3: "NewConnectionError", _AIOHTTP: "ClientConnectorError"},
    (ConnectError, "resolve"): {
        _URLLIB3: "NameResolutionError",
        _AIOHTTP: "ClientConnectorDNSError",
    },
    (ConnectError, "tls"): {_URLLIB3: "SSLError", _AIOHTTP: "ClientSSLError"},
    (ConnectError, "proxy"): {_URLLIB3: "ProxyError", _AIOHTTP: "ClientProxyConnectionError"},
    (ConnectTimeoutError, ""): {
        _URLLIB3: "ConnectTimeoutError",
        _AIOHTTP: "ConnectionTimeoutError",
    },
    (RequestError, ""): {_URLLIB3: "ProtocolError", _AIOHTTP: "ServerDisconnectedError"},
    (RequestError, "reset"): {_URLLIB3: "ProtocolError", _AIOHTTP: "ClientOSError"},
    (ReadError, ""): {_URLLIB3: "ProtocolError", _AIOHTTP: "ClientPayloadError"},
    (ReadTimeoutError, ""): {_URLLIB3: "ReadTimeoutError", _AIOHTTP: "SocketTimeoutError"},
}

_installed = False
_made: Final[dict[tuple[type[SSEError], tuple[type[Exception], ...]], type[SSEError]]] = {}


def install() -> None:
    """From now on, network errors are also instances of the other libraries' exceptions."""
    global _installed
    _installed = True
    SSEError.__new__ = staticmethod(_new)  # type: ignore[method-assign, assignment]


def refined(error: _E, reason: str) -> _E:
    """The same error, also as an instance of the exception that the original raises for it."""
    if not _installed:
        return error
    for base in type(error).__mro__:
        if (base, reason) in _NAMES:
            cls: Any = _combined(base, reason)
            refined: _E = cls(*error.args)
            return refined
    return error


def reason_of(error: BaseException) -> str:
    """Why urllib3 or aiohttp couldn't connect."""
    names = {cls.__name__ for cls in type(error).__mro__}
    for reason in ("resolve", "tls", "proxy"):
        if names & set(_NAMES[ConnectError, reason].values()):
            return reason
    return "reset" if "ClientOSError" in names else ""


def _new(cls: type[SSEError], *args: Any, **options: Any) -> SSEError:
    made = _combined(cls, "") if (cls, "") in _NAMES else cls
    return super(SSEError, cls).__new__(made, *args, **options)


def _combined(base: type[SSEError], reason: str) -> type[SSEError]:
    """A subclass of ``base`` and of the matching exceptions of those libraries that the program has
    imported. A program can't name the exceptions of the others.
    """
    names = _NAMES[base, reason]
    found = [getattr(sys.modules.get(module), name, None) for module, name in names.items()]
    others = tuple(cls for cls in found if cls is not None)
    if not others:
        return base
    if (base, others) not in _made:
        _made[base, others] = _subclass(base, others)
    return _made[base, others]


def _subclass(base: type[SSEError], others: tuple[type[Exception], ...]) -> type[SSEError]:
    def init(self: SSEError, *args: Any) -> None:
        # The constructors of the other classes take a pool or a connection.
        OSError.__init__(self, *args)

    def text(self: SSEError) -> str:
        return with_notes(self, OSError.__str__(self))

    def reduce(self: SSEError) -> tuple[Any, ...]:
        return base, self.args, vars(self)

    members = {
        "__init__": init,
        "__str__": text,
        "__repr__": OSError.__repr__,
        "__reduce__": reduce,
        "__doc__": base.__doc__,
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
    }
    return type(base.__name__, (base, *others), members)
