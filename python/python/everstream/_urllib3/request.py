"""URLs and headers: what is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote_plus, urlsplit, urlunsplit

from .._native import redact_url
from ..config.connect_strategy import QueryParams

TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
NOT_IN_A_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


# No repr: the URL and the headers may hold secrets.
@dataclass(frozen=True, repr=False)
class Request:
    """What each attempt of a client starts from."""

    method: str
    url: str
    headers: dict[str, bytes]
    #: Of ``urllib3.PoolManager.request``.
    options: dict[str, Any]
    #: Added to the URL; called before each attempt.
    query_params: Callable[[], QueryParams] | None
    #: How many redirects an attempt follows.
    redirects: int


def checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.scheme.lower() in ("http", "https") and parts.hostname and parts.port != -1:
            return url
        problem = "it must begin with http:// or https:// and a host"
    except ValueError as error:
        problem = str(error)
    raise ValueError(f"url isn't a URL of HTTP ({redact_url(url)}): {problem}")


def checked_token(what: str, text: str) -> str:
    if not isinstance(text, str) or not TOKEN.fullmatch(text):
        raise ValueError(f"{what} can't be {text!r}")
    return text


def checked_value(name: str, value: str | bytes) -> bytes:
    """As UTF-8. The value isn't told: it may be a secret."""
    if isinstance(value, str):
        value = value.encode()
    elif not isinstance(value, bytes):
        raise TypeError(
            f"the value of the header {name!r} must be str or bytes, not {type(value).__name__}"
        )
    if NOT_IN_A_VALUE.search(value):
        raise ValueError(f"the value of the header {name!r} has control characters")
    return value


def origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def with_query(url: str, params: QueryParams) -> str:
    """A name takes the place of what the URL had under it."""
    pairs: list[tuple[str, str]] = []
    items: Iterable[tuple[str, Any]] = (
        params.items() if isinstance(params, Mapping) else params or ()
    )
    for name, value in items:
        several = not isinstance(value, (str, bytes)) and isinstance(value, Iterable)
        pairs += (
            (name, one.decode() if isinstance(one, bytes) else str(one))
            for one in (value if several else [value])
        )
    names = {name for name, _ in pairs}
    parts = urlsplit(url)
    kept = [
        pair
        for pair in parts.query.split("&")
        if pair and unquote_plus(pair.partition("=")[0]) not in names
    ]
    kept += (f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return urlunsplit(parts._replace(query="&".join(kept)))
