"""How a coroutine waits for the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

from . import _native


class Polled(Protocol):
    """An object of the engine that allows one wait at a time."""

    def begin(self) -> None: ...
    def end(self) -> None: ...


#: The current waits, by the id of the object: the wake and the event loop.
_waits: Final[dict[int, tuple[object, asyncio.AbstractEventLoop]]] = {}


def end_abandoned_wait(polled: Polled) -> bool:
    """Ends a wait whose event loop has been closed. ``False``: there is none."""
    _, loop = _waits.get(id(polled), (None, None))
    if loop is None or not loop.is_closed():
        return False
    del _waits[id(polled)]
    polled.end()
    return True


async def wait(polled: Polled, poll: Callable[..., Any], *arguments: Any) -> Any:
    """Polls until there is a result."""
    loop = asyncio.get_running_loop()
    wake = _native.Wake(loop, _release)
    end_abandoned_wait(polled)
    polled.begin()
    _waits[id(polled)] = wake, loop
    try:
        while True:
            future = loop.create_future()
            wake.arm(future)
            result = poll(wake, *arguments)
            if result is None:
                await future
            elif result is False:
                await asyncio.sleep(0)
            else:
                return result
    finally:
        wake.disarm()
        # Unless this wait was ended as abandoned: then another one may be registered by now.
        if _waits.get(id(polled), (None,))[0] is wake:
            del _waits[id(polled)]
            polled.end()


def _release(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
