"""HTTP over a ``Client`` of httpx or httpx2."""

from __future__ import annotations

from collections.abc import Iterator
from logging import Logger
from typing import Any

from .. import _body, _native
from .._decoder import Decoder
from .._disconnect import is_bad_host
from .._stoppable_socket import StoppableSocket
from ..config._request import HttpRequest
from ..config.connect_strategy import ConnectionClient, ConnectionResult, ConnectStrategy
from ..errors import ConnectError
from . import failures
from .request import build, send_options
from .response import LastHead, body_of, handle_head, refused_by_hook
from .settings import Settings


class HttpxStrategy(ConnectStrategy):
    """Connects with a ``Client`` of httpx or httpx2."""

    def __init__(self, request: HttpRequest, client: Any) -> None:
        self.settings = Settings(request, "Client", client)

    def create_client(self, logger: Logger) -> ConnectionClient:
        return HttpxClient(self.settings)

    def __repr__(self) -> str:
        return f"ConnectStrategy.http({_native.redact_url(self.settings.request.url)!r})"


class HttpxClient(ConnectionClient):
    """The connections of one client. The httpx client is never closed here."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stream = settings.http.stream
        self._sock: StoppableSocket | None = None
        self._closed = False

    @property
    def is_repeatable(self) -> bool:
        return self._settings.request.is_repeatable

    @property
    def can_resume_with_get(self) -> bool:
        return True

    def connect(self, last_event_id: str | None) -> ConnectionResult:
        return self._connect(last_event_id, resume_with_get=False)

    def resume_with_get(self, last_event_id: str | None) -> ConnectionResult:
        return self._connect(last_event_id, resume_with_get=True)

    def _connect(self, last_event_id: str | None, *, resume_with_get: bool) -> ConnectionResult:
        sock = self._sock = StoppableSocket()
        # The order matters: close() sets _closed first and then reads _sock.
        if self._closed:
            sock.stop()
        attempt = Attempt(self._settings, sock, self._stream.response_timeout)
        return attempt.run(last_event_id, resume_with_get=resume_with_get)

    def interrupt(self) -> None:
        if self._sock is not None:
            self._sock.stop()

    def close(self) -> None:
        self._closed = True
        self.interrupt()


class Attempt:
    """One request, with its redirects."""

    def __init__(
        self, settings: Settings, sock: StoppableSocket, read_timeout: float | None
    ) -> None:
        self._settings = settings
        self._read_timeout = read_timeout
        self._sock = sock

    def run(self, last_event_id: str | None, *, resume_with_get: bool) -> ConnectionResult:
        fresh = self._settings.http.fresh_headers()
        exchange = self._settings.exchange(last_event_id, fresh, resume_with_get=resume_with_get)
        while True:
            try:
                response = self._send(exchange)
            except BaseException:
                self._sock.clear()
                raise
            body = Body(response, self._settings.library, self._sock)
            try:
                next_step = handle_head(response, exchange)
                body.decode(exchange)
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
                    result._proves_end = exchange.proves_end
                    return result
                if next_step == "error":
                    body.read_error(exchange)
                    raise exchange.error()
            except BaseException:
                body.close()
                raise
            body.close()

    def _send(self, exchange: _native.Exchange) -> Any:
        if self._sock.stopped:
            raise ConnectError("the client was stopped")
        library, client = self._settings.library, self._settings.client
        request, head = None, LastHead()

        def trace(event: str, info: dict[str, Any]) -> None:
            head.see(event, info)
            self._find_socket(event, info)

        try:
            request = build(self._settings, exchange, trace, self._read_timeout)
            response = client.send(request, **send_options(self._settings, exchange))
        except (library.HTTPError, library.InvalidURL, UnicodeError) as error:
            # Any other UnicodeError was raised by a hook.
            if isinstance(error, UnicodeError) and not is_bad_host(error, exchange.request[1]):
                raise
            refused = refused_by_hook(library, error, request)
            if refused is not None:
                return refused
            failure = head.error(library, error, exchange) or failures.before_response(
                library, error, exchange, self._read_timeout
            )
        else:
            # From here on the engine enforces the read timeout.
            request.extensions["timeout"]["read"] = None
            if not self._sock.is_set:
                self._sock.set(_socket(response.extensions.get("network_stream")))
            return response
        # Outside the handler, so that the cause isn't shown a second time as the context.
        raise failure

    def _find_socket(self, event: str, info: dict[str, Any]) -> None:
        """Finds the socket, so that the attempt can be stopped. httpx calls it at every step.

        A DNS lookup, a TCP handshake and the wait for a connection of the pool can't be stopped:
        they end at their timeouts.
        """
        if event.endswith(("connect_tcp.complete", "connect_unix_socket.complete")):
            self._sock.set(_socket(info.get("return_value")))
        elif event.endswith("send_request_headers.started") and not self._sock.is_set:
            self._sock.set(_socket(_stream_of_pool(self._settings.client, info.get("request"))))
        elif event.endswith("response_closed.started"):
            # The connection may return to the pool and serve another request.
            self._sock.clear()


class Body(_body.Body):
    """The chunks of a response of httpx."""

    def __init__(self, response: Any, library: Any, sock: StoppableSocket) -> None:
        super().__init__(sock)
        self._response = response
        self._library = library
        self._raw: Iterator[bytes] = iter(())
        self._decoder = Decoder(None)
        self._pieces: Iterator[bytes] = iter(())
        self._ended = False

    def decode(self, exchange: _native.Exchange) -> None:
        """Sets the content coding. Must be called before the body is read."""
        read, coding = body_of(self._response, exchange)
        self._raw = iter([read]) if read is not None else self._response.iter_raw()
        self._decoder = Decoder(coding)

    def _read(self) -> bytes:
        while True:
            for piece in self._pieces:
                return piece
            if self._ended:
                return b""
            failure = None
            try:
                data = next(self._raw, b"")
            except (self._library.HTTPError, self._library.StreamError, OSError) as error:
                data, failure = b"", failures.mid_response(self._library, error)
            self._ended = not data
            self._pieces = self._decoder.pieces(data, failure)

    def _close_response(self) -> None:
        self._response.close()


def _socket(stream: Any) -> Any:
    """The socket of a network stream; ``None`` for transports without one."""
    return None if stream is None else stream.get_extra_info("socket")


def _stream_of_pool(client: Any, request: Any) -> Any:
    """The network stream of a reused connection, for which httpx sends no trace event."""
    try:
        pools = [client._transport, *client._mounts.values()]
        for pool in (transport._pool for transport in pools if hasattr(transport, "_pool")):
            for waiting in list(pool._requests):
                if waiting.request is request:
                    return waiting.connection._connection._network_stream
    except AttributeError:
        pass
    return None
