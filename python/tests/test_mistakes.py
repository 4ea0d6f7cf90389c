"""Programming errors are reported at the call that makes them, and never look like the end of a
stream.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import everstream
from async_sources import AsyncScripted, collect, connect_by, run
from everstream import AsyncSSEClient, SSEClient
from everstream.actions import Fault
from everstream.config import (
    ConnectionClient,
    ConnectionResult,
    ConnectStrategy,
    ErrorStrategy,
    RetryDelayStrategy,
)
from everstream.config.async_connect_strategy import AsyncConnectionResult, AsyncConnectStrategy
from everstream.testing import Reply, SSEServer
from httpx_clients import LIBRARIES, new_client, skip_if_missing
from sources import Scripted, canned

URL = "http://127.0.0.1:1/"
CA = Path(__file__).parent / "authority.pem"
CLIENT = Path(__file__).parent / "client.pem"
CONTINUE = ErrorStrategy.always_continue()


def raising(error: BaseException) -> Callable[..., Any]:
    def function(*_: Any) -> Any:
        raise error

    return function


class Falling(logging.Handler):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def emit(self, record: logging.LogRecord) -> None:
        raise self.error


def settings(where: str, error: Exception, url: str) -> dict[str, Any]:
    """The exception that a client raises if its callback raises one."""
    if where == "query_params":
        return {"connect": ConnectStrategy.http(url, query_params=raising(error))}
    if where == "connect":
        return {"connect": Scripted(raising(error))}
    if where == "closer":
        return {"connect": Scripted(lambda _: ConnectionResult(iter([]), raising(error)))}
    if where == "error_strategy":
        return {"connect": canned([]), "error_strategy": ErrorStrategy.from_lambda(raising(error))}
    if where == "retry_delay_strategy":
        delay = RetryDelayStrategy.from_lambda(raising(error))
        return {"connect": canned([]), "error_strategy": CONTINUE, "retry_delay_strategy": delay}
    logger = logging.Logger("mine")
    logger.addHandler(Falling(error))
    return {"connect": canned([]), "logger": logger}


PLACES = ["query_params", "connect", "closer", "error_strategy", "retry_delay_strategy", "logger"]


@pytest.mark.parametrize("where", PLACES)
def test_a_stop_iteration_in_a_callback_does_not_end_the_stream(
    server: SSEServer, where: str
) -> None:
    """For example from next() on an iterator of tokens that has ended."""
    error = StopIteration()
    with SSEClient(**settings(where, error, server.url())) as client:
        with pytest.raises(RuntimeError, match="raised StopIteration") as raised:
            list(client.events)
        assert raised.value.__cause__ is error


@pytest.mark.parametrize("by", ["own", "aiohttp", *LIBRARIES])
def test_a_stop_async_iteration_in_query_params_does_not_end_the_stream(
    server: SSEServer, by: str
) -> None:
    error = StopAsyncIteration()

    async def main() -> None:
        connect = connect_by(by, server.url(), query_params=raising(error))
        async with AsyncSSEClient(connect) as client:
            with pytest.raises(RuntimeError, match="raised StopAsyncIteration") as raised:
                await collect(client.events)
            assert raised.value.__cause__ is error

    run(main())


@pytest.mark.parametrize("where", ["connect", "closer", "error_strategy"])
def test_a_stop_async_iteration_in_a_callback_does_not_end_the_stream(where: str) -> None:
    error = StopAsyncIteration()

    async def raise_it() -> None:
        raise error

    async def nothing() -> AsyncIterator[bytes]:
        return
        yield b""

    async def connect(_: str | None) -> AsyncConnectionResult:
        if where == "connect":
            raise error
        return AsyncConnectionResult(nothing(), raise_it if where == "closer" else None)

    async def main() -> None:
        strategy = ErrorStrategy.from_lambda(raising(error)) if where == "error_strategy" else None
        async with AsyncSSEClient(AsyncScripted(connect), error_strategy=strategy) as client:
            with pytest.raises(RuntimeError, match="raised StopAsyncIteration"):
                await collect(client.events)

    run(main())


def test_a_generator_exit_in_an_asynchronous_stream_does_not_block_the_reader() -> None:
    class Stream:
        def __aiter__(self) -> Stream:
            return self

        async def __anext__(self) -> bytes:
            raise GeneratorExit

    async def connect(_: str | None) -> AsyncConnectionResult:
        return AsyncConnectionResult(Stream(), None)

    async def main() -> None:
        async with AsyncSSEClient(AsyncScripted(connect)) as client:
            with pytest.raises(GeneratorExit):
                await collect(client.events)

    run(main())


@pytest.mark.parametrize("kind", [SSEClient, AsyncSSEClient])
@pytest.mark.parametrize(
    ("name", "wrong", "shown"),
    [
        ("error_strategy", 0, "int"),
        ("error_strategy", [], "list"),
        ("error_strategy", ErrorStrategy, "type ErrorStrategy"),
        ("error_strategy", ErrorStrategy.reconnect, "function ErrorStrategy.reconnect"),
        ("error_strategy", RetryDelayStrategy.default(), "_DefaultRetryDelayStrategy"),
        ("retry_delay_strategy", False, "bool"),
        ("retry_delay_strategy", lambda base: (base, None), "function"),
        ("retry_delay_strategy", ErrorStrategy.reconnect(), "_PresetErrorStrategy"),
        ("logger", 0, "int"),
        ("logger", "mine", "str"),
    ],
)
def test_a_setting_of_a_wrong_type_is_an_error_at_the_call(
    kind: type[Any], name: str, wrong: Any, shown: str
) -> None:
    with pytest.raises(TypeError, match=rf"^{name} must be .*, not {shown}"):
        kind(URL, **{name: wrong})


class Empty(ErrorStrategy):
    """A strategy that is false in a condition."""

    def __len__(self) -> int:
        return 0

    def apply(self, exception: Exception | None) -> tuple[bool, ErrorStrategy]:
        return not isinstance(exception, ConnectionRefusedError), self


def test_a_falsy_strategy_is_used() -> None:
    calls: Iterator[Any] = iter([ConnectionRefusedError(), ValueError("the next")])

    client = SSEClient(Scripted(lambda _: raising(next(calls))()), 0, error_strategy=Empty())
    with client, pytest.raises(ValueError, match="the next"):
        list(client.events)


def test_an_object_with_the_methods_of_a_logger_is_accepted() -> None:
    SSEClient(URL, logger=logging.LoggerAdapter(logging.getLogger("mine"), {}))  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [ErrorStrategy.from_lambda, RetryDelayStrategy.from_lambda])
def test_a_lambda_that_is_not_callable_is_an_error_at_the_call(make: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="fn must be a function, not int"):
        make(5)


def test_an_object_that_is_not_a_client_is_an_error_at_creation() -> None:
    class Mine(ConnectStrategy):
        def create_client(self, logger: logging.Logger) -> ConnectionClient:
            return None  # type: ignore[return-value]

    with pytest.raises(TypeError, match=r"Mine.create_client must return .*, not NoneType"):
        SSEClient(Mine())


@pytest.mark.parametrize(
    "make",
    [
        lambda: ErrorStrategy.continue_with_max_attempts(2**70),
        lambda: ErrorStrategy.reconnect([70000]),
        lambda: ErrorStrategy.reconnect([-1]),
        lambda: ConnectStrategy.http(URL, max_event_size=-1),
        lambda: ConnectStrategy.http(URL, max_event_size=2**70),
        lambda: RetryDelayStrategy.default(max_delay=float("nan")),
        lambda: RetryDelayStrategy.default(backoff_multiplier=float("nan")),
        lambda: RetryDelayStrategy.default(jitter_multiplier=float("nan")),
    ],
)
def test_a_number_out_of_range_is_a_value_error(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|is not a number"):
        make()


def test_a_status_out_of_range_is_a_value_error() -> None:
    wrong = Scripted(lambda _: ConnectionResult(iter([]), None, status=70000))
    with SSEClient(wrong) as client, pytest.raises(ValueError, match="a status must be"):
        next(client.all)


@pytest.mark.parametrize("options", [{}, {"urllib3_request_options": {}}])
@pytest.mark.parametrize("value", [b"\xc3\xbc", [b"\xc3\xbc"], "ü"])
def test_bytes_in_a_query_are_decoded(
    server: SSEServer, options: dict[str, Any], value: Any
) -> None:
    if options:
        pytest.importorskip("urllib3")
    server.otherwise(Reply.stream().event("a"))
    connect = ConnectStrategy.http(server.url(), query_params=lambda: {"a": value}, **options)
    with SSEClient(connect) as client:
        next(client.events)
    assert server.requests[0].query == "a=%C3%BC"


@pytest.mark.parametrize("by", ["own", "aiohttp", *LIBRARIES])
@pytest.mark.parametrize("value", [b"\xc3\xbc", [b"\xc3\xbc"], "ü"])
def test_bytes_in_a_query_are_decoded_in_asyncio(server: SSEServer, by: str, value: Any) -> None:
    server.otherwise(Reply.stream().event("a"))

    async def main() -> None:
        connect = connect_by(by, server.url(), query_params=lambda: {"a": value})
        async with AsyncSSEClient(connect) as client:
            await anext(client.events)

    run(main())
    assert server.requests[0].query in ("a=%C3%BC", "a=ü")


@pytest.mark.parametrize(
    ("params", "kind", "said"),
    [
        ({"a": "\ud800"}, UnicodeEncodeError, "surrogates"),
        ({"\ud800": "a"}, UnicodeEncodeError, "surrogates"),
        ({"a": b"\xff"}, UnicodeDecodeError, "utf-8"),
        ({5: "a"}, TypeError, "the name of a .* must be str, not int"),
    ],
)
def test_a_query_that_is_not_utf8_is_an_error(
    server: SSEServer, params: Any, kind: type[Exception], said: str
) -> None:
    connect = ConnectStrategy.http(server.url(), query_params=lambda: params)
    with SSEClient(connect) as client, pytest.raises(kind, match=said):
        next(client.events)
    assert server.request_count == 0


def test_aiohttp_errors_say_what_went_wrong(server: SSEServer) -> None:
    server.enqueue(
        Reply.stream().event("a").drop_connection(),
        Reply.raw(b"no HTTP\r\n\r\n"),
    )
    server.otherwise(Reply.raw(b""))
    said: list[str] = []

    async def main() -> None:
        connect = connect_by("aiohttp", server.url("/?token=hidden"))
        async with AsyncSSEClient(connect, 0, error_strategy=CONTINUE) as client:
            async for action in client.all:
                if isinstance(action, Fault):
                    said.append(str(action.error))
                if len(said) == 3:
                    break

    run(main())
    assert said[0] == "the server closed the connection mid-response"
    assert "no HTTP" in said[1]
    assert said[2] == "the server closed the connection before responding"
    assert "hidden" not in "".join(said)


def test_the_package_has_a_version() -> None:
    assert everstream.__version__.count(".") == 2


def test_the_error_names_an_async_strategy_that_does_not_return_a_client() -> None:
    class Forgetful(AsyncConnectStrategy):
        def create_client(self, logger: logging.Logger) -> Any:
            return None

    with pytest.raises(TypeError, match=r"Forgetful.create_client must return .* not NoneType"):
        AsyncSSEClient(Forgetful())


# The options of a request


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
        ({"params": {5: "x"}}, TypeError, "must be str, not int"),
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


def test_the_error_for_timeout_names_our_options() -> None:
    hint = r"'timeout': use connect_timeout or read_timeout$"
    with pytest.raises(TypeError, match=hint):
        SSEClient("http://localhost/", timeout=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=hint):
        ConnectStrategy.http("http://localhost/", timeout=3)  # type: ignore[call-arg]


def test_the_error_for_a_single_status_shows_a_list() -> None:
    with pytest.raises(TypeError, match=r"reconnect\(\[503\]\)"):
        ErrorStrategy.reconnect(503)  # type: ignore[arg-type]
