"""A server of the Model Context Protocol for `cargo xtask interop`, with the SDK of PyPI.

Its tool `work` closes the stream of its answer after every second step, as the SDK offers it for long
work. What it sends while nobody reads is in the event store, from which a client that resumes gets it.
"""

import asyncio

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.streamable_http import EventMessage, EventStore

RETRY_MILLISECONDS = 100

server = MCPServer("interop")
runs = 0


class Store(EventStore):
    """In memory. The id of an event is its place in the order of all events, from 1."""

    def __init__(self) -> None:
        self._events = []

    async def store_event(self, stream_id, message):
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(self, last_event_id, send_callback):
        last = int(last_event_id)
        if not 1 <= last <= len(self._events):
            return None
        stream_id = self._events[last - 1][0]
        for place, (stream, message) in enumerate(self._events[last:], last + 1):
            if stream == stream_id and message is not None:
                await send_callback(EventMessage(message, str(place)))
        return stream_id


@server.tool()
async def work(steps: int, ctx: Context) -> str:
    """Takes a while, and counts how often it was begun."""
    global runs
    runs += 1
    for step in range(1, steps + 1):
        await ctx.report_progress(step, steps)
        if step % 2 == 0:
            await asyncio.sleep(0.1)  # until what was sent is out
            await ctx.close_sse_stream()
        await asyncio.sleep(0.2)
    return f"run {runs}"


app = server.streamable_http_app(event_store=Store(), retry_interval=RETRY_MILLISECONDS)
