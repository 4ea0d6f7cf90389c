"""The request that each attempt of a client starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import urllib3

from .. import _native
from ..config._request import HttpRequest

#: The options of ``urllib3.PoolManager.request`` that set a body.
BODY_OPTIONS: Final = ("body", "fields", "json", "chunked")


# No repr: the URL and the headers may hold secrets.
@dataclass(frozen=True, repr=False)
class Request:
    """The request that each attempt of a client starts from."""

    http: HttpRequest
    native: _native.Request
    #: Further arguments of ``urllib3.PoolManager.request``.
    options: Mapping[str, Any]
    #: Unused if the options have a timeout.
    connect_timeout: float | None

    def options_for(self, exchange: _native.Exchange, read_timeout: float | None) -> dict[str, Any]:
        """The options of the next request. The read timeout is for the response head; the engine
        enforces the stream's own.
        """
        skipped = () if exchange.has_body else BODY_OPTIONS
        options = {name: value for name, value in self.options.items() if name not in skipped}
        timeout = urllib3.Timeout(connect=self.connect_timeout, read=read_timeout)
        return {"timeout": timeout, **options}
