"""Options of a request that are unknown, invalid or set twice are an error at the call."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from async_sources import run
from everstream import AsyncSSEClient, SSEClient
from everstream.config import ConnectStrategy
from everstream.config.async_connect_strategy import AsyncConnectStrategy
from httpx_clients import LIBRARIES, new_client, skip_if_missing

URL = "http://127.0.0.1:1/"
CA = Path(__file__).parent / "authority.pem"
CLIENT = Path(__file__).parent / "client.pem"


@pytest.mark.parametrize("kind", [SSEClient, AsyncSSEClient])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("headers", {}),
        ("json", {"a": 1}),
        ("auth", ("me", "x")),
        ("params", {}),
        ("method", "GET"),
        ("proxy", "http://localhost:1"),
        ("verify", True),
        ("cookies", False),
        ("client", None),
    ],
)
def test_a_strategy_and_options_of_the_request_are_an_error(
    kind: type[Any], name: str, value: Any
) -> None:
    strategy = (ConnectStrategy if kind is SSEClient else AsyncConnectStrategy).http(URL)
    expected = (
        rf"^{name} can't be passed together with a strategy: "
        rf"pass it to {type(strategy).__mro__[1].__name__}\.http\(\), or pass a URL"
    )
    with pytest.raises(TypeError, match=expected):
        kind(strategy, **{name: value})


@pytest.mark.parametrize("kind", [SSEClient, AsyncSSEClient])
def test_an_option_of_the_stream_is_set_in_one_place(kind: type[Any]) -> None:
    http = (ConnectStrategy if kind is SSEClient else AsyncConnectStrategy).http
    kind(http(URL, until="a", repeat_unsafe=True), read_timeout=5, until="a")
    for options, other in (
        ({"until": "a"}, {"until": "b"}),
        ({"read_timeout": 5}, {"read_timeout": 6}),
        ({"max_event_size": 5}, {"max_event_size": 6}),
    ):
        (name,) = options
        with pytest.raises(TypeError, match=f"^{name} is set by the client and by its strategy"):
            kind(http(URL, **options), **other)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (SSEClient, "SSEClient"),
        (AsyncSSEClient, "AsyncSSEClient"),
        (ConnectStrategy.http, "ConnectStrategy.http"),
        (AsyncConnectStrategy.http, "AsyncConnectStrategy.http"),
    ],
)
@pytest.mark.parametrize("option", ["header", "timeout", "data"])
def test_an_unknown_option_is_an_error(make: Callable[..., Any], name: str, option: str) -> None:
    expected = rf"^{name}\(\) got an unexpected keyword argument '{option}'(: use .*)?$"
    with pytest.raises(TypeError, match=expected):
        make(URL, **{option: None})


@pytest.mark.parametrize(
    "by", ["own", "urllib3", "aiohttp", *LIBRARIES, *(f"async {name}" for name in LIBRARIES)]
)
@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"json": {}, "body": "x"}, TypeError, "json and body can't both be set"),
        ({"json": {1, 2}}, TypeError, "set is not JSON serializable"),
        ({"auth": 5}, TypeError, "auth must be a pair .*, not int"),
        ({"auth": ("me",)}, TypeError, "auth must be a pair"),
        ({"auth": ("a:b", "x")}, ValueError, "the user name can't contain a colon"),
        ({"auth": "Bearer \n"}, ValueError, "control characters"),
        ({"headers": "X-A: 1"}, TypeError, "headers must be a mapping or pairs, not str"),
        ({"headers": [("X-A",)]}, TypeError, "headers must be a mapping or pairs"),
        ({"headers": {5: "x"}}, TypeError, "headers must be a mapping or pairs"),
        ({"headers": 5}, TypeError, "headers must be a mapping or pairs, not int"),
        ({"params": {5: "x"}}, TypeError, "must be str, not int"),
        ({"params": 5}, TypeError, "params must be a mapping or pairs, not int"),
        ({"params": "a=1"}, TypeError, "params must be a mapping or pairs, not str"),
        ({"params": dict}, TypeError, "use query_params for a function"),
        ({"params": {"a": None}}, TypeError, "params: the value of 'a' is None"),
        ({"sensitive_headers": 5}, TypeError, "sensitive_headers must be a list .*, not int"),
        ({"sensitive_headers": ["a b"]}, ValueError, 'the name of a header can\'t be "a b"'),
        ({"any_content_type": "x"}, TypeError, "any_content_type must be True or False, not str"),
        ({"connect_timeout": "5"}, TypeError, "connect_timeout must be .* seconds, not str"),
        ({"http2": "yes"}, TypeError, "http2 must be True, False or None, not str"),
        ({"method": 5}, TypeError, "method must be str, not int"),
        ({"verify": 5}, TypeError, "verify must be True, False or the path .*, not int"),
        ({"verify": "/nowhere/ca.pem"}, FileNotFoundError, "/nowhere/ca.pem"),
        ({"verify": __file__}, ValueError, "verify: .* contains no certificates"),
        ({"cert": 5}, TypeError, "cert must be the path .*, not int"),
        ({"cert": __file__}, ValueError, "cert: no certificate"),
        ({"proxy": 5}, TypeError, "proxy must be a URL, or False for no proxy, not int"),
        ({"cookies": {"a": "1"}}, TypeError, "cookies must be True or False.*'Cookie'"),
        ({"until": 5}, TypeError, "until must be str or a function, not int"),
        ({"oversize": "drop"}, ValueError, "oversize must be 'fail' or 'skip', not 'drop'"),
        ({"read_timeout": "5"}, TypeError, "read_timeout must be a number of seconds, not str"),
        ({"read_timeout": -1}, ValueError, "read_timeout must be .* 0 or more, not -1"),
        ({"max_event_size": -1}, ValueError, "max_event_size must be .* 0 or more, not -1"),
        ({"max_event_size": "5"}, TypeError, "max_event_size must be .* bytes, not str"),
        ({"max_event_size": True}, TypeError, "max_event_size must be .* bytes, not bool"),
    ],
)
def test_an_invalid_option_is_an_error_at_the_call(
    by: str, options: dict[str, Any], kind: type[Exception], said: str
) -> None:
    skip_if_missing(by)
    library = by.removeprefix("async ")
    transport: dict[str, Any] = {
        "urllib3": {"urllib3_request_options": {}},
        "aiohttp": {"aiohttp_request_options": {}},
    }.get(by, {})
    is_async = by == "aiohttp" or by != library
    if library in LIBRARIES:
        transport = {"client": new_client(library, "AsyncClient" if is_async else "Client")}
    with pytest.raises(kind, match=said):
        (AsyncSSEClient if is_async else SSEClient)(URL, **transport, **options)


@pytest.mark.parametrize(
    ("options", "instead"),
    [
        ({"proxy": "http://localhost:1"}, r"(proxy=...)"),
        ({"verify": False}, r"(verify=...)"),
        ({"verify": CA}, r"(verify=...)"),
        ({"cert": CLIENT}, r"(verify=...)"),
        ({"http2": True}, r"(http2=...)"),
        ({"http2": False}, r"(http2=...)"),
    ],
)
@pytest.mark.parametrize("by", [*LIBRARIES, *(f"async {name}" for name in LIBRARIES)])
def test_options_that_an_httpx_client_has_are_refused(
    by: str, options: dict[str, Any], instead: str
) -> None:
    skip_if_missing(by)
    library = by.removeprefix("async ")
    kind = "Client" if by == library else "AsyncClient"
    (name,) = options
    expected = re.escape(f"{name} can't be used together with client")
    with pytest.raises(TypeError, match=expected + ".*" + re.escape(f"{library}.{kind}{instead}")):
        (SSEClient if by == library else AsyncSSEClient)(
            URL, client=new_client(library, kind), **options
        )


@pytest.mark.parametrize(
    ("options", "instead"),
    [
        ({"proxy": "http://localhost:1"}, "urllib3.ProxyManager"),
        ({"verify": False}, "cert_reqs='CERT_NONE'"),
        ({"cert": CLIENT}, "cert_file=..."),
        ({"http2": True}, "urllib3 doesn't support HTTP/2"),
    ],
)
def test_options_that_a_pool_has_are_refused(options: dict[str, Any], instead: str) -> None:
    urllib3 = pytest.importorskip("urllib3")
    with urllib3.PoolManager() as pool, pytest.raises(TypeError, match=re.escape(instead)):
        SSEClient(URL, pool=pool, **options)


def test_options_that_urllib3_does_not_support_are_refused() -> None:
    pytest.importorskip("urllib3")
    with pytest.raises(ValueError, match="SOCKSProxyManager"):
        SSEClient(URL, urllib3_request_options={}, proxy="socks5://localhost:1")
    SSEClient(URL, urllib3_request_options={}, http2=False)


def test_options_set_twice_with_aiohttp_are_refused() -> None:
    aiohttp = pytest.importorskip("aiohttp")

    async def main() -> None:
        with warnings.catch_warnings():
            # aiohttp 4 replaces this argument.
            warnings.simplefilter("ignore", DeprecationWarning)
            theirs = aiohttp.ClientSession(auth=aiohttp.BasicAuth("me", "x"))
        async with theirs as session:
            with pytest.raises(TypeError, match="auth can't be used together with"):
                AsyncSSEClient(URL, session=session, auth=("me", "x"))
        for options, said in (
            ({"proxy": "http://localhost:1"}, "proxy can't be used .* 'proxy' of aiohttp"),
            ({"verify": False}, "verify and cert can't be used .* 'ssl' of aiohttp"),
        ):
            own = {"proxy": "http://localhost:2", "ssl": False}
            with pytest.raises(TypeError, match=said):
                AsyncSSEClient(URL, aiohttp_request_options=own, **options)
        with pytest.raises(TypeError, match="aiohttp doesn't support HTTP/2"):
            AsyncSSEClient(URL, aiohttp_request_options={}, http2=True)

    run(main())


@pytest.mark.parametrize("proxy", ["", "localhost:1", "socks5://localhost:1"])
def test_proxies_that_aiohttp_does_not_support_are_refused(proxy: str) -> None:
    pytest.importorskip("aiohttp")
    with pytest.raises(ValueError, match="with aiohttp it must be an http or https URL"):
        AsyncSSEClient(URL, aiohttp_request_options={}, proxy=proxy)


def test_the_error_for_timeout_names_our_options() -> None:
    hint = r"'timeout': use connect_timeout or read_timeout$"
    with pytest.raises(TypeError, match=hint):
        SSEClient("http://localhost/", timeout=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=hint):
        ConnectStrategy.http("http://localhost/", timeout=3)  # type: ignore[call-arg]
