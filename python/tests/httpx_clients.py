"""Clients of httpx and httpx2 for the tests."""

from __future__ import annotations

import importlib
import ssl
from collections.abc import Callable
from typing import Any

import pytest

LIBRARIES = ["httpx", "httpx2"]

# Shared, because loading the certificates takes longer than most tests.
_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def skip_if_missing(kind: str) -> None:
    """Skips the test if the library of this transport isn't installed."""
    name = kind.removeprefix("async ")
    if name in (*LIBRARIES, "aiohttp", "urllib3"):
        pytest.importorskip(name)


def new_client(name: str, kind: str = "Client", **options: Any) -> Any:
    """A client that keeps no idle connections, so that tests don't have to close it."""
    library: Any = importlib.import_module(name)
    options = {
        "verify": _TLS,
        "limits": library.Limits(max_keepalive_connections=0),
        **options,
    }
    return getattr(library, kind)(**options)


def new_async_client(name: str, **options: Any) -> Any:
    """Like :func:`new_client`, for asyncio."""
    return new_client(name, "AsyncClient", **options)


KINDS = [*LIBRARIES, *(f"async {name}" for name in LIBRARIES)]
"""The classes of clients: ``httpx`` is its ``Client``, ``async httpx`` its ``AsyncClient``."""


def library_of(by: str) -> Any:
    return importlib.import_module(by.removeprefix("async "))


def is_async(by: str) -> bool:
    return by.startswith("async")


def client_of(by: str, **options: Any) -> Any:
    return new_client(
        by.removeprefix("async "), "AsyncClient" if is_async(by) else "Client", **options
    )


def hook(by: str, function: Callable[[Any], None]) -> Any:
    """Adapts a function to the client: unchanged, or as a coroutine function."""

    async def in_loop(argument: Any) -> None:
        function(argument)

    return in_loop if is_async(by) else function


def transport_of(by: str, **options: Any) -> Any:
    name = "AsyncHTTPTransport" if is_async(by) else "HTTPTransport"
    limits = library_of(by).Limits(max_keepalive_connections=0)
    return getattr(library_of(by), name)(limits=limits, **options)
