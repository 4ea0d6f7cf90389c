"""The request of a strategy, independent of the transport."""

from __future__ import annotations

import base64
import contextlib
import inspect
import json
import os
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final

from .. import _native
from ..errors import RequestSetupError
from ._checks import UNSET, Unset, describe
from ._options import (
    File,
    HeaderPairs,
    HttpOptions,
    QueryParams,
    Stream,
    StreamOptions,
    unexpected_keyword,
)

#: Options that the user's pool or client has itself, and what to do instead.
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
    """The checked request of a strategy, independent of the transport."""

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
                raise unexpected_keyword(place, name)
        if query_params is not None and not callable(query_params):
            raise TypeError("query_params must be a function; use params for fixed parameters")
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
                "cookies must be True or False: whether to keep the cookies that servers set. To "
                "send your own, use headers={'Cookie': ...}"
            )
        self._any_content_type: bool = options.get("any_content_type", False)
        connect_timeout: Any = options.get("connect_timeout", UNSET)
        #: ``None``: the default. 0: no limit.
        self.connect_timeout: float | None = (
            None if isinstance(connect_timeout, Unset) else connect_timeout or 0.0
        )
        self._take_body(options)
        self._take_tls(options)
        proxy = options.get("proxy")
        #: Whether a proxy may be used: the one that is set, or the system's.
        self.use_proxy = proxy is not False
        self.proxy: str | None = proxy if self.use_proxy else None
        if self.proxy is not None and not isinstance(self.proxy, str):
            raise TypeError(
                f"proxy must be a URL, or False for no proxy, not {describe(self.proxy)}"
            )
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

    def _take_body(self, options: Mapping[str, Any]) -> None:
        body, value = options.get("body"), options.get("json")
        self._has_json = value is not None
        if self._has_json:
            if body is not None:
                raise TypeError("json and body can't both be set: json is the body")
            body = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        self.body: Any = body.encode() if isinstance(body, str) else body
        method = options.get("method")
        if method is not None and not isinstance(method, str):
            raise TypeError(f"method must be str, not {describe(method)}")
        self.method = method.upper() if method else "POST" if self._has_json else "GET"

    def _take_tls(self, options: Mapping[str, Any]) -> None:
        verify, cert = options.get("verify", True), options.get("cert")
        self._is_verified = verify is not False
        self._authorities: bytes | None = None
        self._identity: tuple[bytes, bytes] | None = None
        self._cert_files: tuple[File, File] | None = None
        if not isinstance(verify, (bool, str, os.PathLike)):
            raise TypeError(
                f"verify must be True, False or the path of a PEM file, not {describe(verify)}"
            )
        if not isinstance(verify, bool):
            self._authorities = _read(verify)
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(verify)
            except ssl.SSLError as error:
                raise ValueError(
                    f"verify: {os.fspath(verify)!r} contains no certificates"
                ) from error
        if cert is not None:
            pair = (cert, cert) if isinstance(cert, (str, os.PathLike)) else cert
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise TypeError(
                    f"cert must be the path of a PEM file or a pair of paths, not {describe(cert)}"
                )
            self._cert_files = pair
            self._identity = (_read(pair[0]), _read(pair[1]))
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(pair[0], pair[1], "")
            except ssl.SSLError as error:
                raise ValueError("cert: no certificate with a matching key found") from error

    @property
    def auth_is_given(self) -> bool:
        """Whether ``auth`` is set."""
        return self._auth is not None

    @property
    def tls_is_given(self) -> bool:
        """Whether ``verify`` or ``cert`` change the default TLS settings."""
        return not self._is_verified or self._authorities is not None or self._identity is not None

    def ssl_context(self) -> ssl.SSLContext:
        """The TLS settings for transports in Python."""
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
        """Raises ``TypeError`` for options that the user's pool or client has itself."""
        given = {
            "proxy": self.proxy is not None or not self.use_proxy,
            "verify": not self._is_verified or self._authorities is not None,
            "cert": self._identity is not None,
            "http2": self.http2 is not None,
        }
        for name, instead in _INSTEAD[what].items():
            if given[name]:
                raise TypeError(
                    f"{name} can't be used together with {what}, which makes the connections: "
                    + instead.format(*details)
                )

    def refuse_http2(self, library: str) -> None:
        """Raises ``TypeError`` for ``http2=True``."""
        if self.http2:
            raise TypeError(
                f"{library} doesn't support HTTP/2: use Everstream's own HTTP or an httpx client"
            )

    @property
    def _full_url(self) -> str:
        return _native.add_params(self.url, self._options.get("params"))

    def native_http(self) -> _native.Http:
        """The request for the engine's own HTTP. Checks more than :meth:`native_request`."""
        fresh = self.fresh_headers_async if self._is_async else self.fresh_headers
        return _native.Http(
            self._full_url,
            headers=self._default_headers(self.headers),
            fresh_headers=fresh if self.has_functions else None,
            sensitive_headers=self._sensitive_headers,
            query_params=self._query_params,
            method=self.method,
            body=self.body,
            connect_timeout=self.connect_timeout,
            any_content_type=self._any_content_type,
            cookies=self.cookies,
            proxy=self.proxy,
            use_proxy=self.use_proxy,
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

        :param own_headers: headers from the transport's options; the user's take precedence
        :param has_body: whether the transport's options have a body
        """
        names = {name.lower() for name, _ in self.headers}
        others = [pair for pair in header_pairs(own_headers) if pair[0].lower() not in names]
        return _native.Request(
            self._full_url,
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
    def has_functions(self) -> bool:
        """Whether functions are called for headers before each attempt."""
        return callable(self._headers) or callable(self._auth)

    def fresh_headers(self) -> HeaderPairs | None:
        """Calls the functions."""
        if not self.has_functions:
            return None
        headers = auth = None
        if callable(self._headers):
            with _as_setup_error("headers"):
                headers = header_pairs(_no_awaitable("headers", self._headers()))
            _check_values("headers", headers)
        if callable(self._auth):
            with _as_setup_error("auth"):
                auth = authorization(_no_awaitable("auth", self._auth()))
            _check_values("auth", with_header([], "Authorization", auth))
        return self._combined(headers, auth)

    async def fresh_headers_async(self) -> HeaderPairs | None:
        """Like :meth:`fresh_headers`; the functions may be coroutine functions."""
        if not self.has_functions:
            return None
        headers = auth = None
        if callable(self._headers):
            with _as_setup_error("headers"):
                found = self._headers()
                headers = header_pairs(await found if inspect.isawaitable(found) else found)
            _check_values("headers", headers)
        if callable(self._auth):
            with _as_setup_error("auth"):
                found = self._auth()
                auth = authorization(await found if inspect.isawaitable(found) else found)
            _check_values("auth", with_header([], "Authorization", auth))
        return self._combined(headers, auth)

    def _combined(self, headers: HeaderPairs | None, auth: str | None) -> HeaderPairs:
        if self.auth_is_given and not callable(self._auth):
            auth = authorization(self._auth)
        return with_header(headers or [], "Authorization", auth)


def header_pairs(headers: Any) -> HeaderPairs:
    """The headers of a mapping or pairs; none for ``None``."""
    if headers is None:
        return []
    if isinstance(headers, (str, bytes)):
        raise TypeError(f"headers must be a mapping or pairs, not {describe(headers)}")
    pairs = list(headers.items() if hasattr(headers, "items") else headers)
    for pair in pairs:
        if not (isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[0], str)):
            raise TypeError(
                "headers must be a mapping or pairs of a name, which is str, and a value"
            )
    return pairs


def with_header(headers: HeaderPairs, name: str, value: str | None) -> HeaderPairs:
    """Replaces all headers of this name; does nothing for ``None``."""
    if value is None:
        return headers
    return [pair for pair in headers if pair[0].lower() != name.lower()] + [(name, value)]


def authorization(auth: Any) -> str | None:
    """The value of ``Authorization``: Basic (RFC 7617) for a pair; text is used unchanged."""
    if auth is None or isinstance(auth, str):
        return auth
    if not (
        isinstance(auth, tuple) and len(auth) == 2 and all(isinstance(part, str) for part in auth)
    ):
        raise TypeError(
            "auth must be a pair of a user and a password, the text of an Authorization header, "
            f"or a function that returns one of them, not {describe(auth)}"
        )
    user, password = auth
    if ":" in user:
        raise ValueError("auth: the user name can't contain a colon")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@contextlib.contextmanager
def _as_setup_error(name: str) -> Any:
    """Wraps an exception of the user's function, which means that no request was sent."""
    try:
        yield
    except Exception as error:
        raise RequestSetupError(
            f"no request was sent: the function for {name} raised {type(error).__name__}"
        ) from error
    except BaseException as error:
        with contextlib.suppress(Exception):
            error._everstream_unsent = True  # type: ignore[attr-defined]
        raise


def _check_values(name: str, headers: HeaderPairs) -> None:
    """Raises ``RequestSetupError`` if the function returned a value that can't be sent."""
    try:
        _native.check_header_values(headers)
    except ValueError as error:
        raise RequestSetupError(
            f"no request was sent: the function for {name} returned an invalid value: {error}"
        ) from error


def _no_awaitable(name: str, found: Any) -> Any:
    if inspect.isawaitable(found):
        if inspect.iscoroutine(found):
            found.close()
        raise TypeError(f"{name} must not return an awaitable here: use AsyncSSEClient")
    return found


def _read(path: File) -> bytes:
    with open(path, "rb") as file:
        return file.read()
