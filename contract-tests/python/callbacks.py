"""Reports to the harness what a client receives."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import socket
import sys
import threading
from typing import Any
from urllib.parse import urlsplit

# How many reports may be queued.
QUEUE_SIZE = 16
# How long the harness may take to respond, in seconds.
CALLBACK_TIMEOUT = 60


class Callbacks:
    """Posts reports, one after another, in its own thread.

    A failed callback isn't repeated, because the harness may have received it and must not see
    anything twice. Its number isn't reused, so the harness notices the gap.
    """

    def __init__(self, url: str, tag: str) -> None:
        self._url = urlsplit(url.rstrip("/"))
        self._tag = tag
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue(QUEUE_SIZE)
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._stopped = False
        threading.Thread(target=self._report, daemon=True).start()

    def tell(self, message: dict[str, Any] | None) -> None:
        """Queues a report; blocks while the queue is full. ``None`` ends the reports."""
        self._messages.put(message)

    def stop(self) -> None:
        """The harness expects no more callbacks."""
        with self._lock:
            self._stopped = True
            if self._socket is not None:
                # The harness may already have closed it.
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _report(self) -> None:
        number = 0
        # Drains the queue even when stopped, so that `tell` never blocks forever.
        while (message := self._messages.get()) is not None:
            number += 1
            if self._stopped:
                continue
            try:
                self._post(number, message)
            except (OSError, http.client.HTTPException) as error:
                if not self._stopped:
                    print(f"{self._tag}: callback {number} failed: {error}", file=sys.stderr)

    def _post(self, number: int, message: dict[str, Any]) -> None:
        secure = self._url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self._url.hostname or "", self._url.port, timeout=CALLBACK_TIMEOUT)
        try:
            connection.connect()
            with self._lock:
                if self._stopped:
                    return
                self._socket = connection.sock
            target = f"{self._url.path}/{number}"
            body = json.dumps(message).encode()
            headers = {"Content-Type": "application/json", "Connection": "close"}
            connection.request("POST", target, body, headers)
            response = connection.getresponse()
            response.read()
            if response.status >= 300:
                raise http.client.HTTPException(f"the harness answered {response.status}")
        finally:
            with self._lock:
                self._socket = None
            connection.close()
