"""What the strategies for both kinds of clients have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from .. import _native
from .._decoder import codings
from ..config.connect_strategy import QueryParams
from .library import library_of

# They belong to a connection or follow from the body; the rest may be a secret.
_NOT_PASSED_ON: Final = (b"connection", b"content-length", b"transfer-encoding")


class Settings:
    """The request and the client that sends it."""

    def __init__(
        self,
        url: str,
        kind: str,
        *,
        client: Any,
        headers: Mapping[str, str | bytes] | None,
        query_params: Callable[[], QueryParams] | None,
        method: str,
        body: str | bytes | None,
        read_timeout: float | None,
        connect_timeout: float | None,
        max_event_size: int | None,
        sensitive_headers: Iterable[str] | None,
        any_content_type: bool,
        cookies: bool,
    ) -> None:
        """``connect_timeout`` of 0 is none; ``None`` is that of the client."""
        self.library = library_of(client, kind)
        self.client = client
        url = self._absolute(url)
        # It checks the settings.
        _native.Http(
            url,
            headers=headers,
            sensitive_headers=sensitive_headers,
            query_params=query_params,
            method=method,
            body=body,
            read_timeout=read_timeout,
            connect_timeout=connect_timeout,
            max_event_size=max_event_size,
            any_content_type=any_content_type,
            cookies=cookies,
        )
        self.body = body.encode() if isinstance(body, str) else body
        self.read_timeout = read_timeout or None
        self.max_event_size = max_event_size
        self._connect_timeout = connect_timeout
        self.request = _native.Request(
            url,
            method=method,
            headers=list((headers or {}).items()),
            sensitive_headers=sensitive_headers,
            query_params=query_params,
            has_body=body is not None,
            follow_redirects=True,
            codings=codings(),
            any_content_type=any_content_type,
            cookies=cookies,
        )

    def exchange(
        self, last_event_id: str | None, *, resume_with_get: bool = False
    ) -> _native.Exchange:
        """Begins an attempt, with the headers that the client has now."""
        name = f"{self.library.__name__}.{type(self.client).__name__}"
        if self.client.is_closed:
            raise RuntimeError(
                f"the {name} is closed: keep it open for as long as the stream is read"
            )
        passed_on = [
            (name, value)
            for name, value in self.client.headers.raw
            if name.lower() not in _NOT_PASSED_ON
        ]
        return self.request.exchange(
            last_event_id, resume_with_get=resume_with_get, client_headers=passed_on
        )

    def timeouts(self) -> dict[str, float | None]:
        """How long each step of a request may take, in seconds."""
        timeouts: dict[str, float | None] = self.client.timeout.as_dict()
        # Those of the client are for short responses; 5 s of silence are nothing in a stream.
        timeouts["read"] = self.read_timeout
        if self._connect_timeout is not None:
            timeouts["connect"] = self._connect_timeout or None
        return timeouts

    def _absolute(self, url: str) -> str:
        """Relative URLs begin where the client's base URL ends, as in every request of httpx."""
        base = self.client.base_url
        if not base.host or "://" in url.partition("?")[0]:
            return url
        return str(base.copy_with(raw_path=base.raw_path + url.lstrip("/").encode()))
