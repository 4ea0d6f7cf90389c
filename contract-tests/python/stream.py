"""A stream that a client follows for the harness."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from callbacks import Callbacks

from everstream import AsyncSSEClient, SSEClient
from everstream.actions import Action, Comment, Event, Fault
from everstream.config import ConnectStrategy, ErrorStrategy, RetryDelayStrategy
from everstream.config.async_connect_strategy import AsyncConnectStrategy
from everstream.errors import HTTPStatusError


@dataclass(frozen=True)
class Settings:
    """The settings that the harness requests. Times are in seconds."""

    url: str
    initial_delay: float | None
    read_timeout: float | None
    last_event_id: str | None
    headers: dict[str, str]
    method: str | None
    body: str | None

    def client_options(self, control: Control, last_event_id: str | None) -> dict[str, Any]:
        return {
            "initial_retry_delay": 1 if self.initial_delay is None else self.initial_delay,
            "retry_delay_strategy": Delay(control),
            "error_strategy": ErrorStrategy.from_lambda(continue_unless_no_content),
            "last_event_id": last_event_id,
        }

    def http_options(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "headers": self.headers,
            "method": self.method or "GET",
            "body": self.body,
            "read_timeout": self.read_timeout,
        }


def continue_unless_no_content(error: Exception | None) -> tuple[bool, None]:
    """Always continues, because the harness breaks connections in every way and tests what follows.
    Only with a 204 does a server ask the client to stop."""
    is_final = isinstance(error, HTTPStatusError) and error.status == 204
    return (ErrorStrategy.FAIL if is_final else ErrorStrategy.CONTINUE), None


class Finished(Exception):
    """The stream is no longer followed."""


class Control:
    """External control of a stream: restart and close.

    A restart interrupts the client and skips the following delay, so that the client under test
    reconnects by itself. An interrupt doesn't shorten a delay that has already begun; only in that
    case the client is replaced by a new one that resumes the stream.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.client: Any = None
        #: A restart was requested and hasn't happened yet.
        self.restarting = False
        self.closed = False
        self.finished = False

    def attach(self, client: Any) -> bool:
        """Sets the current client. False: the stream was closed."""
        with self.lock:
            if not self.closed:
                self.client = client
            return not self.closed

    def restart(self) -> None:
        with self.lock:
            if self.finished:
                raise Finished
            self.restarting = True
            # Under the lock: the delay strategy must see both or neither.
            self.client.interrupt()

    def take_restart(self) -> bool:
        """A connection has ended. Returns and clears whether a restart was requested."""
        with self.lock:
            asked, self.restarting = self.restarting, False
            return asked

    def close(self) -> None:
        with self.lock:
            self.closed = True
            client = self.client
        client.close()


class Delay(RetryDelayStrategy):
    """The default backoff, except that there is no delay before a restart."""

    def __init__(self, control: Control, backoff: RetryDelayStrategy | None = None) -> None:
        self._control = control
        self._backoff = backoff or RetryDelayStrategy.default()

    def apply(self, base_delay: float) -> tuple[float, RetryDelayStrategy]:
        with self._control.lock:
            if self._control.restarting:
                return 0, self
        delay, following = self._backoff.apply(base_delay)
        return delay, Delay(self._control, following)


class Stream:
    """A stream that ``SSEClient`` follows in its own thread until the stream is closed."""

    def __init__(self, settings: Settings, callbacks: Callbacks) -> None:
        self._settings = settings
        self._callbacks = callbacks
        self._control = Control()
        client = self._client(settings.last_event_id)
        self._control.attach(client)
        threading.Thread(target=self._follow, args=(client,), daemon=True).start()

    def restart(self) -> None:
        self._control.restart()

    def close(self) -> None:
        self._control.close()
        # After the harness has closed the stream, it expects no more callbacks.
        self._callbacks.stop()

    def _client(self, last_event_id: str | None) -> Any:
        return SSEClient(
            ConnectStrategy.http(**self._settings.http_options()),
            **self._settings.client_options(self._control, last_event_id),
        )

    def _follow(self, client: Any) -> None:
        try:
            while client is not None:
                client = self._follow_client(client)
        finally:
            with self._control.lock:
                self._control.finished = True
            self._callbacks.tell(None)

    def _follow_client(self, client: Any) -> Any:
        """Returns the client that replaces this one, if any."""
        again = False
        while True:
            try:
                if again:
                    client.start()
                for action in client.all:
                    self._tell(action)
                    if self._is_to_be_replaced(client, action):
                        return self._successor(client)
            except Exception as error:
                if self._is_final(error):
                    return None
            if self._control.closed:
                return None
            # An unsafe request is repeated only after an explicit `start`.
            again = True

    def _is_to_be_replaced(self, client: Any, action: Action) -> bool:
        # A client that has reported the end of its connection has no undelivered events.
        restart = isinstance(action, Fault) and self._control.take_restart()
        return restart and client.next_retry_delay > 0

    def _successor(self, client: Any) -> Any:
        fresh = self._client(client.last_event_id)
        return fresh if self._control.attach(fresh) else None

    def _is_final(self, error: Exception) -> bool:
        """Also reports the error."""
        if self._control.closed:
            return True
        self._callbacks.tell({"kind": "error", "error": str(error)})
        return continue_unless_no_content(error)[0] is ErrorStrategy.FAIL

    def _tell(self, action: Action) -> None:
        if isinstance(action, Event):
            fields = {
                "type": action.event,
                "data": action.data,
                "id": action.last_event_id or "",
            }
            self._callbacks.tell({"kind": "event", "event": fields})
        elif isinstance(action, Comment):
            self._callbacks.tell({"kind": "comment", "comment": action.comment})
        elif isinstance(action, Fault) and action.error is not None:
            self._callbacks.tell({"kind": "error", "error": str(action.error)})


class Stopped(AsyncSSEClient):
    """Can be stopped from a thread without an event loop."""

    def interrupt(self) -> None:  # type: ignore[override]
        asyncio.run(super().interrupt())

    def close(self) -> None:  # type: ignore[override]
        asyncio.run(super().close())


class AsyncStream(Stream):
    """The same with ``AsyncSSEClient``, in its own event loop."""

    def _client(self, last_event_id: str | None) -> Any:
        return Stopped(
            AsyncConnectStrategy.http(**self._settings.http_options()),
            **self._settings.client_options(self._control, last_event_id),
        )

    def _follow_client(self, client: Any) -> Any:
        return asyncio.run(self._follow_in_loop(client))

    async def _follow_in_loop(self, client: Any) -> Any:
        again = False
        while True:
            try:
                if again:
                    await client.start()
                async for action in client.all:
                    self._tell(action)
                    if self._is_to_be_replaced(client, action):
                        return self._successor(client)
            except Exception as error:
                if self._is_final(error):
                    return None
            if self._control.closed:
                return None
            again = True


CLIENTS: dict[str, Callable[[Settings, Callbacks], Stream]] = {
    "python": Stream,
    "python-async": AsyncStream,
}
"""The clients that can be tested."""
