"""How a client connects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from logging import Logger
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .. import _native
from ._checks import describe
from ._options import Headers, HttpOptions, QueryParams, Stream
from ._request import HttpRequest

if TYPE_CHECKING:
    import httpx
    import httpx2
    from typing_extensions import Unpack

__all__ = ["ConnectStrategy", "ConnectionClient", "ConnectionResult"]


class ConnectionResult:
    """A connection: its bytes, and how to close it. Returned by a :class:`ConnectionClient`."""

    def __init__(
        self,
        stream: Iterator[bytes],
        closer: Callable[[], Any] | None,
        headers: Mapping[str, Any] | None = None,
        *,
        status: int | None = None,
        url: str | None = None,
        withheld_headers: Sequence[str] = (),
    ) -> None:
        """:param stream: yields chunks of bytes, and ends when the connection does
        :param closer: called once, by :meth:`close`; it should unblock a pending read of
            ``stream``. The client calls it in the thread that stops the connection.
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
    def stream(self) -> Iterator[bytes]:
        """An iterator over chunks of bytes."""
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

    def close(self) -> None:
        """Releases the connection. A second call does nothing."""
        self._closed = True
        closer, self._closer = self._closer, None
        if closer is not None:
            closer()

    def __enter__(self) -> ConnectionResult:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class ConnectionClient:
    """Makes all connections of one client. To be subclassed."""

    def connect(self, last_event_id: str | None) -> ConnectionResult:
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
        :meth:`everstream.SSEClient.start` is called.
        """
        return True

    @property
    def can_resume_with_get(self) -> bool:
        """Whether :meth:`resume_with_get` is defined. It is read once per client.

        If not, ``resume_with_get`` of :class:`~everstream.SSEClient` has no effect.
        """
        return False

    def resume_with_get(self, last_event_id: str | None) -> ConnectionResult:
        """Resumes the stream with a GET without a body. Otherwise like :meth:`connect`.

        It is called if :attr:`is_repeatable` is false and :attr:`can_resume_with_get` true, and the
        :class:`~everstream.SSEClient` has ``resume_with_get``. ``HTTPStatusError`` with 400, 404 or
        405 says that the stream can't be resumed.

        :param last_event_id: the id to resume from
        """
        raise NotImplementedError(f"{type(self).__name__} doesn't define resume_with_get()")

    def interrupt(self) -> None:
        """Should make a :meth:`connect` that is running in another thread fail at once."""

    def close(self) -> None:
        """Called when the client is closed. Should do what :meth:`interrupt` does, and release all
        resources.
        """

    def __enter__(self) -> ConnectionClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class ConnectStrategy:
    """The source of a client's bytes. Create one with :meth:`http`, or write a subclass.

    A strategy is immutable and can serve any number of clients.
    """

    def create_client(self, logger: Logger) -> ConnectionClient:
        """Creates the connection factory of one client. Must not connect yet.

        :param logger: the client's logger
        """
        raise NotImplementedError(f"{type(self).__name__} doesn't define create_client()")

    @staticmethod
    def http(
        url: str,
        headers: Headers | Callable[[], Headers | None] | None = None,
        pool: Any = None,
        urllib3_request_options: Mapping[str, Any] | None = None,
        query_params: Callable[[], QueryParams] | None = None,
        *,
        client: httpx.Client | httpx2.Client | None = None,
        **options: Unpack[HttpOptions],
    ) -> ConnectStrategy:
        """Streams over HTTP.

        All parameters can be passed to :class:`~everstream.SSEClient` too, next to the URL.

        :param url: the stream's URL
        :param headers: headers to add to the request: a mapping or pairs, or a function that
            returns them and is called before each attempt. If it raises an exception, that is the
            cause of a :class:`~everstream.errors.RequestSetupError`. After a redirect to another
            origin only ``Accept``, ``User-Agent`` and the like are sent. A redirect from ``http``
            to ``https`` on the same host and the default ports keeps all headers. A warning in the
            log names the headers that weren't sent.
        :param pool: a ``urllib3.PoolManager``. With ``pool`` or ``urllib3_request_options``,
            urllib3 makes the connections, which needs ``everstream[urllib3]``. The pool is never
            closed.
        :param urllib3_request_options: arguments for urllib3's ``request``, such as ``timeout``.
            Instead of a ``timeout`` there, ``read_timeout`` and ``connect_timeout`` can be set.
        :param query_params: called before every connection. Its result is added to the URL's query
            and replaces parameters of the same names. A list gives a name more than one value.
        :param client: an ``httpx.Client`` or ``httpx2.Client`` that makes the connections. It is
            never closed here. Its headers are treated like ``headers``, which take precedence. Its
            read timeout isn't used: set ``read_timeout``. Its connect timeout is used unless
            ``connect_timeout`` is set.
        :param method: the request's method; unset: GET, or POST with ``json``. A request with a
            method that isn't safe, such as POST, is repeated only if the server can't have received
            it. See ``repeat_unsafe`` and ``resume_with_get``.
        :param body: the request's body; text is sent as UTF-8
        :param json: what to send as a JSON body, with ``Content-Type: application/json`` unless
            ``headers`` have another one
        :param params: query parameters, a mapping or pairs. They replace parameters of the same
            names in the URL.
        :param auth: a pair of a user and a password for Basic authentication, the text of an
            ``Authorization`` header, or a function that returns one of them, or ``None``, and is
            called before each attempt. It replaces an ``Authorization`` of ``headers``.
        :param sensitive_headers: names of headers that never leave their origin, not even from
            ``http`` to ``https``
        :param connect_timeout: how many seconds connecting may take; ``None`` or 0: as long as the
            system allows. Unset: 10.
        :param proxy: the URL of a proxy, used instead of the system's; ``False``: no proxy
        :param verify: the path of a PEM file with certificates to trust in addition to the
            system's, or ``False`` to accept any certificate
        :param cert: the path of a PEM file with a client certificate and its key, or a pair of
            paths
        :param http2: ``True``: HTTP/2 only, also without TLS. ``False``: HTTP/1.1 only. Unset:
            HTTP/1.1, or what the server offers over TLS in the asyncio client.
        :param any_content_type: whether to read a stream whose ``Content-Type`` isn't
            ``text/event-stream``, or that has none. It is read as UTF-8, whatever its charset.
        :param cookies: whether to keep the cookies that servers set, in memory, and send them with
            redirected requests and reconnects, as RFC 6265 allows. All clients of this strategy
            share them. Your own ``Cookie`` header takes precedence.

        These are settings of the client's stream. :class:`~everstream.SSEClient` describes them:
        ``read_timeout``, ``max_event_size``, ``oversize``, ``until``, ``repeat_unsafe``,
        ``resume_with_get``, ``dispatch_unfinished``.
        """
        request = HttpRequest("ConnectStrategy.http", url, headers, query_params, options)
        if client is not None:
            if pool is not None or urllib3_request_options is not None:
                raise TypeError("client is for httpx, pool and urllib3_request_options for urllib3")
            from .._httpx.blocking import HttpxStrategy

            return HttpxStrategy(request, client)
        if pool is not None or urllib3_request_options is not None:
            from .._urllib3 import Urllib3Strategy

            return Urllib3Strategy(request, pool, urllib3_request_options)
        return _HttpConnectStrategy(request)


class _HttpConnectStrategy(ConnectStrategy):
    """The engine's own HTTP."""

    def __init__(self, request: HttpRequest) -> None:
        self._native = request.native_http()
        self._stream = request.stream

    def create_client(self, logger: Logger) -> ConnectionClient:
        return _HttpConnectionClient(self._native, self._stream)

    def __repr__(self) -> str:
        return f"ConnectStrategy.http({_native.redact_url(self._native.url)!r})"


class _HttpConnectionClient(ConnectionClient):
    """The engine's own HTTP, for strategies that wrap it."""

    def __init__(self, http: _native.Http, stream: Stream) -> None:
        self._native = _native.HttpClient(http)
        self._stream = stream

    def connect(self, last_event_id: str | None) -> ConnectionResult:
        return self._connect(last_event_id, resume_with_get=False)

    @property
    def can_resume_with_get(self) -> bool:
        return True

    def resume_with_get(self, last_event_id: str | None) -> ConnectionResult:
        return self._connect(last_event_id, resume_with_get=True)

    def _connect(self, last_event_id: str | None, *, resume_with_get: bool) -> ConnectionResult:
        stream = self._native.connect(
            last_event_id,
            resume_with_get=resume_with_get,
            read_timeout=self._stream.read_timeout,
        )
        return ConnectionResult(
            stream,
            stream.close,
            stream.headers,
            status=stream.status,
            url=stream.url,
            withheld_headers=stream.withheld_headers,
        )

    @property
    def is_repeatable(self) -> bool:
        return self._native.is_repeatable

    def close(self) -> None:
        self._native.close()


def engine_connection(strategy: ConnectStrategy, logger: Logger) -> Any:
    """What makes the connections: the engine's HTTP or a connection client."""
    if type(strategy) is _HttpConnectStrategy:
        return strategy._native
    client = strategy.create_client(logger)
    if not callable(getattr(client, "connect", None)):
        raise TypeError(
            f"{type(strategy).__name__}.create_client must return a ConnectionClient, "
            f"not {describe(client)}"
        )
    return client
