"""One stream that a client follows for the harness."""

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
    """What the harness wants of a client. Times are in seconds."""

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
            "error_strategy": ErrorStrategy.from_lambda(go_on),
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


def go_on(error: Exception | None) -> tuple[bool, None]:
    """A harness breaks connections in every way and wants to see what comes after; only 204 is a
    server's word that it wants no more of this client."""
    over = isinstance(error, HTTPStatusError) and error.status == 204
    return (ErrorStrategy.FAIL if over else ErrorStrategy.CONTINUE), None


class Finished(Exception):
    """Nobody follows the stream any more."""


class Control:
    """What is asked of a stream from outside: a restart, or its end.

    A restart is an interruption without the wait after it, so that the client that is put to the
    test reconnects by itself. A wait that is under way already isn't ended by an interruption; only
    then the client is replaced by one that goes on where it was.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.client: Any = None
        #: Asked for, and not yet seen to happen.
        self.restarting = False
        self.closed = False
        self.finished = False

    def attach(self, client: Any) -> bool:
        """This client follows the stream from now on. False: it isn't to be followed any more."""
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
        """A connection is over: whether a restart was asked for. It has happened then."""
        with self.lock:
            asked, self.restarting = self.restarting, False
            return asked

    def close(self) -> None:
        with self.lock:
            self.closed = True
            client = self.client
        client.close()


class Delay(RetryDelayStrategy):
    """The library's back-off, but none before a restart."""

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
    """A stream that ``SSEClient`` follows, in a thread of its own, until it is closed."""

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
        # Who closed the stream expects no callback any more.
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
        """Returns the one that takes its place."""
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
            # A request that isn't safe is repeated only where the user says so.
            again = True

    def _is_to_be_replaced(self, client: Any, action: Action) -> bool:
        # Nothing is left in a client that has told of the end of its connection.
        over = isinstance(action, Fault) and self._control.take_restart()
        return over and client.next_retry_delay > 0

    def _successor(self, client: Any) -> Any:
        fresh = self._client(client.last_event_id)
        return fresh if self._control.attach(fresh) else None

    def _is_final(self, error: Exception) -> bool:
        """Tells of it, too."""
        if self._control.closed:
            return True
        self._callbacks.tell({"kind": "error", "error": str(error)})
        return go_on(error)[0] is ErrorStrategy.FAIL

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
    """Can be stopped by a thread that has no event loop."""

    def interrupt(self) -> None:  # type: ignore[override]
        asyncio.run(super().interrupt())

    def close(self) -> None:  # type: ignore[override]
        asyncio.run(super().close())


class AsyncStream(Stream):
    """The same with ``AsyncSSEClient``, in an event loop of its own."""

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


FACES: dict[str, Callable[[Settings, Callbacks], Stream]] = {
    "python": Stream,
    "python-async": AsyncStream,
}
"""The clients that can be put to the test."""
