"""A client for Server-Sent Events (``EventSource``) that doesn't lose events. It parses streams as
the WHATWG HTML standard says, reconnects with backoff, and resumes after the last event id.

Read a stream::

    from everstream import SSEClient

    with SSEClient("https://example.com/feed") as client:
        for event in client:
            print(event.event, event.id, event.data)

**It doesn't reconnect by default**: errors are raised, and the loop ends when the server ends the
stream. For a long-lived feed, use ``SSEClient(url, error_strategy=ErrorStrategy.reconnect())``,
which reconnects like a browser, or ``reconnect(TRANSIENT_STATUSES)`` to retry a 503 or 429 too.

- :class:`SSEClient` blocks; :class:`AsyncSSEClient` is for asyncio
- :mod:`everstream.config`: headers, timeouts, when to reconnect and after what delay
- :mod:`everstream.actions`: what ``client.all`` yields
- :mod:`everstream.errors`: what is raised
- :mod:`everstream.testing`: a scriptable server for tests, and a pytest fixture
- :mod:`everstream.compat`: replaces ``ld_eventsource``
"""

from ._headers import Headers
from ._native import __version__
from .async_client import AsyncSSEClient
from .config import TRANSIENT_STATUSES, ConnectStrategy, ErrorStrategy, RetryDelayStrategy
from .sse_client import SSEClient

__all__ = [
    "TRANSIENT_STATUSES",
    "AsyncSSEClient",
    "ConnectStrategy",
    "ErrorStrategy",
    "Headers",
    "RetryDelayStrategy",
    "SSEClient",
    "__version__",
]
