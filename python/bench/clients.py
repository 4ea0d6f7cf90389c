"""One measurement, in its own process: ``clients.py rate|latency CLIENT URL COUNT``.

``{}`` in the URL is the number of events.

Each client is a function that reads so many events, and imports what it needs before it returns the
function that does so.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from itertools import islice

Read = Callable[[str, int], None]


def everstream() -> Read:
    from everstream import SSEClient

    def read(url: str, count: int) -> None:
        with SSEClient(url) as client:
            for event in islice(client.events, count):
                event.data  # noqa: B018

    return read


def everstream_async() -> Read:
    from everstream import AsyncSSEClient

    async def read(url: str, count: int) -> None:
        async with AsyncSSEClient(url) as client:
            async for event in client.events:
                event.data  # noqa: B018
                count -= 1
                if not count:
                    return

    return lambda url, count: asyncio.run(read(url, count))


def launchdarkly() -> Read:
    from ld_eventsource import SSEClient

    def read(url: str, count: int) -> None:
        client = SSEClient(url)
        for event in islice(client.events, count):
            event.data  # noqa: B018
        client.close()

    return read


def launchdarkly_async() -> Read:
    from ld_eventsource.async_client import AsyncSSEClient

    async def read(url: str, count: int) -> None:
        async with AsyncSSEClient(url) as client:
            async for event in client.events:
                event.data  # noqa: B018
                count -= 1
                if not count:
                    return

    return lambda url, count: asyncio.run(read(url, count))


def httpx_sse() -> Read:
    import httpx
    from httpx_sse import connect_sse

    def read(url: str, count: int) -> None:
        with httpx.Client() as client, connect_sse(client, "GET", url) as source:
            for event in islice(source.iter_sse(), count):
                event.data  # noqa: B018

    return read


def httpx2() -> Read:
    import httpx2

    def read(url: str, count: int) -> None:
        with httpx2.Client() as client, client.sse(url) as source:
            for event in islice(source, count):
                event.data  # noqa: B018

    return read


def sseclient_py() -> Read:
    import requests
    import sseclient

    def read(url: str, count: int) -> None:
        with requests.get(url, stream=True, timeout=60) as response:
            # Chunks as they arrive: iterating over the response would read 128 bytes at a time.
            client = sseclient.SSEClient(response.iter_content(None))
            for event in islice(client.events(), count):
                event.data  # noqa: B018

    return read


def requests_sse() -> Read:
    from requests_sse import EventSource

    def read(url: str, count: int) -> None:
        with EventSource(url, timeout=60) as source:
            for event in islice(source, count):
                event.data  # noqa: B018

    return read


def http_client() -> Read:
    """The lower bound: reads lines with the standard library, without parsing them."""
    from http.client import HTTPConnection
    from urllib.parse import urlsplit

    def read(url: str, count: int) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        connection = HTTPConnection(parts.hostname, parts.port)
        connection.request("GET", parts.path, headers={"Accept": "text/event-stream"})
        for line in connection.getresponse():
            if line == b"\n":
                count -= 1
                if not count:
                    break
        connection.close()

    return read


CLIENTS: dict[str, Callable[[], Read]] = {
    "everstream": everstream,
    "everstream, async": everstream_async,
    "launchdarkly-eventsource": launchdarkly,
    "launchdarkly-eventsource, async": launchdarkly_async,
    "httpx-sse": httpx_sse,
    "httpx2": httpx2,
    "sseclient-py": sseclient_py,
    "requests-sse": requests_sse,
    "http.client, lines only": http_client,
}


def rate(read: Read, url: str, count: int) -> float:
    """Events per second of CPU time (user and system, all threads)."""
    read(url.format(10), 10)  # one-time initialization
    before = time.process_time()
    read(url.format(count), count)
    return count / (time.process_time() - before)


def latency(read: Read, url: str, count: int) -> list[float]:
    """Seconds from the start of a connection to its first event and its end, sorted."""
    url = url.format(1)
    read(url, 1)
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        read(url, 1)
        taken.append(time.perf_counter() - start)
    return sorted(taken)


if __name__ == "__main__":
    what, name, url, count = sys.argv[1:]
    measure: Callable[[Read, str, int], object] = rate if what == "rate" else latency
    print(json.dumps(measure(CLIENTS[name](), url, int(count))))
