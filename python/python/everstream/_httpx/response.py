"""What a request was answered with."""

from __future__ import annotations

from typing import Any, Literal

from .._native import Exchange


def handle_head(response: Any, exchange: Exchange) -> Literal["follow", "stream", "error"]:
    """Shows the exchange the head of a response."""
    return exchange.handle_head(response.status_code, response.headers.raw)


def body_of(response: Any, exchange: Exchange) -> tuple[bytes | None, str | None]:
    """The body, if a hook of the client has read it, and the coding of what is to be read."""
    if response.is_stream_consumed or response.is_closed:
        try:
            # httpx has decoded it.
            return response.content, None
        except Exception:
            return b"", None
    return None, exchange.coding


def refused_by_hook(library: Any, error: Exception, request: Any) -> Any:
    """The response to this request, if a hook of the client has raised the error for it."""
    if isinstance(error, library.HTTPStatusError) and error.request.url == request.url:
        return error.response
    return None
