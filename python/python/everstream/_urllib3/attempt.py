"""One request, with the redirects that it takes."""

from __future__ import annotations

from typing import Any

import urllib3
from urllib3 import exceptions as u3

from .._disconnect import BAD_HOST, NO_RESPONSE, disconnect, errno
from .._native import Exchange, redact_url
from .._originals import reason_of, refined
from ..config import ConnectionResult
from ..errors import ConnectError
from .body import Body
from .request import Request
from .wire import Wire


class Attempt:
    """One request, with the redirects that it takes. What to send, and what the responses are, is
    for the exchange to say.
    """

    def __init__(self, request: Request, pool: Any, wire: Wire, read_timeout: float | None) -> None:
        self._original = request
        self._read_timeout = read_timeout
        self._pool = wire.view(pool)
        self._wire = wire

    def run(self, last_event_id: str | None, *, resume_with_get: bool) -> ConnectionResult:
        exchange = self._original.native.exchange(
            last_event_id,
            resume_with_get=resume_with_get,
            fresh_headers=self._original.http.fresh_headers(),
        )
        while True:
            response = self._request(exchange)
            body = Body(response, self._wire)
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
        if self._wire.stopped:
            raise ConnectError("the client was stopped")
        self._wire.asked = False
        method, url, headers = exchange.request
        sent = urllib3.HTTPHeaderDict()
        for name, value in headers:
            # http.client makes Latin-1 of it, and so the bytes that it was.
            sent.add(name, value.decode("latin-1"))
        try:
            response = self._pool.request(
                method,
                url,
                headers=sent,
                redirect=False,
                # Nor those of the pool: repeating is the session's.
                retries=False,
                preload_content=False,
                **self._original.options_for(exchange, self._read_timeout),
            )
            if "timeout" not in self._original.options:
                self._wire.wait_for_good()
            return response
        except u3.HTTPError as error:
            failure, cause = self._failure(error, url, exchange), error
        # Outside the handler: else the context would be told of twice.
        raise failure from cause

    def _failure(self, error: Exception, url: str, exchange: Exchange) -> Exception:
        """Before the request nothing can have happened at the server; afterwards it can."""
        shown = redact_url(url)
        if isinstance(error, u3.LocationValueError):
            if exchange.is_redirected:
                text = f"could not connect to {shown}: {BAD_HOST}"
                return exchange.connect_failure(text, is_timeout=False)
            return ValueError(f"{shown} isn't a URL that urllib3 can ask")
        connecting = not self._wire.asked or isinstance(
            error, (u3.NewConnectionError, u3.ConnectTimeoutError, u3.ProxyError)
        )
        # A refused connection is a timeout too, for urllib3.
        late = isinstance(error, u3.TimeoutError) and not isinstance(error, u3.NewConnectionError)
        if connecting:
            in_time = " in time" if late else ""
            text = f"could not connect to {shown}{in_time}: {error}"
            failure = exchange.connect_failure(text, is_timeout=late)
            failure = refined(failure, reason_of(error))
        elif late:
            text = f"no answer came from {shown} within the read timeout"
            failure = exchange.request_failure(text, is_timeout=True)
        else:
            text = disconnect(error, NO_RESPONSE) or f"the request to {shown} failed: {error}"
            failure = exchange.request_failure(text, is_timeout=False)
        number = errno(error)
        if number is not None and isinstance(failure, OSError):
            failure.errno = number
        return failure


def raw_headers(response: urllib3.BaseHTTPResponse) -> list[tuple[bytes, bytes]]:
    """As they came: http.client reads them as Latin-1."""
    return [
        (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
        for name, value in response.headers.iteritems()
    ]
