"""Interprets the responses of httpx."""

from __future__ import annotations

from typing import Any, Literal

from .._native import Exchange


def handle_head(response: Any, exchange: Exchange) -> Literal["follow", "stream", "error"]:
    """Passes the head of a response to the exchange."""
    # "HTTP/1.1" or "HTTP/2"
    major, _, minor = response.http_version.rpartition("/")[2].partition(".")
    version = (int(major), int(minor or 0)) if major.isdigit() else None
    return exchange.handle_head(response.status_code, response.headers.raw, version)


class LastHead:
    """The head of the last response, from httpx's trace events."""

    def __init__(self) -> None:
        self._seen: tuple[Any, ...] = ()

    def see(self, event: str, info: dict[str, Any]) -> None:
        """Must be called with every trace event."""
        if event.endswith("receive_response_headers.complete"):
            self._seen = info["return_value"]

    def error(self, library: Any, error: Exception, exchange: Exchange) -> Exception | None:
        """The exception for a redirect to an invalid URL. httpx 0.28 parses it even if it doesn't
        follow redirects, and raises ``error``. ``None`` if that isn't the reason for ``error``.
        """
        is_meant = isinstance(error, UnicodeError) or (
            isinstance(error, library.RemoteProtocolError) and "location header" in str(error)
        )
        if not is_meant or not self._seen:
            return None
        # For HTTP/1.1: version, status, reason, headers. For HTTP/2: status, headers.
        status = next(part for part in self._seen if isinstance(part, int))
        is_error = exchange.handle_head(status, self._seen[-1]) == "error"
        return exchange.error() if is_error else None


def body_of(response: Any, exchange: Exchange) -> tuple[bytes | None, str | None]:
    """The body, if a hook of the client has read it, and the content coding of an unread body."""
    if response.is_stream_consumed or response.is_closed:
        try:
            # Already decoded by httpx.
            return response.content, None
        except RuntimeError:
            # A hook closed the response.
            return b"", None
    return None, exchange.coding


def refused_by_hook(library: Any, error: Exception, request: Any) -> Any:
    """The response, if a hook of the client raised the error because of it."""
    if isinstance(error, library.HTTPStatusError) and error.request.url == request.url:
        return error.response
    return None
