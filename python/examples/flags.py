"""Keeps feature flags in sync with a server: ``python flags.py URL``.

The stream has three types of events: ``put`` has all flags, ``patch`` one new or changed flag, and
``delete`` the key of a removed flag::

    event: patch
    data: {"key": "dark-mode", "value": true}
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from everstream import SSEClient
from everstream.actions import Event, Fault
from everstream.config import ErrorStrategy


class Flags:
    """The current flags. Call ``run`` in its own thread, and the other methods from any thread."""

    def __init__(self, url: str) -> None:
        # A server that is restarting responds with 503; other error statuses are raised.
        self._client = SSEClient(url, error_strategy=ErrorStrategy.reconnect([503]))
        self._flags: dict[str, Any] = {}
        self._ready = threading.Event()

    def get(self, key: str, default: Any = None) -> Any:
        # Needs no lock: updates replace the dictionary or set a single entry.
        return self._flags.get(key, default)

    def wait(self, timeout: float) -> bool:
        """Waits for the first flags. Returns whether they have arrived."""
        return self._ready.wait(timeout)

    def run(self) -> None:
        """Reads the stream until ``close``, or until an error that retrying can't fix."""
        for action in self._client.all:
            if isinstance(action, Event):
                self._apply(action)
            elif isinstance(action, Fault):
                # The flags received so far stay available.
                print("disconnected:", action.error or "the stream ended", file=sys.stderr)

    def close(self) -> None:
        self._client.close()

    def _apply(self, event: Event) -> None:
        change = event.json()
        if event.event == "put":
            self._flags = change
            self._ready.set()
        elif event.event == "patch":
            self._flags[change["key"]] = change["value"]
        elif event.event == "delete":
            self._flags.pop(change["key"], None)
        print(event.event, dict(sorted(self._flags.items())), flush=True)


if __name__ == "__main__":
    flags = Flags(sys.argv[1])
    try:
        flags.run()
    except KeyboardInterrupt:
        flags.close()
