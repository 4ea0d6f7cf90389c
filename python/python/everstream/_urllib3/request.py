"""What each attempt of a client starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .. import _native

#: Those of ``urllib3.PoolManager.request`` that make a body.
BODY_OPTIONS: Final = ("body", "fields", "json", "chunked")


# No repr: the URL and the headers may hold secrets.
@dataclass(frozen=True, repr=False)
class Request:
    """What each attempt of a client starts from."""

    native: _native.Request
    #: Of ``urllib3.PoolManager.request``.
    options: Mapping[str, Any]

    def options_for(self, exchange: _native.Exchange) -> dict[str, Any]:
        """The options of the next request."""
        skipped = () if exchange.has_body else BODY_OPTIONS
        return {name: value for name, value in self.options.items() if name not in skipped}
