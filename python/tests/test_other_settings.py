"""``ErrorStrategy.reconnect()`` and errors that only other settings can fix: an untrusted
certificate, and a proxy that answers 407.
"""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from everstream import ErrorStrategy, SSEClient
from everstream.errors import ConnectError
from everstream.testing import Reply, SSEServer
from httpx_clients import LIBRARIES, new_client
from transports import ALL, data, read, transport_fixture

by = transport_fixture(ALL)


class Delegating(ErrorStrategy):
    """Asks ``reconnect()``. Fails at the tenth call, so that no test runs forever."""

    def __init__(self) -> None:
        self.calls = 0

    def apply(self, exception: Exception | None) -> tuple[bool, ErrorStrategy]:
        self.calls += 1
        fail, _ = ErrorStrategy.reconnect([503]).apply(exception)
        return fail or self.calls == 10, self


def with_client(by: str, **options: Any) -> dict[str, Any]:
    """An httpx client with these options, if the transport is one."""
    library = by.removeprefix("async ")
    if library not in LIBRARIES:
        return {}
    return {"client": new_client(library, "AsyncClient" if by != library else "Client", **options)}


def test_an_untrusted_certificate_is_final(by: str, tls_port: int) -> None:
    url, strategy = f"https://localhost:{tls_port}/", Delegating()
    options = with_client(by, verify=ssl.create_default_context())
    _, error = read(by, url, errors=strategy, **options)
    assert isinstance(error, ConnectError)
    assert strategy.calls == 1
    options = with_client(by, verify=ssl.create_default_context())
    _, error = read(by, url, errors=ErrorStrategy.reconnect(), **options)
    assert isinstance(error, ConnectError)


@pytest.mark.parametrize("status", [407, 403])
def test_a_407_of_a_proxy_is_final(by: str, status: int, server: SSEServer) -> None:
    server.otherwise(Reply.status(status))
    strategy = Delegating()
    options = with_client(by, proxy=server.url()) or {"proxy": server.url()}
    _, error = read(by, "https://nowhere.invalid/", errors=strategy, **options)
    assert isinstance(error, ConnectError)
    assert strategy.calls == (1 if status == 407 else 10)
    if status == 407:
        options = with_client(by, proxy=server.url()) or {"proxy": server.url()}
        _, error = read(by, "https://nowhere.invalid/", errors=ErrorStrategy.reconnect(), **options)
        assert isinstance(error, ConnectError)
        assert [request.method for request in server.requests] == ["CONNECT"] * 2


def test_a_407_of_a_proxy_is_retried_after_a_connection(server: SSEServer) -> None:
    """The proxy was reached with these settings before."""
    strategy = Delegating()
    refused = [Reply.redirect(307, "https://nowhere.invalid/"), Reply.status(407)]
    server.enqueue(Reply.stream().event("a").end(), *refused * 10)
    client = SSEClient("http://nowhere.invalid/", 0, error_strategy=strategy, proxy=server.url())
    with client, pytest.raises(ConnectionError):
        list(client)
    assert strategy.calls == 10


def test_proxy_false_uses_no_proxy(
    by: str, server: SSEServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    server.otherwise(Reply.stream().event("direct").stall())
    if with_client(by):
        with pytest.raises(TypeError, match="proxy can't be used together with client"):
            SSEClient(server.url(), proxy=False, client=new_client(by.removeprefix("async ")))
        return
    actions, error = read(by, server.url(), proxy=False)
    assert (data(actions), error) == (["direct"], None)
    if "urllib3" not in by:
        assert isinstance(read(by, server.url())[1], ConnectError)


def test_a_proxy_of_another_type_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="proxy must be a URL, or False for no proxy, not bool"):
        SSEClient("http://localhost/", proxy=True)  # type: ignore[arg-type]
