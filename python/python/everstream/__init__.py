"""A client for Server-Sent Events (``EventSource``): it parses exactly as the WHATWG HTML standard
says, reconnects politely, resumes where it left off, and tells what happened.

Follow a stream::

    from everstream import SSEClient

    with SSEClient("https://example.com/feed") as client:
        for event in client.events:
            print(event.event, event.id, event.data)

By default an error is raised and the loop ends when the server ends the stream. A feed that lasts
wants ``SSEClient(url, error_strategy=ErrorStrategy.reconnect())``, which goes on as a browser does.

- :class:`SSEClient` blocks; :class:`AsyncSSEClient` is for asyncio
- :mod:`everstream.config`: headers, timeouts, when to reconnect and after what delay
- :mod:`everstream.actions`: what ``client.all`` yields
- :mod:`everstream.errors`: what is raised
- :mod:`everstream.testing`: a scriptable server for tests, and a fixture of pytest
- :mod:`everstream.compat`: in place of ``ld_eventsource``
"""

from ._client import SSEClient
from ._headers import Headers
from ._native import __version__
from .async_client import AsyncSSEClient

__all__ = ["AsyncSSEClient", "Headers", "SSEClient", "__version__"]
