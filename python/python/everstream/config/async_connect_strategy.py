"""How a client for asyncio connects."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from logging import Logger
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .. import _native
from .._wait import wait
from ._checks import describe
from ._options import AsyncHttpOptions, Headers, QueryParams, Stream
from ._request import HttpRequest

if TYPE_CHECKING:
    import aiohttp
    import httpx
    import httpx2
    from typing_extensions import Unpack

__all__ = ["AsyncConnectStrategy", "AsyncConnectionClient", "AsyncConnectionResult"]


class AsyncConnectionResult:
    """A connection: its bytes, and how to close it. Returned by an
    :class:`AsyncConnectionClient`.
    """

    def __init__(
        self,
        stream: AsyncIterator[bytes],
        closer: Callable[[], Any] | None,
        headers: Mapping[str, Any] | None = None,
        *,
        status: int | None = None,
        url: str | None = None,
        withheld_headers: Sequence[str] = (),
    ) -> None:
        """:param stream: yields chunks of bytes, and ends when the connection does
        :param closer: called once, by :meth:`close`; a function or a coroutine function
        :param headers: the response's headers, if there are any
        :param status: the HTTP status, if there is one
        :param url: the URL that answered, after redirects
        :param withheld_headers: the names of headers that were not sent to that URL
        """
        self._stream = stream
        self._closer = closer
        self._headers = headers
        self._status = status
        self._url = url
        self._withheld_headers = tuple(withheld_headers)
        # Set by this package's strategies: whether a truncated stream ends with an error.
        self._proves_end = False
        # Whether the program has closed the connection.
        self._closed = False

    @property
    def stream(self) -> AsyncIterator[bytes]:
        """An asynchronous iterator over chunks of bytes."""
        return self._stream

    @property
    def headers(self) -> Mapping[str, Any] | None:
        """The response's headers; ``None`` if there are none."""
        return self._headers

    @property
    def status(self) -> int | None:
        """The response's status; ``None`` if it isn't HTTP."""
        return self._status

    @property
    def url(self) -> str | None:
        """The URL that answered, after redirects; ``None`` if there is none."""
        return self._url

    @property
    def withheld_headers(self) -> tuple[str, ...]:
        """The names of headers that were not sent to that URL, because a redirect led to another
        origin.
        """
        return self._withheld_headers

    async def close(self) -> None:
        """Releases the connection. A second call does nothing."""
        self._closed = True
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

    Each connection has its own task, in which :meth:`connect`, the stream and the closer run one
    after the other. Stopping the connection cancels the task.
    """

    async def connect(self, last_event_id: str | None) -> AsyncConnectionResult:
        """Connects, or raises an exception, which is passed to the client's error strategy.

        Only a :class:`~everstream.errors.ConnectError` says that no request was sent. After every
        other exception the request counts as sent: see :attr:`is_repeatable`. Python's built-in
        exceptions except ``OSError`` count as programming errors, which
        :meth:`ErrorStrategy.reconnect() <everstream.config.ErrorStrategy.reconnect>` doesn't retry.

        :param last_event_id: the id to resume from
        """
        raise NotImplementedError(f"{type(self).__name__} doesn't define connect()")

    @property
    def is_repeatable(self) -> bool:
        """Whether the request is safe to repeat, like a GET. It is read once per client.

        If not, the client reconnects only after a :class:`~everstream.errors.ConnectError`, or if
        :meth:`AsyncSSEClient.start() <everstream.AsyncSSEClient.start>` is awaited.
        """
        return True

    @property
    def can_resume_with_get(self) -> bool:
        """Whether :meth:`resume_with_get` is defined. It is read once per client.

        If not, ``resume_with_get`` of :class:`~everstream.AsyncSSEClient` has no effect.
        """
        return False

    async def resume_with_get(self, last_event_id: str | None) -> AsyncConnectionResult:
        """Resumes the stream with a GET without a body. Otherwise like :meth:`connect`.

        It is called if :attr:`is_repeatable` is false and :attr:`can_resume_with_get` true, and the
        :class:`~everstream.AsyncSSEClient` has ``resume_with_get``. ``HTTPStatusError`` with 400,
        404 or 405 says that the stream can't be resumed.

        :param last_event_id: the id to resume from
        """
        raise NotImplementedError(f"{type(self).__name__} doesn't define resume_with_get()")

    async def interrupt(self) -> None:
        """Called by :meth:`AsyncSSEClient.interrupt() <everstream.AsyncSSEClient.interrupt>`, after
        the connection, or the :meth:`connect` that was running, has been cancelled.
        """

    async def close(self) -> None:
        """Called when the client is closed. Should release all resources."""

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
    """The source of a client's bytes. Create one with :meth:`http`, or write a subclass.

    A strategy is immutable and can serve any number of clients.
    """

    def create_client(self, logger: Logger) -> AsyncConnectionClient:
        """Creates the connection factory of one client. Must not connect yet.

        :param logger: the client's logger
        """
        raise NotImplementedError(f"{type(self).__name__} doesn't define create_client()")

    @staticmethod
    def http(
        url: str,
        headers: Headers | Callable[[], Headers | Awaitable[Headers | None] | None] | None = None,
        session: aiohttp.ClientSession | None = None,
        aiohttp_request_options: Mapping[str, Any] | None = None,
        query_params: Callable[[], QueryParams] | None = None,
        *,
        client: httpx.AsyncClient | httpx2.AsyncClient | None = None,
        **options: Unpack[AsyncHttpOptions],
    ) -> AsyncConnectStrategy:
        """Streams over HTTP.

        The parameters are those of
        :meth:`ConnectStrategy.http() <everstream.config.ConnectStrategy.http>`, except for the
        three below. ``headers`` and ``auth`` may be coroutine functions. With ``session`` or
        ``aiohttp_request_options``, aiohttp makes the connections, which needs
        ``everstream[aiohttp]``.

        :param session: makes the requests; the caller has to close it
        :param aiohttp_request_options: further arguments of each ``session.request()``. A
            ``timeout`` among them replaces ``connect_timeout``.
        :param client: an ``httpx.AsyncClient`` or ``httpx2.AsyncClient`` that makes the connections
        """
        request = HttpRequest(
            "AsyncConnectStrategy.http", url, headers, query_params, options, is_async=True
        )
        if client is not None:
            if session is not None or aiohttp_request_options is not None:
                raise TypeError(
                    "client is for httpx, session and aiohttp_request_options for aiohttp"
                )
            from .._httpx.asynchronous import AsyncHttpxStrategy

            return AsyncHttpxStrategy(request, client)
        if session is None and aiohttp_request_options is None:
            return _AsyncHttpConnectStrategy(request)
        try:
            from .._aiohttp import AiohttpConnectStrategy
        except ImportError as error:
            raise ImportError(
                "session and aiohttp_request_options need aiohttp: install everstream[aiohttp]"
            ) from error
        return AiohttpConnectStrategy(request, session, aiohttp_request_options)


class _AsyncHttpConnectStrategy(AsyncConnectStrategy):
    """The engine's own HTTP."""

    def __init__(self, request: HttpRequest) -> None:
        self._native = request.native_http()
        self._stream = request.stream

    def create_client(self, logger: Logger) -> AsyncConnectionClient:
        return _AsyncHttpConnectionClient(self._native, self._stream)

    def __repr__(self) -> str:
        return f"AsyncConnectStrategy.http({_native.redact_url(self._native.url)!r})"


class _AsyncHttpConnectionClient(AsyncConnectionClient):
    """The engine's own HTTP, for strategies that wrap it."""

    def __init__(self, http: _native.Http, stream: Stream) -> None:
        self._native = _native.AsyncHttpClient(http)
        self._stream = stream

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
        stream = self._native.connect(
            last_event_id,
            resume_with_get=resume_with_get,
            read_timeout=self._stream.read_timeout,
        )
        try:
            await wait(stream, stream.poll_connect)
        except BaseException:
            stream.close()
            raise
        return AsyncConnectionResult(
            _Chunks(stream),
            stream.close,
            stream.headers,
            status=stream.status,
            url=stream.url,
            withheld_headers=stream.withheld_headers,
        )

    @property
    def is_repeatable(self) -> bool:
        return self._native.is_repeatable

    async def close(self) -> None:
        self._native.close()


def native_stream(stream: object) -> _native.AsyncHttpStream | None:
    """The engine's own connection behind a stream, or ``None``."""
    return stream.native if type(stream) is _Chunks else None


class _Chunks(AsyncIterator[bytes]):
    __slots__ = ("native",)

    def __init__(self, stream: _native.AsyncHttpStream) -> None:
        self.native = stream

    async def __anext__(self) -> bytes:
        chunk: bytes = await wait(self.native, self.native.poll_next)
        return chunk


def engine_connection(strategy: AsyncConnectStrategy, logger: Logger) -> Any:
    """What makes the connections: the engine's HTTP or a connection client."""
    if type(strategy) is _AsyncHttpConnectStrategy:
        return strategy._native
    client: Any = strategy.create_client(logger)
    if not callable(getattr(client, "connect", None)):
        raise TypeError(
            f"{type(strategy).__name__}.create_client must return an AsyncConnectionClient, "
            f"not {describe(client)}"
        )
    return client
