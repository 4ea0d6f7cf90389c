"""Forwards an event stream to browsers, which can resume it.

``UPSTREAM=https://... uvicorn --factory proxy:app`` serves it at ``/events``. Each browser gets its
own upstream connection with its ``Last-Event-ID``. If the upstream disconnects, the proxy
reconnects, and the browser's connection stays open.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from everstream import AsyncSSEClient
from everstream.actions import Action, Comment, Event, Start
from everstream.config import ErrorStrategy
from everstream.errors import HTTPStatusError, SSEError


def encoded(action: Action) -> str:
    """What to send to the browser: events, and comments to keep the connection alive."""
    if isinstance(action, Comment):
        return f":{action.comment}\n"
    if not isinstance(action, Event):
        return ""
    lines = [f"data: {line}" for line in action.data.split("\n")]
    if action.id is not None:
        lines.insert(0, f"id: {action.id}")
    if action.event != "message":
        lines.insert(0, f"event: {action.event}")
    return "\n".join(lines) + "\n\n"


async def events(request: Request) -> Response:
    client = AsyncSSEClient(
        os.environ["UPSTREAM"],
        error_strategy=ErrorStrategy.reconnect([503]),
        last_event_id=request.headers.get("last-event-id"),
    )
    actions = client.all
    try:
        # Connect before the response begins, so that it can still be an error.
        while not isinstance(await anext(actions), Start):
            pass
    except SSEError as error:
        await client.close()
        # A browser doesn't reconnect after a 204.
        is_final = isinstance(error, HTTPStatusError) and error.status == 204
        return Response(status_code=204 if is_final else 502)

    async def body() -> AsyncIterator[str]:
        # Also closes the client if the browser disconnects, which cancels this coroutine.
        async with client:
            try:
                async for action in actions:
                    yield encoded(action)
            except SSEError:
                return  # the browser reconnects, and gets the error then

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(body(), media_type="text/event-stream", headers=headers)


def app() -> Starlette:
    return Starlette(routes=[Route("/events", events)])
