"""A Server-Sent Events client."""

from ._client import SSEClient
from ._headers import Headers

__all__ = ["Headers", "SSEClient"]
