"""HTTP by aiohttp, for users who bring a session or options of it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from logging import Logger
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from . import _native
from ._disconnect import MID_RESPONSE, NO_RESPONSE, RESET, disconnect
from ._headers import Headers
from .config.async_connect_strategy import (
    AsyncConnectionClient,
    AsyncConnectionResult,
    AsyncConnectStrategy,
)
from .config.connect_strategy import QueryParams
from .errors import (
    ConnectError,
    ConnectTimeoutError,
    HTTPContentEncodingError,
    HTTPContentTypeError,
    HTTPRedirectError,
    HTTPStatusError,
    ReadError,
    ReadTimeoutError,
    RequestError,
)

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REDIRECT_LIMIT = 10
_CREDENTIALS = ("Authorization", "Cookie", "Proxy-Authorization")
_ABOUT_BODY = (
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Location",
    "Content-Type",
)
_BODY_OPTIONS = ("data", "json", "compress", "chunked", "expect100", "upload_tracker")
# What is for one origin only.
_ORIGIN_OPTIONS = ("auth", "cookies", "middlewares", "server_hostname", "fingerprint")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# Those that aiohttp decodes, some of them if it finds the library.
_CODINGS = frozenset({"", "identity", "gzip", "deflate", "br", "zstd"})
_ERROR_BODY = 1 << 10
_ERROR_BODY_TIME = 2.0


# All of ASCII but the tab (RFC 9110, section 5.5).
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class AiohttpConnectStrategy(AsyncConnectStrategy):
    """Requests by aiohttp."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str | bytes] | None,
        session: aiohttp.ClientSession | None,
        options: Mapping[str, Any] | None,
        query_params: Callable[[], QueryParams] | None,
        method: str,
        body: str | bytes | None,
        read_timeout: float | None,
        connect_timeout: float | None,
        max_event_size: int | None,
    ) -> None:
        parsed = URL(url)
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError("the setting url can't be used: it isn't an absolute http(s) URL")
        self.url = url
        self.session = session
        self.query_params = query_params
        self.method = method.upper()
        self.read_timeout = read_timeout
        self.max_event_size = max_event_size
        self.options = dict(options or {})
        self.headers = CIMultiDict({"Accept": "text/event-stream", "Cache-Control": "no-cache"})
        for given in (self.options.pop("headers", None) or {}, headers or {}):
            for name, value in given.items():
                self.headers[name] = value.decode("latin-1") if isinstance(value, bytes) else value
        if body is not None:
            self.options["data"] = body.encode() if isinstance(body, str) else body
            # aiohttp would add one.
            self.options.setdefault("skip_auto_headers", ["Content-Type"])
        self.options.setdefault(
            "timeout", aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout)
        )

    def create_client(self, logger: Logger) -> AsyncConnectionClient:
        return _Client(self)

    def __repr__(self) -> str:
        return f"AsyncConnectStrategy.http({_native.redact_url(self.url)!r})"


class _Client(AsyncConnectionClient):
    def __init__(self, strategy: AiohttpConnectStrategy) -> None:
        self._strategy = strategy
        self._own_session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._read_timeout = strategy.read_timeout
        self._max_event_size = strategy.max_event_size

    async def connect(self, last_event_id: str | None) -> AsyncConnectionResult:
        response, release = await self._exchange(last_event_id)
        try:
            await _check(response)
        except BaseException:
            await release()
            raise
        result = AsyncConnectionResult(_chunks(response), release, _headers(response))
        result._status, result._url = response.status, str(response.url)
        return result

    @property
    def is_repeatable(self) -> bool:
        return self._strategy.method in _SAFE_METHODS

    async def close(self) -> None:
        session, self._own_session = self._own_session, None
        if session is not None:
            await session.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._strategy.session is not None:
            return self._strategy.session
        loop = asyncio.get_running_loop()
        if self._own_session is not None and self._loop is not loop:
            # That of an earlier loop, which has closed its connections.
            self._own_session.detach()
            self._own_session = None
        if self._own_session is None or self._own_session.closed:
            self._loop = loop
            self._own_session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), trust_env=True
            )
        return self._own_session

    def _url(self) -> URL:
        url = URL(self._strategy.url)
        if self._strategy.query_params is None:
            return url
        params = self._strategy.query_params()
        if not params:
            return url
        pairs = params.items() if isinstance(params, Mapping) else params
        query = [
            (str(name), one.decode() if isinstance(one, bytes) else str(one))
            for name, value in pairs
            for one in (value if isinstance(value, (list, tuple)) else [value])
        ]
        names = {name for name, _ in query}
        kept = [(name, value) for name, value in url.query.items() if name not in names]
        return url.with_query(kept + query)

    async def _exchange(
        self, last_event_id: str | None
    ) -> tuple[aiohttp.ClientResponse, Callable[[], Any]]:
        """Sends the request, and follows redirects.

        aiohttp would follow them too, but it keeps secrets in headers of the session, and cookies
        that belong to no host.
        """
        strategy = self._strategy
        url, method = self._url(), strategy.method
        headers, options = strategy.headers.copy(), dict(strategy.options)
        # An id that can't be a header's value is kept for the user, and not sent. Otherwise it is
        # UTF-8 on the wire, as it was when it came.
        if last_event_id and not _CONTROLS.search(last_event_id):
            headers["Last-Event-ID"] = last_event_id
        session, bare = self._session(), None
        followed = 0

        async def release() -> None:
            response.close()
            if bare is not None:
                await bare.close()

        while True:
            try:
                response = await self._send(session, method, url, headers, options, followed > 0)
            except BaseException:
                if bare is not None:
                    await bare.close()
                raise
            if response.status not in _REDIRECTS:
                return response, release
            target = _target(response)
            if target is None or followed >= _REDIRECT_LIMIT:
                body = await _error_body(response)
                error = HTTPRedirectError(
                    response.status, _headers(response), url=str(response.url), body=body
                )
                await release()
                raise error
            response.close()
            followed += 1
            options.pop("params", None)
            if (response.status in (301, 302) and method == "POST") or (
                response.status == 303 and method not in ("GET", "HEAD")
            ):
                method = "GET"
                for name in _BODY_OPTIONS:
                    options.pop(name, None)
                for name in _ABOUT_BODY:
                    headers.popall(name, None)
            if target.origin() != response.url.origin():
                for name in (*_CREDENTIALS, "Host"):
                    headers.popall(name, None)
                for name in _ORIGIN_OPTIONS:
                    options.pop(name, None)
                if bare is None:
                    # From here on nothing of the session's own, but for its connections.
                    bare = aiohttp.ClientSession(
                        connector=session.connector,
                        connector_owner=False,
                        cookie_jar=aiohttp.DummyCookieJar(),
                    )
                    options.setdefault("auto_decompress", session.auto_decompress)
                    session = bare
            url = target

    async def _send(
        self,
        session: aiohttp.ClientSession,
        method: str,
        url: URL,
        headers: CIMultiDict[str],
        options: dict[str, Any],
        redirected: bool,
    ) -> aiohttp.ClientResponse:
        request = session.request(
            method,
            url,
            headers=headers,
            **{**options, "allow_redirects": False, "raise_for_status": False},
        )
        limit = self._strategy.read_timeout
        if limit is not None:
            # Silence begins when there is a connection, and that has a limit of its own.
            limit += options["timeout"].sock_connect or 0
        try:
            return await asyncio.wait_for(request, limit)
        except aiohttp.ConnectionTimeoutError as error:
            kind: type[Exception] = RequestError if redirected else ConnectTimeoutError
            raise kind("no connection could be made in the time given") from error
        except asyncio.TimeoutError as error:
            raise ReadTimeoutError("no response came in the time given") from error
        except aiohttp.ClientConnectorError as error:
            kind = RequestError if redirected else ConnectError
            raise kind(_about(error)) from error
        except aiohttp.InvalidURL as error:
            raise ValueError("the URL can't be used") from error
        except (aiohttp.ClientError, OSError) as error:
            raise RequestError(_disconnect(error, NO_RESPONSE) or _about(error)) from error


def _about(error: Exception) -> str:
    """Without a URL, which may hold secrets: the texts of other errors may have one."""
    text: object = None
    if isinstance(error, aiohttp.ClientConnectorError):
        text = error.os_error
    elif isinstance(error, aiohttp.ClientResponseError):
        text = error.message
    elif isinstance(error, (OSError, aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError)):
        text = error
    return str(text or "") or type(error).__name__


def _disconnect(error: Exception, closed: str) -> str | None:
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return closed
    # Of a connection that was lost within a body, aiohttp has the error only as text.
    text = str(error)
    if isinstance(error, aiohttp.ClientPayloadError) and "is not completed" in text:
        return RESET if "ConnectionResetError" in text else closed
    return disconnect(error, closed)


def _headers(response: aiohttp.ClientResponse) -> Headers:
    return Headers(response.headers.items())


def _target(response: aiohttp.ClientResponse) -> URL | None:
    """Where a redirect leads, if it can be followed."""
    location = response.headers.get("Location")
    if location is None:
        return None
    try:
        named = URL(location)
        if named.scheme and not named.host:
            return None
        target = response.url.join(named)
        target.origin()
    except ValueError:
        return None
    return target if target.scheme in ("http", "https") else None


async def _check(response: aiohttp.ClientResponse) -> None:
    """Raises what is wrong with a response that isn't a stream."""
    content_type = response.headers.get("Content-Type", "")
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    headers, url = _headers(response), str(response.url)
    if not 200 <= response.status < 300 or response.status == 204:
        raise HTTPStatusError(response.status, headers, url=url, body=await _error_body(response))
    if content_type.split(";", 1)[0].strip().lower() != "text/event-stream":
        body = await _error_body(response)
        raise HTTPContentTypeError(content_type, headers, url=url, body=body)
    if coding not in _CODINGS:
        body = await _error_body(response)
        raise HTTPContentEncodingError(coding, headers, url=url, body=body)


async def _error_body(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of it. A server that stalls there must not hold up the error."""
    body = bytearray()

    async def read() -> None:
        while len(body) < _ERROR_BODY:
            chunk = await response.content.readany()
            if not chunk:
                return
            body.extend(chunk[: _ERROR_BODY - len(body)])

    with contextlib.suppress(aiohttp.ClientError, OSError, asyncio.TimeoutError):
        await asyncio.wait_for(read(), _ERROR_BODY_TIME)
    return bytes(body)


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        while chunk := await response.content.readany():
            yield chunk
    except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
        # aiohttp raises at once, and leaves what came before the connection broke where it is.
        rest = b""
        with contextlib.suppress(AttributeError, asyncio.TimeoutError):
            rest = response.content._read_nowait(-1)
        if rest:
            yield rest
        if isinstance(error, asyncio.TimeoutError):
            raise ReadTimeoutError("no byte came in the time given") from error
        raise ReadError(_disconnect(error, MID_RESPONSE) or _about(error)) from error
