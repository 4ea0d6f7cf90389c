"""sse-starlette, under uvicorn, and under hypercorn with HTTP/2."""

import asyncio
import json

import feed
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route


async def events(last_id: str | None):
    number = feed.first(last_id)
    while True:
        while feed.newest() < number:
            await asyncio.sleep(0.05)
        yield ServerSentEvent(id=str(number), data=json.dumps({"tick": number}), retry=1000)
        number += 1


async def stream(request: Request) -> EventSourceResponse:
    return EventSourceResponse(events(request.headers.get("last-event-id")))


app = Starlette(routes=[Route("/feed", stream)])
