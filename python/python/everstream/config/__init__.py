"""How a client connects, whether it goes on after an error, and how long it waits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from logging import CRITICAL, Logger
from types import TracebackType
from typing import Any, Final

from .. import _native

__all__ = [
    "ConnectStrategy",
    "ConnectionClient",
    "ConnectionResult",
    "ErrorStrategy",
    "RetryDelayStrategy",
]


class _Unset:
    """Not given, where ``None`` says something."""

    def __repr__(self) -> str:
        return "<unset>"


_UNSET: Final = _Unset()
_NO_LOGGER: Final = Logger("everstream.none", CRITICAL + 1)

QueryParams = Mapping[str, Any] | Iterable[tuple[str, Any]] | None


class ConnectionResult:
    """What a :class:`ConnectionClient` has connected to: bytes to come, and how to close it."""

    def __init__(
        self,
        stream: Iterator[bytes],
        closer: Callable[[], Any] | None,
        headers: Mapping[str, Any] | None = None,
        *,
        status: int | None = None,
        url: str | None = None,
    ) -> None:
        """:param stream: yields chunks of bytes, and ends when the connection does
        :param closer: called once, by :meth:`close`; it ought to make a blocked ``stream`` return.
            The client calls it from whatever thread stops the connection.
        :param headers: the response's headers, if there are any
        :param status: the response's status, if it is one of HTTP
        :param url: the URL that answered, after redirects
        """
        self._stream = stream
        self._closer = closer
        self._headers = headers
        self._status = status
        self._url = url

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

    def close(self) -> None:
        """Releases the connection. A second call does nothing."""
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
        """Connects, or raises an exception, which the client's error strategy is asked about.

        An ``OSError`` and an exception that isn't one of Python's own count as a connection that
        could not be made, an :class:`~everstream.errors.RequestError` as a request that may have
        reached the server, an :class:`~everstream.errors.HTTPStatusError` as such a response.

        :param last_event_id: the id to resume from
        """
        raise NotImplementedError(f"{type(self).__name__} doesn't define connect()")

    @property
    def is_repeatable(self) -> bool:
        """Whether connecting again does no harm, as with GET; it is looked at once.

        If not, it is only done to resume after an event with an id, when no connection was made, or
        when :meth:`everstream.SSEClient.start` is called.
        """
        return True

    def interrupt(self) -> None:
        """Makes a :meth:`connect` that is going on in another thread fail at once, if it can."""

    def close(self) -> None:
        """Releases what it holds, as :meth:`interrupt` does: the client is closed."""

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
    """Where a client gets its bytes from. To be subclassed, or made by :meth:`http`.

    A strategy is immutable and can serve any number of clients.
    """

    def create_client(self, logger: Logger) -> ConnectionClient:
        """Makes the part that belongs to one client. Nothing connects yet.

        :param logger: the client's logger
        """
        raise NotImplementedError(f"{type(self).__name__} doesn't define create_client()")

    @staticmethod
    def http(
        url: str,
        headers: Mapping[str, str | bytes] | None = None,
        pool: Any = None,
        urllib3_request_options: Mapping[str, Any] | None = None,
        query_params: Callable[[], QueryParams] | None = None,
        *,
        method: str = "GET",
        body: str | bytes | None = None,
        read_timeout: float | None = None,
        connect_timeout: float | _Unset | None = _UNSET,
        max_event_size: int | None = None,
    ) -> ConnectStrategy:
        """Streams over HTTP.

        :param url: the stream's URL
        :param headers: headers to add to the request
        :param pool: a ``urllib3.PoolManager``. With this or the next one, urllib3 makes the
            connections, which needs ``everstream[urllib3]``. The pool is never closed.
        :param urllib3_request_options: arguments for urllib3's ``request``, such as ``timeout``.
            Instead of a ``timeout`` there, ``read_timeout`` and ``connect_timeout`` can be set.
        :param query_params: called before every connection; what it returns is added to the URL's
            query, and takes the place of what the URL has under the same names. A list gives a name
            more than one value.
        :param method: the request's method. A request with a method that isn't safe, such as POST,
            is repeated only if it surely wasn't received, or to resume after an event with an id.
        :param body: the request's body; text is sent as UTF-8
        :param read_timeout: how many seconds of silence are accepted, where comments count as life;
            ``None`` or 0: any number
        :param connect_timeout: how many seconds connecting may take; ``None`` or 0: as long as the
            system allows. Unset: 10.
        :param max_event_size: the largest event that is accepted, in bytes. Unset: 64 MiB.
        """
        if query_params is not None and not callable(query_params):
            raise TypeError("query_params must be a function")
        # The engine's own default, or 0 for none.
        connect = None if isinstance(connect_timeout, _Unset) else connect_timeout or 0.0
        if pool is not None or urllib3_request_options is not None:
            from .._urllib3 import Urllib3Strategy

            return Urllib3Strategy(
                url,
                headers=headers,
                pool=pool,
                options=urllib3_request_options,
                query_params=query_params,
                method=method,
                body=body,
                read_timeout=read_timeout,
                connect_timeout=connect,
                max_event_size=max_event_size,
            )
        return _HttpConnectStrategy(
            _native.Http(
                url,
                headers=headers,
                query_params=query_params,
                method=method,
                body=body,
                read_timeout=read_timeout,
                connect_timeout=connect,
                max_event_size=max_event_size,
            )
        )


class _HttpConnectStrategy(ConnectStrategy):
    """The engine's own HTTP."""

    def __init__(self, native: _native.Http) -> None:
        self._native = native

    def create_client(self, logger: Logger) -> ConnectionClient:
        return _HttpConnectionClient(self._native)

    def __repr__(self) -> str:
        return f"ConnectStrategy.http({_native.redact_url(self._native.url)!r})"


class _HttpConnectionClient(ConnectionClient):
    """The engine's own HTTP, for a strategy that wraps it."""

    def __init__(self, http: _native.Http) -> None:
        self._native = _native.HttpClient(http)
        self._max_event_size = http.max_event_size

    def connect(self, last_event_id: str | None) -> ConnectionResult:
        stream = self._native.connect(last_event_id)
        return ConnectionResult(
            stream, stream.close, stream.headers, status=stream.status, url=stream.url
        )

    @property
    def is_repeatable(self) -> bool:
        return self._native.is_repeatable

    def close(self) -> None:
        self._native.close()


class ErrorStrategy:
    """Whether a client goes on after an error or the end of a stream. To be subclassed.

    A strategy is immutable: it says which one to use next time, so that the client can return to
    the original one.
    """

    FAIL = True
    CONTINUE = False

    def apply(self, exception: Exception | None) -> tuple[bool, ErrorStrategy | None]:
        """Decides.

        :param exception: what went wrong; ``None`` if the stream ended in an orderly way
        :return: :attr:`FAIL` to raise the exception (or, if there is none, to end the iteration) or
            :attr:`CONTINUE` to reconnect, and the strategy to use next time; ``None`` is this one
        """
        raise NotImplementedError(f"{type(self).__name__} doesn't define apply()")

    @staticmethod
    def always_fail() -> ErrorStrategy:
        """Every error is raised, and every end ends the iteration. This is the default."""
        return _PresetErrorStrategy(_native.ErrorPreset.always_fail())

    @staticmethod
    def always_continue() -> ErrorStrategy:
        """The client always reconnects. With a server that is gone it does so for ever."""
        return _PresetErrorStrategy(_native.ErrorPreset.always_continue())

    @staticmethod
    def continue_with_max_attempts(max_attempts: int) -> ErrorStrategy:
        """The client reconnects after this many errors in a row, and fails at the next."""
        return _PresetErrorStrategy(_native.ErrorPreset.continue_with_max_attempts(max_attempts))

    @staticmethod
    def continue_with_time_limit(max_time: float) -> ErrorStrategy:
        """The client reconnects for so many seconds from the first of a row of errors."""
        return _PresetErrorStrategy(_native.ErrorPreset.continue_with_time_limit(max_time))

    @staticmethod
    def reconnect(statuses: Iterable[int] = ()) -> ErrorStrategy:
        """The client reconnects as a browser's ``EventSource`` does.

        It goes on after a dropped, refused or timed-out connection and after the end of the stream.
        It fails on what waiting doesn't mend: statuses that aren't 2xx and 204, a wrong content
        type, a redirect that can't be followed, an event that is too large.

        :param statuses: statuses after which it goes on nevertheless, such as 503
        """
        return _PresetErrorStrategy(_native.ErrorPreset.reconnect(list(statuses)))

    @staticmethod
    def from_lambda(
        fn: Callable[[Exception | None], tuple[bool, ErrorStrategy | None]],
    ) -> ErrorStrategy:
        """A strategy whose :meth:`apply` is this function."""
        return _LambdaErrorStrategy(checked_function(fn))


class _PresetErrorStrategy(ErrorStrategy):
    def __init__(self, native: _native.ErrorPreset) -> None:
        self._native = native

    def apply(self, exception: Exception | None) -> tuple[bool, ErrorStrategy]:
        fail, native = self._native.apply(exception)
        return fail, _PresetErrorStrategy(native)


class _LambdaErrorStrategy(ErrorStrategy):
    def __init__(self, fn: Callable[[Exception | None], tuple[bool, ErrorStrategy | None]]) -> None:
        self._fn = fn

    def apply(self, exception: Exception | None) -> tuple[bool, ErrorStrategy]:
        answer: tuple[bool, ErrorStrategy] = _answer(self._fn(exception), self)
        return answer


class RetryDelayStrategy:
    """How long a client waits before it reconnects. The base class always waits the base delay.

    A strategy is immutable: it says which one to use next time, so that the client can return to
    the original one, which it does after a connection that lasted.
    """

    def apply(self, base_delay: float) -> tuple[float, RetryDelayStrategy | None]:
        """Computes the delay.

        :param base_delay: the client's ``initial_retry_delay``, or what the server set with
            ``retry:``, in seconds
        :return: the delay in seconds, and the strategy to use next time; ``None`` is this one
        """
        return base_delay, self

    @staticmethod
    def default(
        max_delay: float | _Unset | None = _UNSET,
        backoff_multiplier: float = 2,
        jitter_multiplier: float | _Unset | None = _UNSET,
    ) -> RetryDelayStrategy:
        """The delay grows from one attempt to the next, and a random part of it is left off.

        :param max_delay: the longest delay, in seconds; ``None`` or 0: there is none. Unset: 30,
            unless the server asks for more.
        :param backoff_multiplier: by how much each delay is longer than the one before
        :param jitter_multiplier: how much of the delay may be left off at random, from 0 to 1;
            ``None`` or 0: nothing. Unset: 0.5.
        """
        return _DefaultRetryDelayStrategy(
            _native.Backoff(
                backoff_multiplier,
                max_delay=None if isinstance(max_delay, _Unset) else max_delay or 0.0,
                jitter_multiplier=(
                    None if isinstance(jitter_multiplier, _Unset) else jitter_multiplier or 0.0
                ),
            )
        )

    @staticmethod
    def from_lambda(
        fn: Callable[[float], tuple[float, RetryDelayStrategy | None]],
    ) -> RetryDelayStrategy:
        """A strategy whose :meth:`apply` is this function."""
        return _LambdaRetryDelayStrategy(checked_function(fn))


def _answer(answer: Any, strategy: Any) -> Any:
    """Of a lambda, as a strategy gives it. If it is none, the client says so."""
    match answer:
        case (decision, following):
            return decision, strategy if following is None else following
    return answer


class _DefaultRetryDelayStrategy(RetryDelayStrategy):
    def __init__(self, native: _native.Backoff) -> None:
        self._native = native

    def apply(self, base_delay: float) -> tuple[float, RetryDelayStrategy]:
        delay, native = self._native.apply(base_delay)
        return delay, _DefaultRetryDelayStrategy(native)


class _LambdaRetryDelayStrategy(RetryDelayStrategy):
    def __init__(self, fn: Callable[[float], tuple[float, RetryDelayStrategy | None]]) -> None:
        self._fn = fn

    def apply(self, base_delay: float) -> tuple[float, RetryDelayStrategy]:
        answer: tuple[float, RetryDelayStrategy] = _answer(self._fn(base_delay), self)
        return answer


def engine_error_strategy(strategy: ErrorStrategy | None) -> Any:
    """What the engine drives; unset, the default."""
    if strategy is None:
        strategy = ErrorStrategy.always_fail()
    elif not isinstance(strategy, ErrorStrategy):
        raise TypeError(f"error_strategy must be an ErrorStrategy, not {_shown(strategy)}")
    return _engine_part(strategy)


def engine_retry_delay_strategy(strategy: RetryDelayStrategy | None) -> Any:
    """What the engine drives; unset, the default."""
    if strategy is None:
        strategy = RetryDelayStrategy.default()
    elif not isinstance(strategy, RetryDelayStrategy):
        raise TypeError(
            f"retry_delay_strategy must be a RetryDelayStrategy, not {_shown(strategy)}"
        )
    return _engine_part(strategy)


def checked_logger(logger: Logger | None) -> Logger:
    """One that tells nobody, if there is none. What has a logger's methods is taken for one."""
    if logger is None:
        return _NO_LOGGER
    if not all(callable(getattr(logger, name, None)) for name in ("info", "warning")):
        raise TypeError(f"logger must be a logging.Logger, not {_shown(logger)}")
    return logger


def checked_function(fn: Any) -> Any:
    if not callable(fn):
        raise TypeError(f"fn must be a function, not {_shown(fn)}")
    return fn


def _shown(value: object) -> str:
    """Its type; a class or function that was perhaps to be called by its name."""
    name = getattr(value, "__qualname__", None)
    kind = type(value).__name__
    return f"{kind} {name}" if isinstance(name, str) else kind


def _engine_part(strategy: Any) -> Any:
    """The engine's own object if the strategy is an unused one of its own."""
    if type(strategy) in (_PresetErrorStrategy, _DefaultRetryDelayStrategy):
        native = strategy._native
        return native if native.fresh else strategy
    return strategy


def engine_connection(strategy: ConnectStrategy, logger: Logger) -> Any:
    """What makes the connections: the engine's HTTP, or a client written in Python."""
    if type(strategy) is _HttpConnectStrategy:
        return strategy._native
    client = strategy.create_client(logger)
    if not callable(getattr(client, "connect", None)):
        raise TypeError(
            f"{type(strategy).__name__}.create_client must return a ConnectionClient, "
            f"not {_shown(client)}"
        )
    return client
