"""A Server-Sent Events client."""

from ._client import SSEClient
from ._headers import Headers
from .async_client import AsyncSSEClient

__all__ = ["AsyncSSEClient", "Headers", "SSEClient"]
