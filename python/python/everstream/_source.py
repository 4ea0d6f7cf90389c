"""Runs the connections of a custom source in an event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from types import AsyncGeneratorType
from typing import Any

from . import _native
from .config.async_connect_strategy import (
    AsyncConnectionClient,
    AsyncConnectionResult,
    native_stream,
)
from .errors import ReadError


class Source:
    """Makes the connections of one client, each in its own task."""

    def __init__(self, client: AsyncConnectionClient) -> None:
        self._client = client
        self._connections: set[ConnectionTask] = set()
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.name = type(client).__name__
        self.repeatable: bool = getattr(client, "is_repeatable", True)
        self.can_resume_with_get: bool = getattr(client, "can_resume_with_get", False)

    def open(
        self, last_event_id: str | None, mailbox: _native.Mailbox, resume_with_get: bool
    ) -> ConnectionTask:
        """Begins an attempt in the running event loop."""
        connection = ConnectionTask(self._client, last_event_id, mailbox, resume_with_get)
        self._loop = connection.loop
        self._connections.add(connection)
        connection.task.add_done_callback(lambda _: self._connections.discard(connection))
        return connection

    async def interrupt(self) -> None:
        """Stops open connections, waits until they are closed, and then interrupts the client."""
        try:
            await self._stop()
        finally:
            # Clients written for launchdarkly-eventsource don't have this method.
            interrupt = getattr(self._client, "interrupt", None)
            if interrupt is not None:
                await _in_loop(self._loop, interrupt)

    async def _stop(self) -> None:
        connections = list(self._connections)
        for connection in connections:
            connection.stop()
        for connection in connections:
            # In a loop that isn't running, the task can't end.
            if connection.task is not asyncio.current_task() and connection.loop.is_running():
                await _in_loop(connection.loop, connection.closed)

    async def close(self) -> None:
        """Stops open connections, and closes the client."""
        try:
            await self._stop()
        finally:
            if not self._closed:
                self._closed = True
                await _in_loop(self._loop, self._client.close)


class ConnectionTask:
    """One connection, or an attempt at one. All of its code runs in one task."""

    def __init__(
        self,
        client: AsyncConnectionClient,
        last_event_id: str | None,
        mailbox: _native.Mailbox,
        resume_with_get: bool,
    ) -> None:
        self._mailbox = mailbox
        self._method = "resume_with_get" if resume_with_get else "connect"
        self.loop = asyncio.get_running_loop()
        self._requested = self.loop.create_future()
        self._stopped = False
        self.task = self.loop.create_task(self._run(client, last_event_id))
        # If the loop is closed first, asyncio shouldn't warn: nothing is lost.
        self.task._log_destroy_pending = False  # type: ignore[attr-defined]

    def request_next(self) -> None:
        """Called by the engine when it needs the next item."""
        if asyncio.get_running_loop() is not self.loop:
            if not self.loop.is_closed():
                raise RuntimeError(
                    "the connection was made in another event loop, which isn't closed: "
                    "read the client there, or interrupt() it first"
                )
            self._mailbox.failed(ReadError("the connection's event loop is closed"))
        elif not self._requested.done():
            self._requested.set_result(None)

    def stop(self) -> None:
        """Cancels the task. Can be called from any thread."""
        if self._stopped or self.task.done():
            return
        self._stopped = True
        try:
            running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self.loop:
            self.task.cancel()
        elif not self.loop.is_closed():
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                self.loop.call_soon_threadsafe(self.task.cancel)

    async def closed(self) -> None:
        """Waits until the task has ended. Raises the exception that closing raised."""
        await asyncio.wait([self.task])
        if not self.task.cancelled() and (error := self.task.exception()) is not None:
            raise error

    async def _run(self, client: AsyncConnectionClient, last_event_id: str | None) -> None:
        try:
            result = await getattr(client, self._method)(last_event_id)
            if not isinstance(result, AsyncConnectionResult):
                raise TypeError(
                    f"AsyncConnectionClient.{self._method} must return an AsyncConnectionResult, "
                    f"not {type(result).__name__}"
                )
        except BaseException as error:
            self._fail(error)
            return
        failure: BaseException | None = None
        try:
            await self._transfer(result)
        except GeneratorExit as error:
            # Either the loop has been closed and nothing can be awaited any more, or the stream
            # raised this exception itself, and the reader must be told.
            if self.loop.is_running():
                self._fail(error)
            return
        except BaseException as error:
            failure = error
        if result._closed and isinstance(failure, Exception):
            # Raised because the program closed the connection.
            failure = None
        proves_end = result._proves_end and not result._closed
        try:
            await result.close()
        except BaseException as error:
            if self._stopped:
                raise
            failure = error
        if failure is None:
            self._mailbox.ended(proves_end)
        else:
            self._fail(failure)

    async def _transfer(self, result: AsyncConnectionResult) -> None:
        stream = result.stream
        chunks = aiter(stream)
        try:
            is_direct = self._mailbox.opened(
                native_stream(stream),
                result.headers,
                result.status,
                result.url,
                result.withheld_headers,
            )
            await self._wait_for_request()
            if is_direct:
                # The engine has read the stream to its end.
                return
            async for chunk in chunks:
                self._mailbox.chunk(chunk)
                await self._wait_for_request()
        except GeneratorExit:
            raise
        except BaseException:
            # Close it now, not when it is garbage-collected.
            if isinstance(chunks, AsyncGeneratorType):
                await chunks.aclose()
            raise

    async def _wait_for_request(self) -> None:
        """Waits until the engine needs the next item. The one before was its last answer."""
        self._requested = self.loop.create_future()
        await self._requested

    def _fail(self, error: BaseException) -> None:
        if self._stopped:
            return
        if isinstance(error, asyncio.CancelledError):
            # The connection's task was cancelled, not the reader's.
            cause, error = error, ReadError("the task of the connection was cancelled")
            error.__cause__ = cause
        self._mailbox.failed(error)


async def _in_loop(
    loop: asyncio.AbstractEventLoop | None, function: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Awaits a coroutine in its own loop, if that is running in another thread."""
    if loop is None or loop is asyncio.get_running_loop() or not loop.is_running():
        await function()
    else:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(function(), loop))
