"""The socket of an attempt, wherever urllib3 has it."""

from __future__ import annotations

import copy
import http.client
from typing import Any, Final

from .. import _wire

# Nobody sends more of them before a response.
_INTERIM: Final = 100


class Wire(_wire.Wire):
    """The socket of an attempt, wherever urllib3 has it.

    A socket is found when TCP has connected. Not reached are the look-up of a name, the TCP
    handshake and the wait for a pool that blocks: what waits there ends by the connect timeout.
    """

    def __init__(self) -> None:
        super().__init__()
        #: Whether the request may have been sent. Plain HTTP connects after this is set.
        self.asked = False
        self._connection: Any = None

    def view(self, pool: Any) -> Any:
        """The same pool, from which connections are tracked."""
        view = copy.copy(pool)

        def connection_from_host(*args: Any, **kwargs: Any) -> Any:
            return self._host_view(pool.connection_from_host(*args, **kwargs))

        view.connection_from_host = connection_from_host
        return view

    def wait_for_good(self) -> None:
        """The response is there: from here on the engine measures silence."""
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
            self.know(opened)
            return opened

        def ask(*args: Any, **kwargs: Any) -> Any:
            self.asked = True
            return request(*args, **kwargs)

        connection._new_conn, connection.request = new_conn, ask
        connection.response_class = _Response
        self.know(connection.sock)

    def _give_back(self, connection: Any) -> None:
        if connection is not None:
            vars(connection).pop("_new_conn", None)
            vars(connection).pop("request", None)
            vars(connection).pop("response_class", None)
        self.know(None)


class _Response(http.client.HTTPResponse):
    """What comes after the interim responses: http.client takes all but a 100 for the final one
    (RFC 9110, section 15.2).
    """

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_INTERIM):
            found = super()._read_status()  # type: ignore[misc]
            if not 102 <= found[1] <= 199:
                break
            http.client.parse_headers(self.fp)
        return found  # type: ignore[no-any-return]
