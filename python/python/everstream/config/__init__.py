"""How a client connects, whether it reconnects after an error, and how long it waits."""

from .async_connect_strategy import (
    AsyncConnectionClient,
    AsyncConnectionResult,
    AsyncConnectStrategy,
)
from .connect_strategy import ConnectionClient, ConnectionResult, ConnectStrategy
from .error_strategy import TRANSIENT_STATUSES, ErrorStrategy
from .retry_delay_strategy import RetryDelayStrategy

__all__ = [
    "TRANSIENT_STATUSES",
    "AsyncConnectStrategy",
    "AsyncConnectionClient",
    "AsyncConnectionResult",
    "ConnectStrategy",
    "ConnectionClient",
    "ConnectionResult",
    "ErrorStrategy",
    "RetryDelayStrategy",
]
