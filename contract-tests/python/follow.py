"""Follows one stream with a client of the Python package, for the service in ``../src``.

``follow.py CLIENT`` reads the harness's request from the first line of standard input; each further
line is a restart, and the end closes the client. The first line that it writes is ``ready``, or why the
settings are rejected; each further one is a report, in the format of the harness.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from typing import Any

# Connects to the harness's servers directly, whatever the environment says.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"

from everstream import AsyncSSEClient, SSEClient
from everstream.actions import Action, Comment, Event, Fault
from everstream.config import ConnectStrategy, ErrorStrategy, RetryDelayStrategy
from everstream.config.async_connect_strategy import AsyncConnectStrategy
from everstream.errors import HTTPStatusError


def seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def continue_unless_no_content(error: Exception | None) -> tuple[bool, None]:
    """Always continues, because the harness breaks connections in every way and tests what follows.
    Only with a 204 does a server ask the client to stop."""
    is_final = isinstance(error, HTTPStatusError) and error.status == 204
    return (ErrorStrategy.FAIL if is_final else ErrorStrategy.CONTINUE), None


def report(message: dict[str, Any]) -> None:
    """Blocks while the service has many reports to send."""
    try:
        print(json.dumps(message), flush=True)
    except OSError:
        # The service expects no more reports.
        os._exit(0)


class Delay(RetryDelayStrategy):
    """The default backoff, except that there is no delay before a restart."""

    def __init__(self, stream: Stream, backoff: RetryDelayStrategy | None = None) -> None:
        self._stream = stream
        self._backoff = backoff or RetryDelayStrategy.default()

    def apply(self, base_delay: float) -> tuple[float, RetryDelayStrategy]:
        with self._stream.lock:
            if self._stream.restarting:
                return 0, self
        delay, following = self._backoff.apply(base_delay)
        return delay, Delay(self._stream, following)


class Stream:
    """A stream that ``SSEClient`` follows.

    A restart interrupts the client and skips the following delay, so that the client under test
    reconnects by itself. An interrupt doesn't shorten a delay that has already begun; only in that
    case the client is replaced by a new one that resumes the stream.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request
        self.lock = threading.RLock()
        #: A restart was requested and hasn't happened yet.
        self.restarting = False
        self._closed = False
        self._client = self._new_client(request["lastEventId"])

    def obey(self) -> None:
        """Follows the service's commands."""
        for _ in sys.stdin:
            with self.lock:
                self.restarting = True
                # Under the lock: the delay strategy must see both or neither.
                self._client.interrupt()
        with self.lock:
            self._closed = True
            client = self._client
        client.close()

    def follow(self) -> None:
        while self._follow_client():
            fresh = self._new_client(self._client.last_event_id)
            with self.lock:
                if self._closed:
                    return
                self._client = fresh

    def _http(self) -> dict[str, Any]:
        return {
            "url": self._request["streamUrl"],
            "headers": self._request["headers"] or {},
            "method": self._request["method"] or "GET",
            "body": self._request["body"],
            "read_timeout": seconds(self._request["readTimeoutMs"]),
        }

    def _options(self, last_event_id: str | None) -> dict[str, Any]:
        delay = seconds(self._request["initialDelayMs"])
        return {
            "initial_retry_delay": 1 if delay is None else delay,
            "retry_delay_strategy": Delay(self),
            "error_strategy": ErrorStrategy.from_lambda(continue_unless_no_content),
            "last_event_id": last_event_id,
        }

    def _new_client(self, last_event_id: str | None) -> Any:
        return SSEClient(ConnectStrategy.http(**self._http()), **self._options(last_event_id))

    def _follow_client(self) -> bool:
        """Whether the client has to be replaced; otherwise the stream has ended."""
        again = False
        while True:
            try:
                if again:
                    self._client.start()
                for action in self._client.all:
                    if self._tell(action):
                        return True
            except Exception as error:
                if self._is_final(error):
                    return False
            if self._closed:
                return False
            # An unsafe request is repeated only after an explicit `start`.
            again = True

    def _is_final(self, error: Exception) -> bool:
        """Also reports the error."""
        if self._closed:
            return True
        report({"kind": "error", "error": str(error)})
        return continue_unless_no_content(error)[0] is ErrorStrategy.FAIL

    def _tell(self, action: Action) -> bool:
        """Reports an action. Returns whether the client has to be replaced."""
        if isinstance(action, Event):
            fields = {"type": action.event, "data": action.data, "id": action.last_event_id or ""}
            report({"kind": "event", "event": fields})
        elif isinstance(action, Comment):
            report({"kind": "comment", "comment": action.comment})
        elif isinstance(action, Fault):
            if action.error is not None:
                report({"kind": "error", "error": str(action.error)})
            # A client that has reported the end of its connection has no undelivered events.
            with self.lock:
                restart, self.restarting = self.restarting, False
            return restart and self._client.next_retry_delay > 0
        return False


class Stopped(AsyncSSEClient):
    """Can be stopped from a thread without an event loop."""

    def interrupt(self) -> None:  # type: ignore[override]
        asyncio.run(super().interrupt())

    def close(self) -> None:  # type: ignore[override]
        asyncio.run(super().close())


class AsyncStream(Stream):
    """The same with ``AsyncSSEClient``, in an event loop."""

    def _new_client(self, last_event_id: str | None) -> Any:
        return Stopped(AsyncConnectStrategy.http(**self._http()), **self._options(last_event_id))

    def _follow_client(self) -> bool:
        return asyncio.run(self._follow_in_loop())

    async def _follow_in_loop(self) -> bool:
        again = False
        while True:
            try:
                if again:
                    await self._client.start()
                async for action in self._client.all:
                    if self._tell(action):
                        return True
            except Exception as error:
                if self._is_final(error):
                    return False
            if self._closed:
                return False
            again = True


CLIENTS = {"python": Stream, "python-async": AsyncStream}


def main() -> None:
    try:
        stream = CLIENTS[sys.argv[1]](json.loads(sys.stdin.readline()))
    except ValueError as error:
        print(str(error).replace("\n", " "))
        return
    print("ready", flush=True)
    threading.Thread(target=stream.obey, daemon=True).start()
    stream.follow()
    # Doesn't wait for the thread, which is reading.
    os._exit(0)


if __name__ == "__main__":
    main()
