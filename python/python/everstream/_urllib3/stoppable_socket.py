"""Finds the socket of an attempt in urllib3."""

from __future__ import annotations

import copy
import http.client
from typing import Any, Final

from .. import _stoppable_socket

# More interim responses than any server sends.
_INTERIM: Final = 100


class StoppableSocket(_stoppable_socket.StoppableSocket):
    """Finds the socket of an attempt in urllib3.

    The socket is known once TCP has connected. A DNS lookup, the TCP handshake and the wait for a
    pool that blocks can't be interrupted: they end at the connect timeout.
    """

    def __init__(self) -> None:
        super().__init__()
        #: Whether the request may have been sent. It is set before plain HTTP connects.
        self.request_begun = False
        self._connection: Any = None

    def track(self, pool: Any) -> Any:
        """A copy of the pool that tracks the connections taken from it."""
        view = copy.copy(pool)

        def connection_from_host(*args: Any, **kwargs: Any) -> Any:
            return self._host_view(pool.connection_from_host(*args, **kwargs))

        view.connection_from_host = connection_from_host
        return view

    def remove_timeout(self) -> None:
        """Removes the socket's timeout: from here on the engine enforces the read timeout."""
        sock = getattr(self._connection, "sock", None)
        if sock is not None:
            sock.settimeout(None)

    def _host_view(self, pool: Any) -> Any:
        view = copy.copy(pool)

        def get_conn(*args: Any, **kwargs: Any) -> Any:
            connection = pool._get_conn(*args, **kwargs)
            self._take(connection)
            return connection

        def put_conn(connection: Any) -> None:
            self._give_back(connection)
            pool._put_conn(connection)

        view._get_conn, view._put_conn = get_conn, put_conn
        return view

    def _take(self, connection: Any) -> None:
        self._connection = connection
        open_socket, request = connection._new_conn, connection.request

        def new_conn() -> Any:
            opened = open_socket()
            self.set(opened)
            return opened

        def send(*args: Any, **kwargs: Any) -> Any:
            self.request_begun = True
            return request(*args, **kwargs)

        connection._new_conn, connection.request = new_conn, send
        connection.response_class = _Response
        self.set(connection.sock)

    def _give_back(self, connection: Any) -> None:
        if connection is not None:
            vars(connection).pop("_new_conn", None)
            vars(connection).pop("request", None)
            vars(connection).pop("response_class", None)
        self.set(None)


class _Response(http.client.HTTPResponse):
    """Skips interim responses (RFC 9110, section 15.2). http.client skips only 100."""

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_INTERIM):
            found = super()._read_status()  # type: ignore[misc]
            if not 102 <= found[1] <= 199:
                break
            http.client.parse_headers(self.fp)
        return found  # type: ignore[no-any-return]
