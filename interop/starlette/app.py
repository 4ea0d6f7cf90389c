"""Event streams of sse-starlette for `cargo xtask interop`.

Every stream is a function of its URL and of Last-Event-ID alone, so that the one who
follows it knows exactly what it must see, also after this process was killed.

    /feed?count=20&every=4&ending=clean   hangs up after every 4 events
    /feed?count=20&every=4&ending=torn    the same, without the end of the HTTP body
    /feed?count=40&pace=0.1               one event each 0.1 s, never hangs up
    /busy?count=5&refusals=2&after=2      first 503 with Retry-After: 2, twice
    /requests                             what was asked so far, as JSON

A feed that has given all its events stays open and sends only pings.
"""

import asyncio
import time

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

PING_SECONDS = 1
# Short, because a server that hangs up this often makes a client wait longer each time.
RETRY_MILLISECONDS = 100

requests = []
refused = {}


def record(request: Request) -> None:
    requests.append(
        {
            "path": request.url.path,
            "query": request.url.query,
            "last_event_id": request.headers.get("last-event-id"),
            "at": time.monotonic(),
        }
    )


def event(number: int) -> ServerSentEvent:
    # Two lines, and characters of two, three and four bytes.
    return ServerSentEvent(
        id=str(number),
        event="odd" if number % 2 else "even",
        data=f"event {number}\n§ ✓ 𝄞",
        retry=RETRY_MILLISECONDS,
    )


async def events(start: int, count: int, every: int, ending: str, pace: float):
    for number in range(start, count + 1):
        yield event(number)
        if every and number - start + 1 == every and number < count:
            # What was yielded last is not on the wire yet.
            await asyncio.sleep(0.05)
            if ending == "torn":
                raise ConnectionAbortedError("torn on purpose")
            return
        await asyncio.sleep(pace)
    while True:
        await asyncio.sleep(3600)


def stream(request: Request) -> Response:
    query = request.query_params
    try:
        start = int(request.headers.get("last-event-id") or 0) + 1
        body = events(
            start,
            count=int(query.get("count", 20)),
            every=int(query.get("every", 0)),
            ending=query.get("ending", "clean"),
            pace=float(query.get("pace", 0)),
        )
    except ValueError as error:
        return PlainTextResponse(f"{error}\n", status_code=400)
    return EventSourceResponse(body, ping=PING_SECONDS)


async def feed(request: Request) -> Response:
    record(request)
    return stream(request)


async def busy(request: Request) -> Response:
    record(request)
    key = request.url.query
    query = request.query_params
    if refused.setdefault(key, 0) < int(query.get("refusals", 1)):
        refused[key] += 1
        return PlainTextResponse(
            "busy\n", status_code=503, headers={"Retry-After": query.get("after", "2")}
        )
    return stream(request)


async def asked(_: Request) -> Response:
    return JSONResponse(requests)


app = Starlette(
    routes=[
        Route("/feed", feed),
        Route("/busy", busy),
        Route("/requests", asked),
    ]
)
