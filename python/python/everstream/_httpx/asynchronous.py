"""HTTP over an ``AsyncClient`` of httpx or httpx2."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from logging import Logger
from typing import Any

from .. import _native
from .._async_body import read_error
from .._decoder import Decoder
from .._disconnect import is_bad_host
from ..config._request import HttpRequest
from ..config.async_connect_strategy import (
    AsyncConnectionClient,
    AsyncConnectionResult,
    AsyncConnectStrategy,
)
from . import failures
from .request import build, send_options
from .response import LastHead, body_of, handle_head, refused_by_hook
from .settings import Settings


class AsyncHttpxStrategy(AsyncConnectStrategy):
    """Connects with an ``AsyncClient`` of httpx or httpx2."""

    def __init__(self, request: HttpRequest, client: Any) -> None:
        self.settings = Settings(request, "AsyncClient", client)

    def create_client(self, logger: Logger) -> AsyncConnectionClient:
        return AsyncHttpxClient(self.settings)

    def __repr__(self) -> str:
        return f"AsyncConnectStrategy.http({_native.redact_url(self.settings.request.url)!r})"


class AsyncHttpxClient(AsyncConnectionClient):
    """The connections of one client. The httpx client is never closed here."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stream = settings.http.stream

    @property
    def is_repeatable(self) -> bool:
        return self._settings.request.is_repeatable

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
        fresh = await self._settings.http.fresh_headers_async()
        exchange = self._settings.exchange(last_event_id, fresh, resume_with_get=resume_with_get)
        library = self._settings.library
        while True:
            response = await self._send(exchange)
            try:
                next_step = handle_head(response, exchange)
                if next_step == "stream":
                    headers, status, url, withheld = exchange.start()
                    chunks = _chunks(response, exchange, library)
                    result = AsyncConnectionResult(
                        chunks,
                        response.aclose,
                        headers,
                        status=status,
                        url=url,
                        withheld_headers=withheld,
                    )
                    result._proves_end = exchange.proves_end
                    return result
                if next_step == "error":
                    await read_error(_chunks(response, exchange, library), exchange)
                    raise exchange.error()
            except BaseException:
                await response.aclose()
                raise
            await response.aclose()

    async def _send(self, exchange: _native.Exchange) -> Any:
        library, client = self._settings.library, self._settings.client
        request, head = None, LastHead()

        async def trace(event: str, info: dict[str, Any]) -> None:
            head.see(event, info)

        try:
            request = build(self._settings, exchange, trace, self._stream.response_timeout)
            response = await client.send(request, **send_options(self._settings, exchange))
        except (library.HTTPError, library.InvalidURL, UnicodeError) as error:
            # Any other UnicodeError was raised by a hook.
            if isinstance(error, UnicodeError) and not is_bad_host(error, exchange.request[1]):
                raise
            refused = refused_by_hook(library, error, request)
            if refused is not None:
                return refused
            failure = head.error(library, error, exchange) or failures.before_response(
                library, error, exchange, self._stream.response_timeout
            )
        else:
            # From here on the engine enforces the read timeout.
            request.extensions["timeout"]["read"] = None
            return response
        # Outside the handler, so that the cause isn't shown a second time as the context.
        raise failure


async def _chunks(
    response: Any, exchange: _native.Exchange, library: Any
) -> AsyncGenerator[bytes, None]:
    read, coding = body_of(response, exchange)
    if read is not None:
        if read:
            yield read
        return
    decoder = Decoder(coding)
    async with contextlib.aclosing(response.aiter_raw()) as raw:
        data = b" "
        while data:
            failure = None
            try:
                data = await anext(raw, b"")
            except (library.HTTPError, library.StreamError, OSError) as error:
                data, failure = b"", failures.mid_response(library, error)
            for piece in decoder.pieces(data, failure):
                yield piece
