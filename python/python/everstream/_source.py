"""What drives connections that Python code makes in an event loop."""

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
    """Makes the connections of one client, each in a task of its own."""

    def __init__(self, client: AsyncConnectionClient) -> None:
        self._client = client
        self._links: set[Link] = set()
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.name = type(client).__name__
        self.repeatable: bool = getattr(client, "is_repeatable", True)
        self.can_resume_with_get: bool = getattr(client, "can_resume_with_get", False)

    def open(
        self, last_event_id: str | None, mailbox: _native.Mailbox, resume_with_get: bool
    ) -> Link:
        """Begins an attempt, in the loop that runs."""
        link = Link(self._client, last_event_id, mailbox, resume_with_get)
        self._loop = link.loop
        self._links.add(link)
        link.task.add_done_callback(lambda _: self._links.discard(link))
        return link

    async def interrupt(self) -> None:
        """Stops what is open, and waits until it is closed. Then the client is interrupted."""
        try:
            await self._stop()
        finally:
            # A client that was written for the original has no such method.
            interrupt = getattr(self._client, "interrupt", None)
            if interrupt is not None:
                await _in_loop(self._loop, interrupt)

    async def _stop(self) -> None:
        links = list(self._links)
        for link in links:
            link.stop()
        for link in links:
            # A loop that stands still leaves it as it is.
            if link.task is not asyncio.current_task() and link.loop.is_running():
                await _in_loop(link.loop, link.closed)

    async def close(self) -> None:
        """Stops what is open, and closes the client."""
        try:
            await self._stop()
        finally:
            if not self._closed:
                self._closed = True
                await _in_loop(self._loop, self._client.close)


class Link:
    """One connection, or an attempt at one. All of its code runs in one task, in turn."""

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
        self._wanted = self.loop.create_future()
        self._stopped = False
        self.task = self.loop.create_task(self._run(client, last_event_id))
        # A loop may be closed without further ado: nothing is lost then.
        self.task._log_destroy_pending = False  # type: ignore[attr-defined]

    def want(self) -> None:
        """The engine asks for the next thing."""
        if asyncio.get_running_loop() is not self.loop:
            if not self.loop.is_closed():
                raise RuntimeError(
                    "the connection was made in another event loop, which isn't closed: "
                    "read the client there, or interrupt() it first"
                )
            self._mailbox.failed(ReadError("the connection's event loop is closed"))
        elif not self._wanted.done():
            self._wanted.set_result(None)

    def stop(self) -> None:
        """Cancels what is under way. From any thread."""
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
            with contextlib.suppress(RuntimeError):  # it was closed just now
                self.loop.call_soon_threadsafe(self.task.cancel)

    async def closed(self) -> None:
        """Waits for the end. Raises what closing raised."""
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
            # The loop is gone, and nothing can be awaited any more; or else the stream raised it,
            # which must not leave the reader without an answer.
            if self.loop.is_running():
                self._fail(error)
            return
        except BaseException as error:
            failure = error
        if result._closed and isinstance(failure, Exception):
            # The program closed it: this is how the stream says so.
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
            await self._next_want()
            if is_direct:
                # The engine has read it to its end.
                return
            async for chunk in chunks:
                self._mailbox.chunk(chunk)
                await self._next_want()
        except GeneratorExit:
            raise
        except BaseException:
            # Here, rather than whenever it is collected.
            if isinstance(chunks, AsyncGeneratorType):
                await chunks.aclose()
            raise

    async def _next_want(self) -> None:
        """Waits until the next thing is asked for. What was put before fulfilled the last wish."""
        self._wanted = self.loop.create_future()
        await self._wanted

    def _fail(self, error: BaseException) -> None:
        if self._stopped:
            return
        if isinstance(error, asyncio.CancelledError):
            # Not the reader's task: that of the connection.
            cause, error = error, ReadError("the task of the connection was cancelled")
            error.__cause__ = cause
        self._mailbox.failed(error)


async def _in_loop(
    loop: asyncio.AbstractEventLoop | None, function: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Awaits it in the loop that it belongs to, while that runs in another thread."""
    if loop is None or loop is asyncio.get_running_loop() or not loop.is_running():
        await function()
    else:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(function(), loop))
