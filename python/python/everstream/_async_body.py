"""Reads the body of an error response, in asyncio."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from ._native import Exchange
from .errors import SSEError


async def read_error(chunks: AsyncGenerator[bytes, None], exchange: Exchange) -> None:
    """Reads the body of an error response, up to its limits of time and size. Ignores errors."""

    async def read() -> None:
        async with contextlib.aclosing(chunks):
            async for chunk in chunks:
                exchange.handle_body(chunk)
                if exchange.error_body_time is None:
                    return

    seconds = exchange.error_body_time
    if seconds is not None:
        with contextlib.suppress(SSEError, asyncio.TimeoutError):
            await asyncio.wait_for(read(), seconds)
