"""One attempt over urllib3."""

from __future__ import annotations

from typing import Any

import urllib3
from urllib3 import exceptions as u3

from .._disconnect import BAD_HOST, NO_RESPONSE, disconnect, errno, mark_settings
from .._native import Exchange, redact_url
from .._originals import reason_of, refined
from ..config import ConnectionResult
from ..errors import ConnectError
from .body import Body
from .request import Request
from .stoppable_socket import StoppableSocket


class Attempt:
    """One request, with its redirects. The exchange decides what to send and how to handle
    responses.
    """

    def __init__(
        self, request: Request, pool: Any, sock: StoppableSocket, read_timeout: float | None
    ) -> None:
        self._original = request
        self._read_timeout = read_timeout
        self._pool = sock.track(pool)
        self._sock = sock

    def run(self, last_event_id: str | None, *, resume_with_get: bool) -> ConnectionResult:
        exchange = self._original.native.exchange(
            last_event_id,
            resume_with_get=resume_with_get,
            fresh_headers=self._original.http.fresh_headers(),
        )
        while True:
            response = self._request(exchange)
            body = Body(response, self._sock)
            try:
                next_step = exchange.handle_head(
                    response.status, raw_headers(response), divmod(response.version, 10)
                )
                body.decode(exchange.coding)
                if next_step == "stream":
                    headers, status, url, withheld = exchange.start()
                    result = ConnectionResult(
                        body,
                        body.close,
                        headers,
                        status=status,
                        url=url,
                        withheld_headers=withheld,
                    )
                    result._proves_end = exchange.proves_end and body.has_checked_end
                    return result
                if next_step == "error":
                    body.read_error(exchange)
                    raise exchange.error()
            except BaseException:
                body.close()
                raise
            body.close()

    def _request(self, exchange: Exchange) -> Any:
        if self._sock.stopped:
            raise ConnectError("the client was stopped")
        self._sock.request_begun = False
        method, url, headers = exchange.request
        sent = urllib3.HTTPHeaderDict()
        for name, value in headers:
            # http.client encodes the value as Latin-1, which restores the bytes.
            sent.add(name, value.decode("latin-1"))
        try:
            response = self._pool.request(
                method,
                url,
                headers=sent,
                redirect=False,
                # Also disables the pool's retries: the engine decides about them.
                retries=False,
                preload_content=False,
                **self._original.options_for(exchange, self._read_timeout),
            )
            if "timeout" not in self._original.options:
                self._sock.remove_timeout()
            return response
        except u3.HTTPError as error:
            failure, cause = self._failure(error, url, exchange), error
        # Outside the handler, so that the cause isn't shown a second time as the context.
        raise failure from cause

    def _failure(self, error: Exception, url: str, exchange: Exchange) -> Exception:
        """The exception for a failure before the response. It says whether a request was sent."""
        shown = redact_url(url)
        if isinstance(error, u3.LocationValueError):
            if exchange.is_redirected:
                text = f"could not connect to {shown}: {BAD_HOST}"
                return exchange.connect_failure(text, is_timeout=False)
            return ValueError(f"{shown} isn't a URL that urllib3 can request")
        connecting = not self._sock.request_begun or isinstance(
            error, (u3.NewConnectionError, u3.ConnectTimeoutError, u3.ProxyError)
        )
        # In urllib3, NewConnectionError is a subclass of TimeoutError.
        is_timeout = isinstance(error, u3.TimeoutError) and not isinstance(
            error, u3.NewConnectionError
        )
        if connecting:
            in_time = " in time" if is_timeout else ""
            text = f"could not connect to {shown}{in_time}: {error}"
            failure = exchange.connect_failure(text, is_timeout=is_timeout)
            failure = refined(failure, reason_of(error))
        elif is_timeout and self._read_timeout is not None:
            failure = exchange.response_timeout(self._read_timeout)
        elif is_timeout:
            text = f"no response received from {shown} within the read timeout"
            failure = exchange.request_failure(text, is_timeout=True)
        else:
            text = disconnect(error, NO_RESPONSE) or f"the request to {shown} failed: {error}"
            failure = exchange.request_failure(text, is_timeout=False)
        number = errno(error)
        if number is not None and isinstance(failure, OSError):
            failure.errno = number
        return mark_settings(failure, error)


def raw_headers(response: urllib3.BaseHTTPResponse) -> list[tuple[bytes, bytes]]:
    """The headers as received. http.client has decoded them as Latin-1."""
    return [
        (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
        for name, value in response.headers.iteritems()
    ]
