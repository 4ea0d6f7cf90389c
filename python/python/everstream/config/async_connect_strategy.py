"""How a client for asyncio connects."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from logging import Logger
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .. import _native
from . import _UNSET, QueryParams, _Unset

if TYPE_CHECKING:
    import aiohttp

__all__ = ["AsyncConnectStrategy", "AsyncConnectionClient", "AsyncConnectionResult"]


class AsyncConnectionResult:
    """What an :class:`AsyncConnectionClient` has connected to: bytes, and how to close it."""

    def __init__(
        self,
        stream: AsyncIterator[bytes],
        closer: Callable[[], Any] | None,
        headers: Mapping[str, Any] | None = None,
    ) -> None:
        """:param stream: yields chunks of bytes, and ends when the connection does
        :param closer: called once, by :meth:`close`; a function or a coroutine function
        :param headers: the response's headers, if there are any
        """
        self._stream = stream
        self._closer = closer
        self._headers = headers
        # This package's own strategies know them.
        self._status: int | None = None
        self._url: str | None = None

    @property
    def stream(self) -> AsyncIterator[bytes]:
        """An asynchronous iterator over chunks of bytes."""
        return self._stream

    @property
    def headers(self) -> Mapping[str, Any] | None:
        """The response's headers; ``None`` if there are none."""
        return self._headers

    async def close(self) -> None:
        """Releases the connection. A second call does nothing."""
        closer, self._closer = self._closer, None
        if closer is not None:
            closing = closer()
            if inspect.isawaitable(closing):
                await closing

    async def __aenter__(self) -> AsyncConnectionResult:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


class AsyncConnectionClient:
    """Makes all connections of one client. To be subclassed.

    Each connection has a task of its own, in which :meth:`connect`, the stream and the closer run
    one after the other. Stopping the connection cancels what the task is waiting for.
    """

    async def connect(self, last_event_id: str | None) -> AsyncConnectionResult:
        """Connects, or raises an exception, which the client's error strategy is asked about.

        An ``OSError`` and an exception that isn't one of Python's own count as a connection that
        could not be made, an :class:`~everstream.errors.HTTPStatusError` as such a response.

        :param last_event_id: the id to resume from
        """
        raise NotImplementedError(f"{type(self).__name__} doesn't define connect()")

    async def close(self) -> None:
        """Releases what it holds: the client is closed."""

    async def __aenter__(self) -> AsyncConnectionClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


class AsyncConnectStrategy:
    """Where a client gets its bytes from. To be subclassed, or made by :meth:`http`.

    A strategy is immutable and can serve any number of clients.
    """

    def create_client(self, logger: Logger) -> AsyncConnectionClient:
        """Makes the part that belongs to one client. Nothing connects yet.

        :param logger: the client's logger
        """
        raise NotImplementedError(f"{type(self).__name__} doesn't define create_client()")

    @staticmethod
    def http(
        url: str,
        headers: Mapping[str, str | bytes] | None = None,
        session: aiohttp.ClientSession | None = None,
        aiohttp_request_options: Mapping[str, Any] | None = None,
        query_params: Callable[[], QueryParams] | None = None,
        *,
        method: str = "GET",
        body: str | bytes | None = None,
        read_timeout: float | None = None,
        connect_timeout: float | _Unset | None = _UNSET,
        max_event_size: int | None = None,
    ) -> AsyncConnectStrategy:
        """Streams over HTTP.

        The parameters are those of
        :meth:`ConnectStrategy.http() <everstream.config.ConnectStrategy.http>`, but for two. Each
        of them has aiohttp make the connections instead of this package's own HTTP, and needs the
        extra ``everstream[aiohttp]``.

        :param session: makes the requests; closing it is the caller's business
        :param aiohttp_request_options: further arguments of each ``session.request()``. A
            ``timeout`` among them takes the place of ``connect_timeout``.
        """
        if query_params is not None and not callable(query_params):
            raise TypeError("query_params must be a function")
        # Made in any case: it checks the settings.
        native = _native.Http(
            url,
            headers=headers,
            query_params=query_params,
            method=method,
            body=body,
            read_timeout=read_timeout,
            connect_timeout=None if isinstance(connect_timeout, _Unset) else connect_timeout or 0.0,
            max_event_size=max_event_size,
        )
        if session is None and aiohttp_request_options is None:
            return _AsyncHttpConnectStrategy(native)
        try:
            from .._aiohttp import AiohttpConnectStrategy
        except ImportError as error:
            raise ImportError(
                "session and aiohttp_request_options need aiohttp: pip install everstream[aiohttp]"
            ) from error
        return AiohttpConnectStrategy(
            url,
            headers=headers,
            session=session,
            options=aiohttp_request_options,
            query_params=query_params,
            method=method,
            body=body,
            read_timeout=read_timeout or None,
            connect_timeout=10.0
            if isinstance(connect_timeout, _Unset)
            else connect_timeout or None,
            max_event_size=max_event_size,
        )


class _AsyncHttpConnectStrategy(AsyncConnectStrategy):
    """The engine's own HTTP."""

    def __init__(self, native: _native.Http) -> None:
        self._native = native

    def __repr__(self) -> str:
        return f"AsyncConnectStrategy.http({_native.redact_url(self._native.url)!r})"


def engine_connection(strategy: AsyncConnectStrategy, logger: Logger) -> Any:
    """What makes the connections: the engine's HTTP, or a client written in Python."""
    if type(strategy) is _AsyncHttpConnectStrategy:
        return strategy._native
    return strategy.create_client(logger)
