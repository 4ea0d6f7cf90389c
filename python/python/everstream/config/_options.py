"""What can be set for a request and its stream: one table for both clients and all transports."""

from __future__ import annotations

import base64
import contextlib
import inspect
import json
import operator
import os
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict

from .. import _native
from ..errors import RequestSetupError
from ._checks import UNSET, Unset, shown

if TYPE_CHECKING:
    from ..actions import Event

QueryParams = Mapping[str, Any] | Iterable[tuple[str, Any]] | None
Headers = Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]]
HeaderPairs = list[tuple[str, str | bytes]]
Credentials = tuple[str, str] | str | None
File = str | os.PathLike[str]


class StreamOptions(TypedDict, total=False):
    """What the client does with the stream, wherever it comes from."""

    read_timeout: float | None
    max_event_size: int | None
    oversize: Literal["fail", "skip"]
    until: str | Callable[[Event], bool] | None
    repeat_unsafe: bool
    resume_with_get: bool
    dispatch_unfinished: bool


class RequestOptions(TypedDict, total=False):
    """What is requested, and how."""

    method: str | None
    body: str | bytes | None
    json: Any
    params: QueryParams
    auth: Credentials | Callable[[], Credentials | Awaitable[Credentials]]
    sensitive_headers: Iterable[str] | None
    connect_timeout: float | Unset | None
    proxy: str | None
    verify: bool | File
    cert: File | tuple[File, File] | None
    http2: bool | None
    any_content_type: bool
    cookies: bool


class HttpOptions(RequestOptions, StreamOptions, total=False):
    """The options of ``ConnectStrategy.http`` and ``AsyncConnectStrategy.http``."""


class ClientOptions(RequestOptions, total=False):
    """What ``SSEClient`` passes to ``ConnectStrategy.http``."""

    headers: Headers | Callable[[], Headers | None] | None
    pool: Any
    urllib3_request_options: Mapping[str, Any] | None
    query_params: Callable[[], QueryParams] | None
    client: Any


class AsyncClientOptions(RequestOptions, total=False):
    """What ``AsyncSSEClient`` passes to ``AsyncConnectStrategy.http``."""

    headers: Headers | Callable[[], Headers | Awaitable[Headers | None] | None] | None
    session: Any
    aiohttp_request_options: Mapping[str, Any] | None
    query_params: Callable[[], QueryParams] | None
    client: Any


@dataclass(frozen=True)
class Stream:
    """The stream options, checked. The engine of the client obeys them, over every transport."""

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
            raise TypeError(f"read_timeout must be a number of seconds, not {shown(limit)}")
        if limit is not None and not limit >= 0:
            raise ValueError(f"read_timeout must be a number of seconds, 0 or more, not {limit}")
        size = self.max_event_size
        if size is not None and not 0 <= operator.index(size) <= sys.maxsize:
            raise ValueError(f"max_event_size must be a number of bytes, 0 or more, not {size}")
        if self.oversize not in ("fail", "skip"):
            raise ValueError(f"oversize must be 'fail' or 'skip', not {self.oversize!r}")
        if self.until is not None and not isinstance(self.until, str) and not callable(self.until):
            raise TypeError(f"until must be str or a function, not {shown(self.until)}")

    def merged(self, given: Stream) -> Stream:
        """With what the client was given. Only one of the two may set an option."""
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
    """The options of a client: those of its strategy, if that is this package's own or wraps such a
    one, and those that the client was given. A connection of this package is told all of them.
    """
    own = getattr(connection, "_stream", None)
    if isinstance(own, Stream):
        merged: Stream = own.merged(given)
        connection._stream = merged  # type: ignore[attr-defined]
        return merged
    own = getattr(strategy, "_stream", None)
    return own.merged(given) if isinstance(own, Stream) else given


def check_request(
    given: Mapping[str, Any], known: type, client: str, http: str, *, has_strategy: bool
) -> None:
    """Raises ``TypeError`` for what a client can't pass on as a part of its request."""
    for name in given:
        if name not in known.__optional_keys__:  # type: ignore[attr-defined]
            raise TypeError(f"{client}() got an unexpected keyword argument {name!r}")
        if has_strategy:
            raise TypeError(
                f"{name} can't be given together with a strategy: pass it to {http}(), or pass a "
                "URL instead of the strategy"
            )


#: The options that what makes the connections has already, and what to do instead.
_INSTEAD: Final = {
    "pool": {
        "proxy": "pass a urllib3.ProxyManager as the pool",
        "verify": "pass urllib3.PoolManager(ca_certs=...) or (cert_reqs='CERT_NONE')",
        "cert": "pass urllib3.PoolManager(cert_file=..., key_file=...)",
    },
    "client": {
        "proxy": "pass the proxy to the client: {0}(proxy=...)",
        "verify": "pass it to the client: {0}(verify=...)",
        "cert": "pass an ssl.SSLContext with the certificate to the client: {0}(verify=...)",
        "http2": "pass it to the client: {0}(http2=...)",
    },
}


class HttpRequest:
    """The request of a strategy, checked, for whichever transport sends it."""

    def __init__(
        self,
        place: str,
        url: str,
        headers: Any,
        query_params: Callable[[], QueryParams] | None,
        options: Mapping[str, Any],
        *,
        is_async: bool = False,
    ) -> None:
        for name in options:
            if name not in HttpOptions.__optional_keys__:
                raise TypeError(f"{place}() got an unexpected keyword argument {name!r}")
        if query_params is not None and not callable(query_params):
            raise TypeError("query_params must be a function; params takes what doesn't change")
        self.url = url
        self.stream = Stream(
            **{name: options[name] for name in StreamOptions.__optional_keys__ if name in options}
        )
        self._options = options
        self._is_async = is_async
        self._headers, self._auth = headers, options.get("auth")
        self._query_params = query_params
        self._sensitive_headers = options.get("sensitive_headers")
        if self._sensitive_headers is not None and not isinstance(self._sensitive_headers, str):
            self._sensitive_headers = list(self._sensitive_headers)
        self.cookies = options.get("cookies", False)
        if not isinstance(self.cookies, bool):
            raise TypeError(
                "cookies must be True or False, whether to keep those that servers set: set your "
                "own as headers={'Cookie': ...}"
            )
        self._any_content_type: bool = options.get("any_content_type", False)
        connect_timeout: Any = options.get("connect_timeout", UNSET)
        #: 0 is none; ``None`` is the default.
        self.connect_timeout: float | None = (
            None if isinstance(connect_timeout, Unset) else connect_timeout or 0.0
        )
        self._take_body(options)
        self._take_tls(options)
        self.proxy: str | None = options.get("proxy")
        if self.proxy is not None and not isinstance(self.proxy, str):
            raise TypeError(f"proxy must be a URL, not {shown(self.proxy)}")
        self.http2: bool | None = options.get("http2")
        for name, value in (("headers", headers), ("auth", self._auth)):
            if not is_async and inspect.iscoroutinefunction(value):
                raise TypeError(
                    f"{name} can be a coroutine function only in AsyncConnectStrategy.http() and "
                    "AsyncSSEClient"
                )
        self.headers: HeaderPairs = [] if callable(headers) else header_pairs(headers)
        if self.auth_is_given and not callable(self._auth):
            self.headers = with_header(self.headers, "Authorization", authorization(self._auth))
        if options.get("params") is not None:
            self.url = _native.add_params(url, options["params"])

    def _take_body(self, options: Mapping[str, Any]) -> None:
        body, value = options.get("body"), options.get("json")
        self._has_json = value is not None
        if self._has_json:
            if body is not None:
                raise TypeError("json and body can't both be given: json is the body")
            body = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        self.body: Any = body.encode() if isinstance(body, str) else body
        method = options.get("method")
        if method is not None and not isinstance(method, str):
            raise TypeError(f"method must be str, not {shown(method)}")
        self.method = method.upper() if method else "POST" if self._has_json else "GET"

    def _take_tls(self, options: Mapping[str, Any]) -> None:
        verify, cert = options.get("verify", True), options.get("cert")
        self._is_verified = verify is not False
        self._authorities: bytes | None = None
        self._identity: tuple[bytes, bytes] | None = None
        self._cert_files: tuple[File, File] | None = None
        if not isinstance(verify, (bool, str, os.PathLike)):
            raise TypeError(
                f"verify must be True, False or the path of a PEM file, not {shown(verify)}"
            )
        if not isinstance(verify, bool):
            self._authorities = _read(verify)
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(verify)
            except ssl.SSLError as error:
                raise ValueError(f"verify: {os.fspath(verify)!r} has no certificates") from error
        if cert is not None:
            pair = (cert, cert) if isinstance(cert, (str, os.PathLike)) else cert
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise TypeError(
                    f"cert must be the path of a PEM file or a pair of paths, not {shown(cert)}"
                )
            self._cert_files = pair
            self._identity = (_read(pair[0]), _read(pair[1]))
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(pair[0], pair[1], "")
            except ssl.SSLError as error:
                raise ValueError("cert: there is no certificate with its key") from error

    @property
    def auth_is_given(self) -> bool:
        """Whether there is ``auth``."""
        return self._auth is not None

    @property
    def tls_is_given(self) -> bool:
        """Whether ``verify`` or ``cert`` ask for other TLS settings than the default ones."""
        return not self._is_verified or self._authorities is not None or self._identity is not None

    def ssl_context(self) -> ssl.SSLContext:
        """``verify`` and ``cert`` for transports in Python."""
        context = ssl.create_default_context()
        if self._authorities is not None:
            context.load_verify_locations(self._options["verify"])
        if not self._is_verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self._cert_files is not None:
            context.load_cert_chain(*self._cert_files)
        return context

    def refuse_settings_of(self, what: str, *details: str) -> None:
        """Raises ``TypeError`` for options that what makes the connections has already."""
        given = {
            "proxy": self.proxy is not None,
            "verify": not self._is_verified or self._authorities is not None,
            "cert": self._identity is not None,
            "http2": self.http2 is not None,
        }
        for name, instead in _INSTEAD[what].items():
            if given[name]:
                raise TypeError(
                    f"{name} can't be given together with {what}, which makes the connections: "
                    + instead.format(*details)
                )

    def refuse_http2(self, library: str) -> None:
        """Raises ``TypeError`` for ``http2=True``."""
        if self.http2:
            raise TypeError(
                f"{library} has no HTTP/2: pass an httpx client, or none of its arguments"
            )

    def native_http(self) -> _native.Http:
        """The engine's own HTTP. It checks what :meth:`native_request` takes as it is."""
        fresh = self.fresh_headers_async if self._is_async else self.fresh_headers
        return _native.Http(
            self.url,
            headers=self._default_headers(self.headers),
            fresh_headers=fresh if self.is_fresh else None,
            sensitive_headers=self._sensitive_headers,
            query_params=self._query_params,
            method=self.method,
            body=self.body,
            connect_timeout=self.connect_timeout,
            any_content_type=self._any_content_type,
            cookies=self.cookies,
            proxy=self.proxy,
            verify=self._is_verified,
            certificates=self._authorities,
            identity=self._identity,
            http2=self.http2,
        )

    def native_request(
        self,
        codings: list[str],
        *,
        own_headers: Any = None,
        has_body: bool = False,
        follow_redirects: bool = True,
    ) -> _native.Request:
        """The request for a transport in Python.

        :param own_headers: those of the transport's options, which the user's replace
        :param has_body: whether those options have a body
        """
        names = {name.lower() for name, _ in self.headers}
        others = [pair for pair in header_pairs(own_headers) if pair[0].lower() not in names]
        return _native.Request(
            self.url,
            method=self.method,
            headers=self._default_headers(others + self.headers),
            sensitive_headers=self._sensitive_headers,
            query_params=self._query_params,
            has_body=has_body or self.body is not None,
            follow_redirects=follow_redirects,
            codings=codings,
            any_content_type=self._any_content_type,
            cookies=self.cookies,
        )

    def _default_headers(self, headers: HeaderPairs) -> HeaderPairs:
        if self._has_json and not any(name.lower() == "content-type" for name, _ in headers):
            return [*headers, ("Content-Type", "application/json")]
        return headers

    @property
    def is_fresh(self) -> bool:
        """Whether functions are asked for headers before each attempt."""
        return callable(self._headers) or callable(self._auth)

    def fresh_headers(self) -> HeaderPairs | None:
        """What the functions return now."""
        if not self.is_fresh:
            return None
        headers = auth = None
        if callable(self._headers):
            with _asked("headers"):
                headers = header_pairs(_no_awaitable("headers", self._headers()))
        if callable(self._auth):
            with _asked("auth"):
                auth = authorization(_no_awaitable("auth", self._auth()))
        return self._combined(headers, auth)

    async def fresh_headers_async(self) -> HeaderPairs | None:
        """As :meth:`fresh_headers`; the functions may be coroutine functions."""
        if not self.is_fresh:
            return None
        headers = auth = None
        if callable(self._headers):
            with _asked("headers"):
                found = self._headers()
                headers = header_pairs(await found if inspect.isawaitable(found) else found)
        if callable(self._auth):
            with _asked("auth"):
                found = self._auth()
                auth = authorization(await found if inspect.isawaitable(found) else found)
        return self._combined(headers, auth)

    def _combined(self, headers: HeaderPairs | None, auth: str | None) -> HeaderPairs:
        if self.auth_is_given and not callable(self._auth):
            auth = authorization(self._auth)
        return with_header(headers or [], "Authorization", auth)


def header_pairs(headers: Any) -> HeaderPairs:
    """From a mapping or pairs; ``None``: there are none."""
    if headers is None:
        return []
    if isinstance(headers, (str, bytes)):
        raise TypeError(f"headers must be a mapping or pairs, not {shown(headers)}")
    pairs = list(headers.items() if hasattr(headers, "items") else headers)
    for pair in pairs:
        if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[0], str)):
            raise TypeError("headers are a mapping or pairs of a name, which is str, and a value")
    return pairs


def with_header(headers: HeaderPairs, name: str, value: str | None) -> HeaderPairs:
    """This header instead of those of its name; ``None``: as they are."""
    if value is None:
        return headers
    return [pair for pair in headers if pair[0].lower() != name.lower()] + [(name, value)]


def authorization(auth: Any) -> str | None:
    """The header ``Authorization``: Basic (RFC 7617) for a pair, text as it is."""
    if auth is None or isinstance(auth, str):
        return auth
    if not (
        isinstance(auth, tuple) and len(auth) == 2 and all(isinstance(part, str) for part in auth)
    ):
        raise TypeError(
            "auth must be a pair of a user and a password, the text of an Authorization header, "
            f"or a function that returns one of them, not {shown(auth)}"
        )
    user, password = auth
    if ":" in user:
        raise ValueError("auth: a user can't have a colon")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@contextlib.contextmanager
def _asked(name: str) -> Any:
    """A function of the user's is called: nothing was sent if it raises an exception."""
    try:
        yield
    except Exception as error:
        raise RequestSetupError(
            f"the function for {name} raised {type(error).__name__}: no request was sent"
        ) from error
    except BaseException as error:
        with contextlib.suppress(Exception):
            error._everstream_unsent = True  # type: ignore[attr-defined]
        raise


def _no_awaitable(name: str, found: Any) -> Any:
    if inspect.isawaitable(found):
        if inspect.iscoroutine(found):
            found.close()
        raise TypeError(f"{name} must not return an awaitable here: use AsyncSSEClient")
    return found


def _read(path: File) -> bytes:
    with open(path, "rb") as file:
        return file.read()
