"""What a request was answered with."""

from __future__ import annotations

from typing import Any, Literal

from .._native import Exchange


def handle_head(response: Any, exchange: Exchange) -> Literal["follow", "stream", "error"]:
    """Shows the exchange the head of a response."""
    # "HTTP/1.1" or "HTTP/2"
    major, _, minor = response.http_version.rpartition("/")[2].partition(".")
    version = (int(major), int(minor or 0)) if major.isdigit() else None
    return exchange.handle_head(response.status_code, response.headers.raw, version)


class LastHead:
    """The head of the last response, as httpx tells of it while it makes a request."""

    def __init__(self) -> None:
        self._seen: tuple[Any, ...] = ()

    def see(self, event: str, info: dict[str, Any]) -> None:
        """To be called with all that httpx tells of."""
        if event.endswith("receive_response_headers.complete"):
            self._seen = info["return_value"]

    def error(self, library: Any, error: Exception, exchange: Exchange) -> Exception | None:
        """The exception for a redirect to what is no URL: httpx 0.28 looks at it all the same,
        closes the response and raises this error. ``None``, if the exchange would follow it.
        """
        is_meant = isinstance(error, UnicodeError) or (
            isinstance(error, library.RemoteProtocolError) and "location header" in str(error)
        )
        if not is_meant or not self._seen:
            return None
        # Of HTTP/1.1: the version, the status, the reason, the headers. Of HTTP/2: status, headers.
        status = next(part for part in self._seen if isinstance(part, int))
        is_error = exchange.handle_head(status, self._seen[-1]) == "error"
        return exchange.error() if is_error else None


def body_of(response: Any, exchange: Exchange) -> tuple[bytes | None, str | None]:
    """The body, if a hook of the client has read it, and the coding of what is to be read."""
    if response.is_stream_consumed or response.is_closed:
        try:
            # httpx has decoded it.
            return response.content, None
        except RuntimeError:
            # A hook has closed it.
            return b"", None
    return None, exchange.coding


def refused_by_hook(library: Any, error: Exception, request: Any) -> Any:
    """The response to this request, if a hook of the client has raised the error for it."""
    if isinstance(error, library.HTTPStatusError) and error.request.url == request.url:
        return error.response
    return None
