"""Custom sources for the tests."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from everstream.config import ConnectionClient, ConnectionResult, ConnectStrategy

Connect = Callable[[str | None], ConnectionResult]


class Scripted(ConnectStrategy):
    """Connects by calling a function, and records the calls."""

    def __init__(self, connect: Connect) -> None:
        self.connect = connect
        self.connected_with: list[str | None] = []
        self.loggers: list[logging.Logger] = []
        self.clients_closed = 0

    def create_client(self, logger: logging.Logger) -> ConnectionClient:
        self.loggers.append(logger)
        return ScriptedClient(self)


class ScriptedClient(ConnectionClient):
    def __init__(self, strategy: Scripted) -> None:
        self.strategy = strategy

    def connect(self, last_event_id: str | None) -> ConnectionResult:
        self.strategy.connected_with.append(last_event_id)
        return self.strategy.connect(last_event_id)

    def close(self) -> None:
        self.strategy.clients_closed += 1


def canned(*connections: Iterable[bytes], headers: Mapping[str, str] | None = None) -> Scripted:
    """Connects to these streams in order, then refuses connections."""
    streams = iter(connections)

    def connect(last_event_id: str | None) -> ConnectionResult:
        for stream in streams:
            return ConnectionResult(iter(stream), None, headers)
        raise ConnectionRefusedError("no more streams")

    return Scripted(connect)


class Passing(ConnectStrategy):
    """Wraps another strategy, using only its public methods."""

    def __init__(self, inner: ConnectStrategy) -> None:
        self.inner = inner

    def create_client(self, logger: logging.Logger) -> ConnectionClient:
        return self.inner.create_client(logger)
