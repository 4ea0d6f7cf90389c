"""Finds the library of a client. httpx2 is the successor of httpx, with the same interface."""

from __future__ import annotations

import sys
from typing import Any, Final

from ..config._checks import describe

_NAMES: Final = ("httpx", "httpx2")

# Where to pass objects that aren't a client of the right kind.
_PLACES: Final = {
    "PoolManager": "ConnectStrategy.http(pool=...)",
    "ProxyManager": "ConnectStrategy.http(pool=...)",
    "ClientSession": "AsyncConnectStrategy.http(session=...)",
    "Client": "ConnectStrategy.http(client=...), for SSEClient",
    "AsyncClient": "AsyncConnectStrategy.http(client=...), for AsyncSSEClient",
}


def library_of(client: object, kind: str) -> Any:
    """The module that defines this client.

    :param kind: ``Client`` or ``AsyncClient``
    """
    for library in _imported():
        if isinstance(client, getattr(library, kind)):
            return library
    article = "an" if kind == "AsyncClient" else "a"
    text = f"client must be {article} {kind} of httpx or httpx2, not {describe(client)}"
    place = next(
        (_PLACES[one.__name__] for one in type(client).__mro__ if one.__name__ in _PLACES), ""
    )
    if place:
        text += f"; pass that to {place}"
    elif isinstance(client, type):
        text += "; pass an instance"
    raise TypeError(text)


def _imported() -> list[Any]:
    found = [sys.modules.get(name) for name in _NAMES]
    return [library for library in found if library is not None]
