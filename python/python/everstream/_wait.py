"""How a coroutine waits for the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from . import _native


class Polled(Protocol):
    """What has one wait at a time."""

    def begin(self) -> None: ...
    def end(self) -> None: ...


async def wait(polled: Polled, poll: Callable[..., Any], *arguments: Any) -> Any:
    """Polls until it has come to something."""
    loop = asyncio.get_running_loop()
    wake = _native.Wake(loop, _release)
    polled.begin()
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
        polled.end()


def _release(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
