"""Hands one event stream on to a browser, which can resume it.

``UPSTREAM=https://... uvicorn --factory proxy:app`` serves it at ``/events``. Each browser has an
upstream connection of its own, with its ``Last-Event-ID``; the upstream's faults are mended here,
so that the browser's connection stays.
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
    """What a browser is sent of it: events and, as signs of life, comments."""
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
        # Before the response begins, so that it can still be an error.
        while not isinstance(await anext(actions), Start):
            pass
    except SSEError as error:
        await client.close()
        # A browser doesn't come back after a 204.
        gone = isinstance(error, HTTPStatusError) and error.status == 204
        return Response(status_code=204 if gone else 502)

    async def body() -> AsyncIterator[str]:
        # Also when the browser goes: then this is cancelled.
        async with client:
            try:
                async for action in actions:
                    yield encoded(action)
            except SSEError:
                return  # the browser comes back, and is told then

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(body(), media_type="text/event-stream", headers=headers)


def app() -> Starlette:
    return Starlette(routes=[Route("/events", events)])
