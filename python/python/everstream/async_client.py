"""The client for asyncio."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from . import _native
from ._source import Source
from ._wait import end_abandoned_wait, wait
from .actions import Action, Event
from .config._checks import checked_logger
from .config._options import AsyncClientOptions, Stream, check_request, stream_of
from .config.async_connect_strategy import AsyncConnectStrategy, engine_connection
from .config.error_strategy import ErrorStrategy, engine_error_strategy
from .config.retry_delay_strategy import RetryDelayStrategy, engine_retry_delay_strategy

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AsyncSSEClient"]

_T = TypeVar("_T", bound=Action)


class AsyncSSEClient:
    """Reads one stream over any number of connections, in an asyncio event loop.

    **It doesn't reconnect by default**: see ``error_strategy``.

    It is inactive until :meth:`start` is awaited or something is read. It reads only while
    something is awaited::

        async with AsyncSSEClient("https://example.com/feed") as client:
            async for event in client:
                print(event.data)

    All your functions, including the methods of strategies, are called in the thread of the event
    loop. Cancelling a wait loses no event: the next wait continues. A
    client that uses this package's own HTTP isn't bound to an event loop.
    """

    def __init__(
        self,
        connect: str | AsyncConnectStrategy,
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
        **request: Unpack[AsyncClientOptions],
    ) -> None:
        """The parameters are those of :class:`~everstream.SSEClient`, except for these two.

        :param connect: a URL or an
            :class:`~everstream.config.async_connect_strategy.AsyncConnectStrategy`
        :param request: if ``connect`` is a URL, the parameters of ``AsyncConnectStrategy.http()``
        """
        check_request(
            request,
            AsyncClientOptions,
            "AsyncSSEClient",
            "AsyncConnectStrategy.http",
            has_strategy=isinstance(connect, AsyncConnectStrategy),
        )
        if isinstance(connect, str):
            connect = AsyncConnectStrategy.http(connect, **request)
        elif not isinstance(connect, AsyncConnectStrategy):
            raise TypeError(
                f"connect must be a URL or an AsyncConnectStrategy, not {type(connect).__name__}"
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
        self._source = None if isinstance(connection, _native.Http) else Source(connection)
        self._native = _native.AsyncClient(
            self._source or connection,
            initial_retry_delay=initial_retry_delay,
            retry_delay_strategy=engine_retry_delay_strategy(retry_delay_strategy),
            retry_delay_reset_threshold=retry_delay_reset_threshold,
            error_strategy=engine_error_strategy(error_strategy),
            last_event_id=last_event_id,
            logger=logger,
            **stream_of(connect, connection, stream).for_engine(),
        )

    @property
    def all(self) -> AsyncIter[Action]:
        """Everything that happens: events, comments, starts and faults.

        Reading connects, and reconnects. An iterator ends after an exception, but not after a
        cancellation. A new one continues where the old one stopped, and no event is lost.
        """
        return AsyncIter(self._native, False)

    @property
    def events(self) -> AsyncIter[Event]:
        """Only the events. See :attr:`all`."""
        return AsyncIter(self._native, True)

    def __aiter__(self) -> AsyncIter[Event]:
        """Iterates over :attr:`events`."""
        return self.events

    async def start(self) -> None:
        """Connects, if there is no connection, after the delay that is due.

        Raises the error if the error strategy says to fail, and
        :class:`~everstream.errors.ClosedError` after :meth:`close`.
        """
        await wait(self._native, self._native.poll_start)

    async def interrupt(self) -> None:
        """Drops the connection as if the server had ended it.

        It can be awaited in any task, thread and event loop. It waits only for the closer of a
        connection of a custom source.
        """
        self._native.interrupt()
        if self._source is not None:
            await self._source.interrupt()

    async def close(self) -> None:
        """Closes the client at once, for good. An iteration in another task ends.

        It can be awaited in any task, thread and event loop. It waits only for the closers of a
        custom source.
        """
        self._native.close()
        if self._source is not None:
            await self._source.close()

    @property
    def last_event_id(self) -> str | None:
        """The id to resume from: that of the last delivered event, or the preset one."""
        return self._native.last_event_id

    @property
    def next_retry_delay(self) -> float:
        """The delay that follows the last error, in seconds; 0 before the first."""
        return self._native.next_retry_delay

    async def __aenter__(self) -> AsyncSSEClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


class AsyncIter(AsyncIterator[_T], Generic[_T]):
    """Iterates over a client's actions or events. Like a generator, it ends after an exception."""

    __slots__ = ("_ended", "_native", "_only_events", "_ready")

    def __init__(self, native: _native.AsyncClient, only_events: bool) -> None:
        self._native = native
        self._ready = native.ready
        self._only_events = only_events
        self._ended = False

    async def __anext__(self) -> _T:
        if self._ended:
            raise StopAsyncIteration
        try:
            # Fast path: return an action that has been received already.
            try:
                action: _T | None = self._ready(self._only_events)
            except RuntimeError:
                if not end_abandoned_wait(self._native):
                    raise
                action = self._ready(self._only_events)
            if action is None:
                action = await wait(self._native, self._native.poll_next, self._only_events)
            return action
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException:
            self._ended = True
            raise

    async def aclose(self) -> None:
        """Ends this iterator, like ``aclose()`` of a generator. The client stays open."""
        self._ended = True
