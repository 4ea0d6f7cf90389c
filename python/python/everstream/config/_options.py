"""The options of a request and its stream, for both clients and all transports."""

from __future__ import annotations

import operator
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ._checks import Unset, describe

if TYPE_CHECKING:
    from ..actions import Event

QueryParams = Mapping[str, Any] | Iterable[tuple[str, Any]] | None
Headers = Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]]
HeaderPairs = list[tuple[str, str | bytes]]
Credentials = tuple[str, str] | str | None
File = str | os.PathLike[str]


class StreamOptions(TypedDict, total=False):
    """How the client treats the stream, whatever its source."""

    read_timeout: float | None
    max_event_size: int | None
    oversize: Literal["fail", "skip"]
    until: str | Callable[[Event], bool] | None
    repeat_unsafe: bool
    resume_with_get: bool
    dispatch_unfinished: bool


class RequestOptions(TypedDict, total=False):
    """What to request, and how."""

    method: str | None
    body: str | bytes | None
    json: Any
    params: QueryParams
    sensitive_headers: Iterable[str] | None
    connect_timeout: float | Unset | None
    proxy: str | Literal[False] | None
    verify: bool | File
    cert: File | tuple[File, File] | None
    http2: bool | None
    any_content_type: bool
    cookies: bool


class HttpOptions(RequestOptions, StreamOptions, total=False):
    """The options of ``ConnectStrategy.http``."""

    auth: Credentials | Callable[[], Credentials]


class AsyncHttpOptions(RequestOptions, StreamOptions, total=False):
    """The options of ``AsyncConnectStrategy.http``."""

    auth: Credentials | Callable[[], Credentials | Awaitable[Credentials]]


class ClientOptions(RequestOptions, total=False):
    """What ``SSEClient`` passes to ``ConnectStrategy.http``."""

    headers: Headers | Callable[[], Headers | None] | None
    auth: Credentials | Callable[[], Credentials]
    pool: Any
    urllib3_request_options: Mapping[str, Any] | None
    query_params: Callable[[], QueryParams] | None
    client: Any


class AsyncClientOptions(RequestOptions, total=False):
    """What ``AsyncSSEClient`` passes to ``AsyncConnectStrategy.http``."""

    headers: Headers | Callable[[], Headers | Awaitable[Headers | None] | None] | None
    auth: Credentials | Callable[[], Credentials | Awaitable[Credentials]]
    session: Any
    aiohttp_request_options: Mapping[str, Any] | None
    query_params: Callable[[], QueryParams] | None
    client: Any


@dataclass(frozen=True)
class Stream:
    """The checked stream options. The engine applies them to every transport."""

    read_timeout: float | None = None
    max_event_size: int | None = None
    oversize: Literal["fail", "skip"] = "fail"
    until: str | Callable[[Event], bool] | None = None
    repeat_unsafe: bool = False
    resume_with_get: bool = False
    dispatch_unfinished: bool = False

    def __post_init__(self) -> None:
        limit = self.read_timeout
        if limit is not None and not isinstance(limit, (int, float)):
            raise TypeError(f"read_timeout must be a number of seconds, not {describe(limit)}")
        if limit is not None and not limit >= 0:
            raise ValueError(f"read_timeout must be a number of seconds, 0 or more, not {limit}")
        size = self.max_event_size
        if size is not None and not 0 <= operator.index(size) <= sys.maxsize:
            raise ValueError(f"max_event_size must be a number of bytes, 0 or more, not {size}")
        if self.oversize not in ("fail", "skip"):
            raise ValueError(f"oversize must be 'fail' or 'skip', not {self.oversize!r}")
        if self.until is not None and not isinstance(self.until, str) and not callable(self.until):
            raise TypeError(f"until must be str or a function, not {describe(self.until)}")

    @property
    def response_timeout(self) -> float | None:
        """How long transports in Python wait for a response. ``None``: no limit."""
        limit = self.read_timeout
        return limit if limit and limit < float("inf") else None

    def merged(self, given: Stream) -> Stream:
        """Adds the options that the client was given. Each option can be set in only one place."""
        changes: dict[str, Any] = {}
        for field in fields(self):
            own, other = getattr(self, field.name), getattr(given, field.name)
            if other == field.default or other == own:
                continue
            if own != field.default:
                raise TypeError(
                    f"{field.name} is set by the client and by its strategy: set it in one place"
                )
            changes[field.name] = other
        return replace(self, **changes)

    def for_engine(self) -> dict[str, Any]:
        """The arguments of the engine's client."""
        arguments = {field.name: getattr(self, field.name) for field in fields(self)}
        arguments["skip_oversize"] = arguments.pop("oversize") == "skip"
        return arguments


def stream_of(strategy: object, connection: object, given: Stream) -> Stream:
    """The options of a client: its own, and those of its strategy if that is one of this package or
    wraps one. This package's connections receive all of them.
    """
    own = getattr(connection, "_stream", None)
    if isinstance(own, Stream):
        merged: Stream = own.merged(given)
        connection._stream = merged  # type: ignore[attr-defined]
        return merged
    own = getattr(strategy, "_stream", None)
    return own.merged(given) if isinstance(own, Stream) else given


def unexpected_keyword(function: str, name: str) -> TypeError:
    """The error for an unknown keyword. For ``timeout``, it names our options."""
    hint = ": use connect_timeout or read_timeout" if name == "timeout" else ""
    return TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")


def check_request(
    given: Mapping[str, Any], known: type, client: str, http: str, *, has_strategy: bool
) -> None:
    """Raises ``TypeError`` for keywords that the client can't pass to its request."""
    for name in given:
        if name not in known.__optional_keys__:  # type: ignore[attr-defined]
            raise unexpected_keyword(client, name)
        if has_strategy:
            raise TypeError(
                f"{name} can't be passed together with a strategy: pass it to {http}(), or pass a "
                "URL instead of the strategy"
            )
