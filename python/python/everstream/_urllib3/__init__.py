"""HTTP over urllib3, for users who pass a pool or request options.

:class:`attempt.Attempt` makes one request, :class:`body.Body` reads its response, and
:class:`stoppable_socket.StoppableSocket` lets another thread stop either.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from logging import Logger
from typing import Any, Final
from urllib.parse import unquote, urlencode

from ..config.connect_strategy import ConnectionClient, ConnectionResult, ConnectStrategy

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

from .._decoder import codings
from ..config._request import HttpRequest
from .attempt import Attempt
from .request import BODY_OPTIONS, Request
from .stoppable_socket import StoppableSocket

CONNECT_TIMEOUT: Final = 10.0

# Options that users can't set: events must arrive as they are flushed, and the engine decides about
# retries.
_OURS: Final = ("preload_content", "release_conn", "retries", "decode_content", "assert_same_host")


class Urllib3Strategy(ConnectStrategy):
    """Connects with urllib3."""

    def __init__(self, request: HttpRequest, pool: Any, options: Mapping[str, Any] | None) -> None:
        if pool is not None and not isinstance(pool, urllib3.PoolManager):
            raise TypeError(f"pool must be a urllib3.PoolManager, not {type(pool).__name__}")
        if pool is not None:
            request.refuse_settings_of("pool")
        request.refuse_http2("urllib3")
        # Only called to check the settings.
        request.native_http()
        options = dict(options or {})
        for name in _OURS:
            if name in options:
                raise ValueError(f"urllib3_request_options can't set {name!r}: Everstream sets it")
        fields = options.get("fields")
        if fields is not None and request.method.upper() in urllib3.PoolManager._encode_url_methods:
            # urllib3 would add them to the URLs of redirects too.
            del options["fields"]
            request.url += ("&" if "?" in request.url else "?") + urlencode(fields)
        if request.body is not None:
            options["body"] = request.body
        follow_redirects = bool(options.pop("redirect", True))
        has_timeout = "timeout" in options
        if has_timeout and not (
            request.stream.read_timeout is None and request.connect_timeout is None
        ):
            raise ValueError(
                "urllib3_request_options has a timeout, so read_timeout and connect_timeout can't "
                "be set as well"
            )
        self.pool = pool
        self.request = Request(
            request,
            request.native_request(
                codings(),
                own_headers=options.pop("headers", None),
                has_body=any(name in options for name in BODY_OPTIONS),
                follow_redirects=follow_redirects,
            ),
            options,
            CONNECT_TIMEOUT if request.connect_timeout is None else request.connect_timeout or None,
        )

    def new_pool(self) -> Any:
        """A pool for one client."""
        request = self.request.http
        options: dict[str, Any] = {"socket_options": _socket_options()}
        if request.tls_is_given:
            options["ssl_context"] = request.ssl_context()
        if request.proxy is None:
            return urllib3.PoolManager(**options)
        user = urllib3.util.parse_url(request.proxy).auth
        if user is not None:
            options["proxy_headers"] = urllib3.make_headers(proxy_basic_auth=unquote(user))
        try:
            return urllib3.ProxyManager(request.proxy, **options)
        except urllib3.exceptions.ProxySchemeUnknown as error:
            raise ValueError(
                "proxy: with urllib3 it must be an http or https URL. For SOCKS, pass "
                "pool=urllib3.contrib.socks.SOCKSProxyManager(...)"
            ) from error

    def create_client(self, logger: Logger) -> ConnectionClient:
        return Urllib3Client(self)


class Urllib3Client(ConnectionClient):
    """The connections of one client."""

    def __init__(self, strategy: Urllib3Strategy) -> None:
        self._strategy = strategy
        self._stream = strategy.request.http.stream
        self._pool: Any = strategy.pool if strategy.pool is not None else strategy.new_pool()
        self._sock: StoppableSocket | None = None
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
        sock = self._sock = StoppableSocket()
        # The order matters: close() sets _closed first and then reads _sock.
        if self._closed:
            sock.stop()
        attempt = Attempt(self._strategy.request, self._pool, sock, self._stream.response_timeout)
        return attempt.run(last_event_id, resume_with_get=resume_with_get)

    def interrupt(self) -> None:
        if self._sock is not None:
            self._sock.stop()

    def close(self) -> None:
        self._closed = True
        self.interrupt()
        if self._strategy.pool is None:
            pools = self._pool.pools
            for pool in map(pools.get, pools.keys()):
                if pool is not None:
                    pool.close()
            self._pool.clear()


def _socket_options() -> list[Any]:
    """Enables TCP keep-alive, so that half-open connections are detected."""
    options = [*urllib3.connection.HTTPConnection.default_socket_options]
    options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
    for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL"):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), 60))
    return options
