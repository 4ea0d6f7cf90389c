"""What the strategies for ``Client`` and ``AsyncClient`` share."""

from __future__ import annotations

from typing import Any, Final

from .. import _native
from .._decoder import codings
from ..config._options import HeaderPairs
from ..config._request import HttpRequest
from .library import library_of

# Headers that belong to the connection or follow from the body.
_NOT_PASSED_ON: Final = (b"connection", b"content-length", b"transfer-encoding")


class Settings:
    """The request and the client that sends it."""

    def __init__(self, request: HttpRequest, kind: str, client: Any) -> None:
        self.library = library_of(client, kind)
        self.client = client
        self.name = f"{self.library.__name__}.{type(client).__name__}"
        request.refuse_settings_of("client", self.name)
        request.url = self._absolute(request.url)
        # Only called to check the settings.
        request.native_http()
        self.http = request
        self.body = request.body
        self.request = request.native_request(codings())

    def exchange(
        self,
        last_event_id: str | None,
        fresh_headers: HeaderPairs | None,
        *,
        resume_with_get: bool = False,
    ) -> _native.Exchange:
        """Begins an attempt, with the headers that the client has now."""
        if self.client.is_closed:
            raise RuntimeError(
                f"the {self.name} is closed: keep it open for as long as the stream is read"
            )
        passed_on = [
            (name, value)
            for name, value in self.client.headers.raw
            if name.lower() not in _NOT_PASSED_ON
        ]
        return self.request.exchange(
            last_event_id,
            resume_with_get=resume_with_get,
            client_headers=passed_on,
            fresh_headers=fresh_headers,
        )

    def timeouts(self, read_timeout: float | None) -> dict[str, float | None]:
        """How long each step of a request may take, in seconds. The read timeout is for the head of
        the response; the engine enforces the stream's own.
        """
        timeouts: dict[str, float | None] = self.client.timeout.as_dict()
        # Not the client's: its default of 5 s would end every quiet stream.
        timeouts["read"] = read_timeout
        if self.http.connect_timeout is not None:
            timeouts["connect"] = self.http.connect_timeout or None
        return timeouts

    def _absolute(self, url: str) -> str:
        """Resolves a relative URL against the client's base URL, like httpx."""
        base = self.client.base_url
        if not base.host or "://" in url.partition("?")[0]:
            return url
        return str(base.copy_with(raw_path=base.raw_path + url.lstrip("/").encode()))
