"""HTTP over urllib3, for users who pass a pool or request options.

:class:`attempt.Attempt` makes one request, :class:`body.Body` is what it was answered with, and
:class:`wire.Wire` is how another thread stops either.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from logging import Logger
from typing import Any, Final
from urllib.parse import urlencode

from ..config.connect_strategy import (
    ConnectionClient,
    ConnectionResult,
    ConnectStrategy,
    QueryParams,
)

try:
    import urllib3
except ImportError as error:
    raise ImportError(
        "pool and urllib3_request_options need urllib3 2.2 or newer: install everstream[urllib3]"
    ) from error
if not hasattr(urllib3.HTTPResponse, "read1"):
    raise ImportError(
        "pool and urllib3_request_options need urllib3 2.2 or newer: install everstream[urllib3]"
    )

from .. import _native
from .._decoder import codings
from .attempt import Attempt
from .request import BODY_OPTIONS, Request
from .wire import Wire

CONNECT_TIMEOUT: Final = 10.0

# Not the user's to set: the events must come as they are flushed, and repeating is the session's.
_OURS: Final = ("preload_content", "release_conn", "retries", "decode_content", "assert_same_host")


class Urllib3Strategy(ConnectStrategy):
    """Connects with urllib3."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str | bytes] | None,
        pool: Any,
        options: Mapping[str, Any] | None,
        query_params: Callable[[], QueryParams] | None,
        method: str,
        body: str | bytes | None,
        read_timeout: float | None,
        connect_timeout: float | None,
        max_event_size: int | None,
        sensitive_headers: Iterable[str] | None,
        any_content_type: bool,
        cookies: bool,
    ) -> None:
        """``connect_timeout`` of 0 is none; ``None`` is the default."""
        if pool is not None and not isinstance(pool, urllib3.PoolManager):
            raise TypeError(f"pool must be a urllib3.PoolManager, not {type(pool).__name__}")
        options = dict(options or {})
        for name in _OURS:
            if name in options:
                raise ValueError(f"urllib3_request_options can't set {name!r}: the client does")
        if body is not None:
            options["body"] = body.encode() if isinstance(body, str) else body
        fields = options.get("fields")
        if fields is not None and method.upper() in urllib3.PoolManager._encode_url_methods:
            # urllib3 adds them to every URL; they belong to the first one.
            del options["fields"]
            url += ("&" if "?" in url else "?") + urlencode(fields)
        follow_redirects = bool(options.pop("redirect", True))
        sent = [
            *(options.pop("headers", None) or {}).items(),
            *(headers or {}).items(),
        ]
        if "timeout" not in options:
            options["timeout"] = urllib3.Timeout(
                connect=CONNECT_TIMEOUT if connect_timeout is None else connect_timeout or None,
                read=read_timeout or None,
            )
        elif read_timeout is not None or connect_timeout is not None:
            raise ValueError(
                "urllib3_request_options has a timeout: read_timeout and connect_timeout can't "
                "be given as well"
            )
        self.pool = pool
        self.request = Request(
            _native.Request(
                url,
                method=method,
                headers=sent,
                sensitive_headers=sensitive_headers,
                query_params=query_params,
                has_body=any(name in options for name in BODY_OPTIONS),
                follow_redirects=follow_redirects,
                codings=codings(),
                any_content_type=any_content_type,
                cookies=cookies,
            ),
            options,
        )
        self.max_event_size = max_event_size

    def create_client(self, logger: Logger) -> ConnectionClient:
        return Urllib3Client(self)


class Urllib3Client(ConnectionClient):
    """The connections of one client."""

    def __init__(self, strategy: Urllib3Strategy) -> None:
        self._strategy = strategy
        #: The engine asks for it.
        self._max_event_size = strategy.max_event_size
        self._pool: Any = strategy.pool if strategy.pool is not None else _own_pool()
        self._wire: Wire | None = None
        self._closed = False

    @property
    def is_repeatable(self) -> bool:
        return self._strategy.request.native.is_repeatable

    @property
    def can_resume_with_get(self) -> bool:
        return True

    def connect(self, last_event_id: str | None) -> ConnectionResult:
        return self._connect(last_event_id, resume_with_get=False)

    def resume_with_get(self, last_event_id: str | None) -> ConnectionResult:
        return self._connect(last_event_id, resume_with_get=True)

    def _connect(self, last_event_id: str | None, *, resume_with_get: bool) -> ConnectionResult:
        wire = self._wire = Wire()
        # In this order: close() sets the one and looks at the other.
        if self._closed:
            wire.stop()
        return Attempt(self._strategy.request, self._pool, wire).run(
            last_event_id, resume_with_get=resume_with_get
        )

    def interrupt(self) -> None:
        if self._wire is not None:
            self._wire.stop()

    def close(self) -> None:
        self._closed = True
        self.interrupt()
        if self._strategy.pool is None:
            pools = self._pool.pools
            for pool in map(pools.get, pools.keys()):
                if pool is not None:
                    pool.close()
            self._pool.clear()


def _own_pool() -> Any:
    """With TCP keep-alive, as half-open connections must die some time."""
    options = [*urllib3.connection.HTTPConnection.default_socket_options]
    options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
    for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL"):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), 60))
    return urllib3.PoolManager(socket_options=options)
