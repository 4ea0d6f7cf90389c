"""One request, with the redirects that it takes."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

import urllib3
from urllib3 import exceptions as u3

from .._disconnect import NO_RESPONSE, disconnect
from .._headers import Headers
from .._native import redact_url
from ..config import ConnectionResult
from ..errors import (
    ConnectError,
    ConnectTimeoutError,
    HTTPContentEncodingError,
    HTTPContentTypeError,
    HTTPRedirectError,
    HTTPStatusError,
    ReadTimeoutError,
    RequestError,
    SSEError,
    _ResponseError,
)
from .body import Body
from .request import NOT_IN_A_VALUE, Request, origin, with_query
from .wire import Wire

MAX_REDIRECTS: Final = 10
ERROR_BODY: Final = 1024
# A server that stalls in an error's body must not hold up the error.
ERROR_BODY_TIME: Final = 2.0

_REDIRECTS: Final = (301, 302, 303, 307, 308)
_CREDENTIALS: Final = ("authorization", "cookie", "proxy-authorization")
_ABOUT_BODY: Final = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-type",
    "transfer-encoding",
)


class Attempt:
    """One request, with the redirects that it takes."""

    def __init__(self, request: Request, pool: Any, wire: Wire) -> None:
        self._original = request
        self._pool = wire.view(pool)
        self._wire = wire
        self._method = request.method
        self._headers = dict(request.headers)
        self._options = dict(request.options)

    def run(self, last_event_id: str | None) -> ConnectionResult:
        url = self._original.url
        if self._original.query_params is not None:
            url = with_query(url, self._original.query_params())
        if last_event_id:
            value = last_event_id.encode()
            # An id that can't be a header's value is kept for the user, and not sent.
            if not NOT_IN_A_VALUE.search(value):
                self._headers["last-event-id"] = value
        followed = 0
        while True:
            url = self._take_user_info(url)
            response = self._request(url, followed > 0)
            body = Body(response, self._wire)
            try:
                if response.status not in _REDIRECTS:
                    return self._checked(response, body, url)
                target = self._target(response, body, url, followed)
            except BaseException:
                body.close()
                raise
            body.close()
            followed += 1
            self._adapt(response.status)
            if origin(url) != origin(target):
                # Once they are removed they don't come back, also if the next one leads home.
                for name in ("host", *_CREDENTIALS):
                    self._headers.pop(name, None)
            url = target

    def _take_user_info(self, url: str) -> str:
        """Makes a header of it: urllib3 leaves it out."""
        parts = urlsplit(url)
        info, at, host = parts.netloc.rpartition("@")
        if not at:
            return url
        if "authorization" not in self._headers:
            basic = urllib3.make_headers(basic_auth=unquote(info))
            self._headers["authorization"] = basic["authorization"].encode()
        return urlunsplit(parts._replace(netloc=host))

    def _request(self, url: str, redirected: bool) -> Any:
        if self._wire.stopped:
            raise ConnectError("the client was stopped")
        self._wire.asked = False
        try:
            return self._pool.request(
                self._method,
                url,
                # http.client makes Latin-1 of it, and so the bytes that it was.
                headers={name: value.decode("latin-1") for name, value in self._headers.items()},
                redirect=False,
                retries=False,
                preload_content=False,
                **self._options,
            )
        except u3.HTTPError as error:
            failure, cause = self._failure(error, url, redirected), error
        # Outside the handler: else the context would be told of twice.
        raise failure from cause

    def _failure(self, error: Exception, url: str, redirected: bool) -> Exception:
        """Before the request nothing can have happened at the server; afterwards it can."""
        shown = redact_url(url)
        if isinstance(error, u3.LocationValueError):
            return ValueError(f"{shown} isn't a URL that urllib3 can ask")
        connecting = not self._wire.asked or isinstance(
            error, (u3.NewConnectionError, u3.ConnectTimeoutError, u3.ProxyError)
        )
        late = isinstance(error, u3.TimeoutError)
        kind: type[SSEError]
        if connecting and late:
            kind, text = ConnectTimeoutError, f"could not connect to {shown} in time: {error}"
        elif connecting:
            kind, text = ConnectError, f"could not connect to {shown}: {error}"
        elif late:
            return ReadTimeoutError(f"no answer came from {shown} within the read timeout")
        else:
            text = disconnect(error, NO_RESPONSE) or f"the request to {shown} failed: {error}"
            kind = RequestError
        # Who redirects may have acted before.
        failure = RequestError(text) if redirected else kind(text)
        number = errno(error)
        if number is not None and isinstance(failure, OSError):
            failure.errno = number
        return failure

    def _target(self, response: Any, body: Body, url: str, followed: int) -> str:
        if followed >= self._original.redirects:
            problem = f"redirects once more, after {followed} redirects"
        else:
            location = response.headers.get("location")
            problem = "redirects without a usable Location"
            if location:
                # http.client reads UTF-8 as Latin-1.
                with contextlib.suppress(UnicodeError):
                    location = location.encode("latin-1").decode()
                location = quote(location, safe="/:?#[]@!$&'()*+,;=%~")
                with contextlib.suppress(ValueError):
                    target = urlsplit(urljoin(url, location))
                    if target.scheme not in ("http", "https"):
                        problem = "redirects to something other than HTTP"
                    elif target.hostname and (target.port is None or target.port >= 0):
                        return urlunsplit(target)
        text = f"{redact_url(url)} {problem}"
        raise self._error(HTTPRedirectError, response.status, response, body, url, text)

    def _adapt(self, status: int) -> None:
        """Makes a GET of what isn't to be repeated as it is."""
        method = self._method.upper()
        # urllib3 has put these into the query, which the new URL has or has not.
        if method in ("GET", "HEAD", "DELETE", "OPTIONS"):
            self._options.pop("fields", None)
        becomes_get = method == "POST" if status in (301, 302) else status == 303
        if becomes_get and method not in ("GET", "HEAD"):
            self._method = "GET"
            for option in ("body", "fields", "json", "chunked"):
                self._options.pop(option, None)
            for name in _ABOUT_BODY:
                self._headers.pop(name, None)

    def _checked(self, response: Any, body: Body, url: str) -> ConnectionResult:
        """What is in the response, if it is a stream."""
        status = response.status
        if not 200 <= status <= 299 or status == 204:
            raise self._error(HTTPStatusError, status, response, body, url)
        content_type = response.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != "text/event-stream":
            raise self._error(HTTPContentTypeError, content_type, response, body, url)
        encoding = response.headers.get("content-encoding", "")
        if not is_known(encoding):
            raise self._error(HTTPContentEncodingError, encoding, response, body, url)
        headers = response_headers(response)
        return ConnectionResult(body, body.close, headers, status=status, url=url)

    def _error(
        self,
        kind: Callable[..., _ResponseError],
        value: Any,
        response: Any,
        body: Body,
        url: str,
        message: str | None = None,
    ) -> _ResponseError:
        kept = body.first(ERROR_BODY, ERROR_BODY_TIME)
        return kind(value, response_headers(response), url=url, body=kept, message=message)


def response_headers(response: Any) -> Headers:
    return Headers(
        # http.client reads UTF-8 as Latin-1.
        (name, value.encode("latin-1", "replace").decode("utf-8", "replace"))
        for name, value in response.headers.iteritems()
    )


def is_known(encoding: str) -> bool:
    codings = [coding.strip().lower() for coding in encoding.split(",")]
    known = ("", "identity", *urllib3.HTTPResponse.CONTENT_DECODERS)
    return all(coding in known for coding in codings)


def errno(error: BaseException | None) -> int | None:
    """The system's error number, if there is one."""
    while error is not None:
        # OpenSSL's numbers aren't the system's.
        if isinstance(error, OSError) and error.errno and not isinstance(error, ssl.SSLError):
            return error.errno
        inner = next((one for one in error.args if isinstance(one, OSError)), None)
        error = error.__cause__ or error.__context__ or inner
    return None
