"""Environment variables and our own HTTP: trusted certificates and proxies.

The environment is read once, so each client runs in its own process.
"""

from __future__ import annotations

import os

import pytest

from conftest import AUTHORITY
from everstream.testing import Reply, SSEServer
from test_processes import Child

pytestmark = pytest.mark.skipif(not os.path.exists("/proc"), reason="others ask their system")


BLOCKING = """
    import sys
    from everstream import SSEClient
    from everstream.errors import SSEError

    try:
        with SSEClient(sys.argv[1]) as client:
            print(next(client.events).data)
    except SSEError as error:
        print(error)
    """

ASYNCIO = """
    import asyncio, sys
    from everstream import AsyncSSEClient
    from everstream.errors import SSEError

    async def main():
        async with AsyncSSEClient(sys.argv[1]) as client:
            print((await anext(client.events)).data)

    try:
        asyncio.run(main())
    except SSEError as error:
        print(error)
    """


@pytest.mark.parametrize("program", [BLOCKING, ASYNCIO], ids=["blocking", "asyncio"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_environment_can_name_a_certificate_authority(
    tls_port: int, program: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(AUTHORITY))
    assert Child(program, f"https://{host}:{tls_port}/").end() == "over TLS\n"


@pytest.mark.parametrize("program", [BLOCKING, ASYNCIO], ids=["blocking", "asyncio"])
def test_an_unknown_certificate_authority_is_not_trusted(tls_port: int, program: str) -> None:
    said = Child(program, f"https://localhost:{tls_port}/").end()
    assert "is not trusted: unknown issuer" in said
    assert "certificate" in said


@pytest.mark.parametrize("program", [BLOCKING, ASYNCIO], ids=["blocking", "asyncio"])
@pytest.mark.parametrize(
    ("variable", "url", "request_line"),
    [
        ("HTTP_PROXY", "http://nowhere.invalid/feed", ("GET", "http://nowhere.invalid/feed")),
        ("ALL_PROXY", "http://nowhere.invalid/feed", ("GET", "http://nowhere.invalid/feed")),
        ("HTTPS_PROXY", "https://nowhere.invalid/feed", ("CONNECT", "nowhere.invalid:443")),
    ],
)
def test_the_environment_can_name_a_proxy(
    server: SSEServer,
    program: str,
    variable: str,
    url: str,
    request_line: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.otherwise(
        Reply.stream().event("by the proxy") if request_line[0] == "GET" else Reply.status(403)
    )
    monkeypatch.setenv(variable, server.url())
    said = Child(program, url).end()
    assert [(request.method, request.target) for request in server.requests] == [request_line]
    if request_line[0] == "GET":
        assert said == "by the proxy\n"


def test_no_proxy_names_hosts_that_bypass_the_proxy(
    server: SSEServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.otherwise(Reply.stream().event("by itself"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert Child(BLOCKING, server.url("/feed")).end() == "by itself\n"
    assert server.requests[0].target == "/feed"
