"""What the strategies for both kinds of clients have in common."""

from __future__ import annotations

from typing import Any, Final

from .. import _native
from .._decoder import codings
from ..config._options import HeaderPairs
from ..config._request import HttpRequest
from .library import library_of

# They belong to a connection or follow from the body; the rest may be a secret.
_NOT_PASSED_ON: Final = (b"connection", b"content-length", b"transfer-encoding")


class Settings:
    """The request and the client that sends it."""

    def __init__(self, request: HttpRequest, kind: str, client: Any) -> None:
        self.library = library_of(client, kind)
        self.client = client
        self.name = f"{self.library.__name__}.{type(client).__name__}"
        request.refuse_settings_of("client", self.name)
        request.url = self._absolute(request.url)
        # It checks the settings.
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
        """How long each step of a request may take, in seconds. The one for reading is for the
        response: the engine has its own for the stream.
        """
        timeouts: dict[str, float | None] = self.client.timeout.as_dict()
        # Those of the client are for short responses; 5 s of silence are nothing in a stream.
        timeouts["read"] = read_timeout
        if self.http.connect_timeout is not None:
            timeouts["connect"] = self.http.connect_timeout or None
        return timeouts

    def _absolute(self, url: str) -> str:
        """Relative URLs begin where the client's base URL ends, as in every request of httpx."""
        base = self.client.base_url
        if not base.host or "://" in url.partition("?")[0]:
            return url
        return str(base.copy_with(raw_path=base.raw_path + url.lstrip("/").encode()))
