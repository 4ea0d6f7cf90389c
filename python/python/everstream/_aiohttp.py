"""HTTP over aiohttp, for users who pass a session or request options."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import AsyncGenerator, Mapping
from logging import Logger
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from . import _native
from ._async_body import read_error
from ._decoder import Decoder, codings
from ._disconnect import (
    BAD_HOST,
    MID_RESPONSE,
    NO_RESPONSE,
    closed,
    disconnect,
    is_bad_host,
    mark_settings,
    reset,
)
from ._originals import reason_of, refined
from .config._request import HttpRequest
from .config.async_connect_strategy import (
    AsyncConnectionClient,
    AsyncConnectionResult,
    AsyncConnectStrategy,
)
from .errors import ReadError, ReadTimeoutError, SSEError

# Options for the first request only, and for the first origin only.
_BODY_OPTIONS = ("data", "json", "compress", "chunked", "expect100", "upload_tracker")
CONNECT_TIMEOUT: Final = 10.0
CLOSE_TIMEOUT: Final = 1.0
_ORIGIN_OPTIONS = ("auth", "cookies", "middlewares", "server_hostname", "fingerprint")


class AiohttpConnectStrategy(AsyncConnectStrategy):
    """Connects with aiohttp."""

    def __init__(
        self,
        request: HttpRequest,
        session: aiohttp.ClientSession | None,
        options: Mapping[str, Any] | None,
    ) -> None:
        request.refuse_http2("aiohttp")
        # Only called to check the settings.
        request.native_http()
        self.session = session
        self.http_request = request
        self.options = dict(options or {})
        own_headers = self.options.pop("headers", None)
        if request.body is not None:
            self.options["data"] = request.body
            # aiohttp would add a Content-Type.
            self.options.setdefault("skip_auto_headers", ["Content-Type"])
        if request.auth_is_given and (
            "auth" in self.options or getattr(session, "auth", None) is not None
        ):
            raise TypeError(
                "auth can't be used together with the auth of aiohttp's session or options"
            )
        if request.proxy is not None:
            if urlsplit(request.proxy).scheme not in ("http", "https"):
                raise ValueError("proxy: with aiohttp it must be an http or https URL")
            self._set("proxy", "proxy", request.proxy)
        if not request.use_proxy and (session is not None or "proxy" in self.options):
            raise TypeError(
                "proxy=False can't be used together with session, or with 'proxy' of aiohttp's "
                "options: a ClientSession uses no proxy unless it is told to"
            )
        if request.tls_is_given:
            self._set("ssl", "verify and cert", request.ssl_context())
        limit = request.connect_timeout
        #: Unused if the options have a timeout.
        self.connect_timeout = CONNECT_TIMEOUT if limit is None else limit or None
        timeout = self.options.get("timeout")
        if isinstance(timeout, (int, float)):
            self.options["timeout"] = aiohttp.ClientTimeout(total=timeout)
        self.request = request.native_request(
            codings(),
            own_headers=own_headers,
            has_body=any(self.options.get(name) is not None for name in ("data", "json")),
        )

    def _set(self, name: str, what: str, value: Any) -> None:
        if self.options.setdefault(name, value) is not value:
            raise TypeError(f"{what} can't be used together with {name!r} of aiohttp's options")

    def create_client(self, logger: Logger) -> AsyncConnectionClient:
        return _Client(self)

    def __repr__(self) -> str:
        return f"AsyncConnectStrategy.http({_native.redact_url(self.request.url)!r})"


class _Client(AsyncConnectionClient):
    def __init__(self, strategy: AiohttpConnectStrategy) -> None:
        self._strategy = strategy
        self._own_session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stream = strategy.http_request.stream

    async def connect(self, last_event_id: str | None) -> AsyncConnectionResult:
        return await self._connect(last_event_id, resume_with_get=False)

    @property
    def can_resume_with_get(self) -> bool:
        return True

    async def resume_with_get(self, last_event_id: str | None) -> AsyncConnectionResult:
        return await self._connect(last_event_id, resume_with_get=True)

    async def _connect(
        self, last_event_id: str | None, *, resume_with_get: bool
    ) -> AsyncConnectionResult:
        exchange = self._strategy.request.exchange(
            last_event_id,
            resume_with_get=resume_with_get,
            fresh_headers=await self._strategy.http_request.fresh_headers_async(),
        )
        hops = _Hops(self._session(), self._strategy, self._stream.response_timeout)
        try:
            while True:
                response = await hops.send(exchange)
                next_step = exchange.handle_head(
                    response.status, response.raw_headers, response.version
                )
                if next_step == "stream":
                    break
                if next_step == "error":
                    await read_error(_chunks(response, Decoder(exchange.coding)), exchange)
                    raise exchange.error()
        except BaseException:
            await hops.close()
            raise
        headers, status, url, withheld = exchange.start()
        decoder = Decoder(exchange.coding)
        result = AsyncConnectionResult(
            _chunks(response, decoder),
            hops.close,
            headers,
            status=status,
            url=url,
            withheld_headers=withheld,
        )
        result._proves_end = exchange.proves_end
        return result

    @property
    def is_repeatable(self) -> bool:
        return self._strategy.request.is_repeatable

    async def close(self) -> None:
        session, self._own_session = self._own_session, None
        if session is not None:
            await session.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._strategy.session is not None:
            return self._strategy.session
        loop = asyncio.get_running_loop()
        if self._own_session is not None and self._loop is not loop:
            # It belongs to an earlier event loop, whose connections are gone.
            self._own_session.detach()
            self._own_session = None
        if self._own_session is None or self._own_session.closed:
            self._loop = loop
            self._own_session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=self._strategy.http_request.use_proxy,
            )
        return self._own_session


class _Hops:
    """The requests of one attempt: the first one and those that follow redirects.

    aiohttp's own redirects aren't used: they would send secret headers of the session, and cookies
    without a host, to other origins.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        strategy: AiohttpConnectStrategy,
        read_timeout: float | None,
    ) -> None:
        self._session = session
        self._options = dict(strategy.options)
        self._has_timeout = "timeout" in self._options
        self._read_timeout = read_timeout
        if not self._has_timeout:
            self._options["timeout"] = aiohttp.ClientTimeout(
                total=None, sock_connect=strategy.connect_timeout, sock_read=read_timeout
            )
        self._response: aiohttp.ClientResponse | None = None
        #: Shares only the connections of the user's session, for requests to other origins.
        self._bare: aiohttp.ClientSession | None = None
        self._copy: aiohttp.ClientSession | None = None
        if not strategy.request.is_repeatable:
            # Otherwise aiohttp would repeat PUT and DELETE after a lost connection.
            self._session = self._copy = copy.copy(session)
            self._copy._retry_connection = False

    async def send(self, exchange: _native.Exchange) -> aiohttp.ClientResponse:
        """Sends the next request. Closes the response before it."""
        await self._close_response()
        options = self._options
        if exchange.is_redirected:
            options.pop("params", None)
        if not exchange.has_body:
            for name in _BODY_OPTIONS:
                options.pop(name, None)
        if exchange.has_left_origin and self._bare is None:
            for name in _ORIGIN_OPTIONS:
                options.pop(name, None)
            self._bare = aiohttp.ClientSession(
                connector=self._session.connector,
                connector_owner=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            self._bare._retry_connection = self._session._retry_connection
            self._session = self._bare
        self._response = await self._send(exchange)
        return self._response

    async def close(self) -> None:
        await self._close_response()
        if self._copy is not None:
            self._copy.detach()
        if self._bare is not None:
            await self._bare.close()

    async def _close_response(self) -> None:
        """Closes the response, and waits until its socket is closed.

        aiohttp doesn't wait for it, not even when the session is closed. If the event loop ends
        first, the socket leaks. TLS would also wait for the server, so it is cut short.
        """
        response, self._response = self._response, None
        if response is None:
            return
        connection: Any = response.connection
        transport = None if connection is None else connection.transport
        if transport is None:
            # Complete: the connection is back in the pool.
            response.close()
            return
        # A future; missing in aiohttp before 3.12.
        closed = getattr(connection.protocol, "closed", None)
        response.close()
        transport.abort()
        if closed is None:
            await asyncio.sleep(0)
            return
        await asyncio.wait([closed], timeout=CLOSE_TIMEOUT)
        if closed.done() and not closed.cancelled():
            # Marks the exception as retrieved, if there is one.
            closed.exception()

    async def _send(self, exchange: _native.Exchange) -> aiohttp.ClientResponse:
        method, url, headers = exchange.request
        request = self._session.request(
            method,
            URL(url, encoded=True),
            headers=[(name, _text(value)) for name, value in headers],
            **{
                **self._options,
                "allow_redirects": False,
                "raise_for_status": False,
                # It knows fewer codings than we do, and fails on unknown ones.
                "auto_decompress": False,
            },
        )
        limit = self._read_timeout if self._has_timeout else None
        if limit is not None:
            # The read timeout starts once connected, and connecting has its own timeout.
            limit += getattr(self._options["timeout"], "sock_connect", None) or 0
        try:
            response = await asyncio.wait_for(request, limit)
            if not self._has_timeout and response.connection is not None:
                # From here on the engine enforces the read timeout.
                protocol: Any = response.connection.protocol
                protocol.read_timeout = None
                protocol.start_timeout()
            return response
        except aiohttp.ConnectionTimeoutError as error:
            text = "no connection could be established within the connect timeout"
            raise exchange.connect_failure(text, is_timeout=True) from error
        except asyncio.TimeoutError as error:
            if self._read_timeout is not None and not self._has_timeout:
                raise exchange.response_timeout(self._read_timeout) from error
            text = "no response received within the read timeout"
            raise exchange.request_failure(text, is_timeout=True) from error
        except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError) as error:
            failure = exchange.connect_failure(_about(error), is_timeout=False)
            raise mark_settings(refined(failure, reason_of(error)), error) from error
        except (aiohttp.InvalidURL, UnicodeError) as error:
            is_invalid = isinstance(error, aiohttp.InvalidURL) and exchange.is_redirected
            if is_invalid or is_bad_host(error, url):
                raise exchange.connect_failure(BAD_HOST, is_timeout=False) from error
            if isinstance(error, UnicodeError):
                raise
            raise ValueError("the URL is invalid") from error
        except (aiohttp.ClientError, OSError) as error:
            failure = exchange.request_failure(
                _disconnect(error, NO_RESPONSE) or _about(error), is_timeout=False
            )
            raise refined(failure, reason_of(error)) from error


def _text(value: bytes) -> str:
    """The header value as text. aiohttp encodes it as UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _about(error: Exception) -> str:
    """The error's text if it can't contain a URL, which may hold secrets; otherwise its type."""
    text: object = None
    if isinstance(error, aiohttp.ClientConnectorError):
        text = error.os_error
    elif isinstance(error, aiohttp.ClientResponseError):
        text = error.message
    elif isinstance(error, (OSError, aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError)):
        text = error
    return str(text or "") or type(error).__name__


def _disconnect(error: Exception, when: str) -> str | None:
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return closed(when)
    # For a connection lost within a body, aiohttp provides the original error only as text.
    text = str(error)
    if isinstance(error, aiohttp.ClientPayloadError) and "is not completed" in text:
        return reset(when) if "ConnectionResetError" in text else closed(when)
    return disconnect(error, when)


async def _chunks(
    response: aiohttp.ClientResponse, decoder: Decoder
) -> AsyncGenerator[bytes, None]:
    data = b" "
    while data:
        failure: SSEError | None = None
        try:
            data = await response.content.readany()
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            failure = (
                ReadTimeoutError("no data received within the read timeout")
                if isinstance(error, asyncio.TimeoutError)
                else ReadError(_disconnect(error, MID_RESPONSE) or _about(error))
            )
            failure.__cause__ = error
            # aiohttp raises at once, and leaves the data that arrived before in its buffer.
            data = b""
            with contextlib.suppress(AttributeError, asyncio.TimeoutError):
                data = response.content._read_nowait(-1)
        for chunk in decoder.pieces(data, failure):
            yield chunk
