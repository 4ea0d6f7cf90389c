"""Feature flags that are kept in sync with a server: ``python flags.py URL``.

The stream has three types of events. ``put`` holds all flags, ``patch`` one flag that is new or has
changed, ``delete`` the key of one that is gone::

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
    """The newest flags. ``run`` has a thread of its own, the others may be called from any."""

    def __init__(self, url: str) -> None:
        # A 503 is what a server that restarts says; other statuses stay errors.
        self._client = SSEClient(url, error_strategy=ErrorStrategy.reconnect([503]))
        self._flags: dict[str, Any] = {}
        self._ready = threading.Event()

    def get(self, key: str, default: Any = None) -> Any:
        # No lock: a dictionary is replaced, or one entry of it set.
        return self._flags.get(key, default)

    def wait(self, timeout: float) -> bool:
        """Whether the first flags have come."""
        return self._ready.wait(timeout)

    def run(self) -> None:
        """Follows the stream until ``close``, or until an error that waiting doesn't mend."""
        for action in self._client.all:
            if isinstance(action, Event):
                self._apply(action)
            elif isinstance(action, Fault):
                # The flags that are here go on being served.
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
