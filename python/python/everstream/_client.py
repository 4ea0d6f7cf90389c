"""The client that blocks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import TracebackType

from . import _native
from .actions import Action, Event
from .config._checks import checked_logger
from .config.connect_strategy import ConnectStrategy, engine_connection
from .config.error_strategy import ErrorStrategy, engine_error_strategy
from .config.retry_delay_strategy import RetryDelayStrategy, engine_retry_delay_strategy


class SSEClient:
    """Follows one stream over any number of connections.

    It is inactive until :meth:`start` is called or something is read, and works in the thread
    that reads. :meth:`close`, :meth:`interrupt`, :attr:`last_event_id` and
    :attr:`next_retry_delay` may be used from any thread::

        with SSEClient("https://example.com/feed") as client:
            for event in client.events:
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
        repeat_unsafe: bool = False,
        resume_with_get: bool = False,
        dispatch_unfinished: bool = False,
    ) -> None:
        """:param connect: a URL or a :class:`~everstream.config.ConnectStrategy`
        :param initial_retry_delay: the base of the delay before reconnecting, in seconds, until the
            server sets it with ``retry:``
        :param retry_delay_strategy: how the delay grows; unset:
            :meth:`~everstream.config.RetryDelayStrategy.default`
        :param retry_delay_reset_threshold: how many seconds a connection must last for the delay to
            start anew after it
        :param error_strategy: whether to go on after an error; unset:
            :meth:`~everstream.config.ErrorStrategy.always_fail`
        :param last_event_id: the id to resume from, which an earlier run kept
        :param logger: logs connections, errors and delays
        :param repeat_unsafe: sends requests with POST and other methods that aren't safe (RFC 9110,
            section 9.2.1) again, as if they were GET. Otherwise such a request is sent again only
            if the server can't have received it, or by :meth:`start`. The stream ends with its
            connection, and what ends it has the attribute ``not_repeated``.
        :param resume_with_get: resumes the stream of such a request by GET, once the server has
            sent an event id: with the same headers but ``Accept: text/event-stream``, without a
            body, and with ``Last-Event-ID``, after an error and after a clean end. 400, 404 and 405
            are final then, whatever the error strategy says. A custom source isn't resumed unless
            its :attr:`~everstream.config.ConnectionClient.can_resume_with_get` is true.
        :param dispatch_unfinished: deliver the last event although no blank line followed it, if
            the framing of the response proves that nothing is missing; the standard discards it
        """
        if isinstance(connect, str):
            connect = ConnectStrategy.http(connect)
        elif not isinstance(connect, ConnectStrategy):
            raise TypeError(
                f"connect must be a URL or a ConnectStrategy, not {type(connect).__name__}"
            )
        self._native = _native.Client(
            engine_connection(connect, checked_logger(logger)),
            initial_retry_delay=initial_retry_delay,
            retry_delay_strategy=engine_retry_delay_strategy(retry_delay_strategy),
            retry_delay_reset_threshold=retry_delay_reset_threshold,
            error_strategy=engine_error_strategy(error_strategy),
            last_event_id=last_event_id,
            logger=logger,
            repeat_unsafe=repeat_unsafe,
            resume_with_get=resume_with_get,
            dispatch_unfinished=dispatch_unfinished,
        )

    @property
    def all(self) -> Iterator[Action]:
        """Everything that happens: events, comments, starts and faults.

        Reading connects, and reconnects. An iterator is over after an exception; a new one goes on
        where it stopped, and nothing is lost between them.
        """
        return _native.Iter(self._native, False)

    @property
    def events(self) -> Iterator[Event]:
        """Only the events. See :attr:`all`."""
        return _native.Iter(self._native, True)

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
        """Ends for good, at once: whoever is reading comes to the end of the iteration."""
        self._native.close()

    @property
    def last_event_id(self) -> str | None:
        """The id to resume from: the newest one among what was handed out, or the preset one."""
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
