"""Builds the requests of an attempt for httpx."""

from __future__ import annotations

from typing import Any

from .._native import Exchange
from .settings import Settings


def build(settings: Settings, exchange: Exchange, trace: Any, read_timeout: float | None) -> Any:
    """The next request.

    The exchange already includes the client's headers, and decides which of them are sent. The
    client's parameters apply only to the first URL, and its cookies only to the first origin.
    """
    library, client = settings.library, settings.client
    method, text, headers = exchange.request
    url = library.URL(text)
    if client.params and not exchange.is_redirected:
        # httpx would drop the URL's own parameters.
        url = url.copy_with(params=client.params.merge(url.params))
    extensions = {"timeout": settings.timeouts(read_timeout), "trace": trace}
    # An event id may have spaces around it. They aren't part of a header value, and httpx refuses
    # them.
    raw = [(name.encode("ascii"), value.strip(b" \t")) for name, value in headers]
    if "connection" in client.headers:
        raw.append((b"connection", client.headers["connection"].encode("latin-1")))
    content = settings.body if exchange.has_body else None
    if exchange.has_left_origin:
        request = library.Request(method, url, headers=raw, content=content, extensions=extensions)
        _seal(library, request)
        return request
    own = b"; ".join(value for name, value in raw if name == b"cookie")
    raw = [(name, value) for name, value in raw if name != b"cookie"]
    request = library.Request(
        method, url, headers=raw, content=content, cookies=client.cookies, extensions=extensions
    )
    if own:
        request.headers["cookie"] = _joined(own.decode("latin-1"), request.headers.get("cookie"))
    return request


def send_options(settings: Settings, exchange: Exchange) -> dict[str, Any]:
    """The arguments of ``client.send()``."""
    options: dict[str, Any] = {"stream": True, "follow_redirects": False}
    if exchange.has_left_origin or settings.http.auth_is_given:
        options["auth"] = None
    return options


def _joined(own: str, jar: str | None) -> str:
    """Adds the jar's cookies to the request's own, except those with the same names."""

    def names(cookies: str) -> dict[str, str]:
        parts = [part.strip() for part in cookies.split(";") if part.strip()]
        return {part.partition("=")[0]: part for part in parts}

    missing = {name: part for name, part in names(jar or "").items() if name not in names(own)}
    return "; ".join([own, *missing.values()])


def _seal(library: Any, request: Any) -> None:
    """Makes the request read-only, so that the client's hooks can't add credentials to it."""
    headers, url = request.headers, request.url

    def ignore(_: Any, __: Any) -> None:
        pass

    members = {
        "headers": property(lambda _: headers.copy(), ignore),
        "url": property(lambda _: url, ignore),
    }
    request.__class__ = type("Request", (library.Request,), members)
