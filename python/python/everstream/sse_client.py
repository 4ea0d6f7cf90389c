"""The client that blocks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from . import _native
from .actions import Action, Event
from .config._checks import checked_logger
from .config._options import ClientOptions, Stream, check_request, stream_of
from .config.connect_strategy import ConnectStrategy, engine_connection
from .config.error_strategy import ErrorStrategy, engine_error_strategy
from .config.retry_delay_strategy import RetryDelayStrategy, engine_retry_delay_strategy

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["SSEClient"]


class SSEClient:
    """Reads one stream over any number of connections.

    **It doesn't reconnect by default**: see ``error_strategy``.

    It is inactive until :meth:`start` is called or something is read, and works in the thread
    that reads. :meth:`close`, :meth:`interrupt`, :attr:`last_event_id` and
    :attr:`next_retry_delay` may be used from any thread::

        with SSEClient("https://example.com/feed") as client:
            for event in client:
                print(event.data)
    """

    def __init__(
        self,
        connect: str | ConnectStrategy,
        initial_retry_delay: float = 1,
        retry_delay_strategy: RetryDelayStrategy | None = None,
        retry_delay_reset_threshold: float = 60,
        error_strategy: ErrorStrategy | None = None,
        last_event_id: str | None = None,
        logger: logging.Logger | None = None,
        *,
        read_timeout: float | None = None,
        max_event_size: int | None = None,
        oversize: Literal["fail", "skip"] = "fail",
        until: str | Callable[[Event], bool] | None = None,
        repeat_unsafe: bool = False,
        resume_with_get: bool = False,
        dispatch_unfinished: bool = False,
        **request: Unpack[ClientOptions],
    ) -> None:
        """:param connect: a URL or a :class:`~everstream.config.ConnectStrategy`
        :param initial_retry_delay: the base of the delay before reconnecting, in seconds, until the
            server sets it with ``retry:``
        :param retry_delay_strategy: how the delay grows; unset:
            :meth:`~everstream.config.RetryDelayStrategy.default`
        :param retry_delay_reset_threshold: how many seconds a connection must last to reset the
            delay
        :param error_strategy: whether to reconnect after an error; unset:
            :meth:`~everstream.config.ErrorStrategy.always_fail`
        :param last_event_id: the id to resume from, which an earlier run saved
        :param logger: logs connections, errors and delays
        :param read_timeout: the idle timeout in seconds; any data resets it, comments too. ``None``
            or 0: no idle timeout. For a custom source, its closer has to unblock a pending read.
        :param max_event_size: the largest event that is accepted, in bytes. Unset: 64 MiB.
        :param oversize: what to do with a larger event: ``"fail"`` raises
            :class:`~everstream.errors.EventTooLargeError`, ``"skip"`` continues with the next event
        :param until: the data of the event that ends the stream, such as ``"[DONE]"``, or a
            function that recognizes that event. The iteration ends at it without yielding it, and
            the client doesn't reconnect. If the stream ends earlier and isn't resumed, the error is
            :class:`~everstream.errors.IncompleteStreamError`.
        :param repeat_unsafe: sends requests with POST and other methods that aren't safe (RFC 9110,
            section 9.2.1) again, as if they were GET. Otherwise such a request is sent again only
            if the server can't have received it, or by :meth:`start`. The stream then ends with its
            connection; if the error strategy would have reconnected, ``not_repeated`` of the
            exception or ``Fault`` is true.
        :param resume_with_get: resumes the stream of such a request with a GET, once the server has
            sent an event id, after an error and after a clean end. The GET has the same headers, no
            body, ``Accept: text/event-stream`` and ``Last-Event-ID``. If the server answers it with
            400, 404 or 405, that is final, whatever the error strategy says. A custom source isn't
            resumed unless its :attr:`~everstream.config.ConnectionClient.can_resume_with_get` is
            true.
        :param dispatch_unfinished: deliver the last event even if its blank line is missing,
            provided that the framing of the response proves that it is complete. The standard
            discards such an event.
        :param request: if ``connect`` is a URL, the parameters of
            :meth:`ConnectStrategy.http() <everstream.config.ConnectStrategy.http>`, such as
            ``headers``, ``json`` and ``auth``

        The parameters from ``read_timeout`` to ``dispatch_unfinished`` can be set here or in
        ``ConnectStrategy.http()``, where they mean the same.
        """
        check_request(
            request,
            ClientOptions,
            "SSEClient",
            "ConnectStrategy.http",
            has_strategy=isinstance(connect, ConnectStrategy),
        )
        if isinstance(connect, str):
            connect = ConnectStrategy.http(connect, **request)
        elif not isinstance(connect, ConnectStrategy):
            raise TypeError(
                f"connect must be a URL or a ConnectStrategy, not {type(connect).__name__}"
            )
        connection = engine_connection(connect, checked_logger(logger))
        stream = Stream(
            read_timeout=read_timeout,
            max_event_size=max_event_size,
            oversize=oversize,
            until=until,
            repeat_unsafe=repeat_unsafe,
            resume_with_get=resume_with_get,
            dispatch_unfinished=dispatch_unfinished,
        )
        self._native = _native.Client(
            connection,
            initial_retry_delay=initial_retry_delay,
            retry_delay_strategy=engine_retry_delay_strategy(retry_delay_strategy),
            retry_delay_reset_threshold=retry_delay_reset_threshold,
            error_strategy=engine_error_strategy(error_strategy),
            last_event_id=last_event_id,
            logger=logger,
            **stream_of(connect, connection, stream).for_engine(),
        )

    @property
    def all(self) -> _native.Iter[Action]:
        """Everything that happens: events, comments, starts and faults.

        Reading connects, and reconnects. An iterator ends after an exception; a new one continues
        where the old one stopped, and no event is lost.
        """
        return _native.Iter(self._native, False)

    @property
    def events(self) -> _native.Iter[Event]:
        """Only the events. See :attr:`all`."""
        return _native.Iter(self._native, True)

    def __iter__(self) -> _native.Iter[Event]:
        """Iterates over :attr:`events`."""
        return self.events

    def start(self) -> None:
        """Connects, if there is no connection, after the delay that is due.

        Raises the error if the error strategy says to fail, and
        :class:`~everstream.errors.ClosedError` after :meth:`close`.
        """
        self._native.start()

    def interrupt(self) -> None:
        """Drops the connection as if the server had ended it."""
        self._native.interrupt()

    def close(self) -> None:
        """Closes the client at once, for good. An iteration in another thread ends."""
        self._native.close()

    @property
    def last_event_id(self) -> str | None:
        """The id to resume from: that of the last delivered event, or the preset one."""
        return self._native.last_event_id

    @property
    def next_retry_delay(self) -> float:
        """The delay that follows the last error, in seconds; 0 before the first."""
        return self._native.next_retry_delay

    def __enter__(self) -> SSEClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
