"""The ``except`` clauses of programs written for ``ld_eventsource``.

Each program runs once with the original and once with this package in its place.
"""

from __future__ import annotations

import importlib.util
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from everstream.errors import ConnectError
from everstream.testing import Reply, SSEServer

INSTALL = "import everstream.compat\neverstream.compat.install_as_ld_eventsource()\n"

#: Prints the names of all exceptions of the library that match the raised exception.
BLOCKING = """
import json, sys
import urllib3
from urllib3 import exceptions as library
from ld_eventsource import SSEClient
from ld_eventsource.config import ConnectStrategy

url, way = sys.argv[1:]
options = {}
if "timeout" in url:
    options["urllib3_request_options"] = {"timeout": urllib3.Timeout(0.3)}
if way == "pool":
    options["pool"] = urllib3.PoolManager()
try:
    list(SSEClient(ConnectStrategy.http(url, **options)).events)
except Exception as error:
    caught = error
found = [cls for cls in vars(library).values() if isinstance(cls, type)]
found = [cls for cls in found if cls.__module__ == library.__name__]
print(json.dumps([cls.__name__ for cls in found if isinstance(caught, cls)]))
"""

ASYNC = """
import asyncio, json, sys
import aiohttp
from aiohttp import client_exceptions as library
from ld_eventsource import AsyncSSEClient
from ld_eventsource.config.async_connect_strategy import AsyncConnectStrategy

url, way = sys.argv[1:]

async def main():
    options = {}
    if "timeout" in url:
        timeout = aiohttp.ClientTimeout(total=None, sock_read=0.3)
        options["aiohttp_request_options"] = {"timeout": timeout}
    if way == "pool":
        options["session"] = aiohttp.ClientSession()
    try:
        async with AsyncSSEClient(AsyncConnectStrategy.http(url, **options)) as client:
            async for event in client.events:
                pass
    except Exception as error:
        return error
    finally:
        if way == "pool":
            await options["session"].close()

caught = asyncio.run(main())
found = [cls for cls in vars(library).values() if isinstance(cls, type)]
found = [cls for cls in found if cls.__module__ == library.__name__]
print(json.dumps([cls.__name__ for cls in found if isinstance(caught, cls)]))
"""


def run(program: str, *arguments: str) -> Any:
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(server: SSEServer, _: int) -> str:
    server.stop()
    return server.url()


def unknown_host(_: SSEServer, __: int) -> str:
    return "http://nothing.invalid/"


def untrusted(_: SSEServer, tls_port: int) -> str:
    return f"https://localhost:{tls_port}/"


def closed_before_the_response(server: SSEServer, _: int) -> str:
    server.otherwise(Reply.raw("").drop_connection())
    return server.url()


def reset_before_the_response(server: SSEServer, _: int) -> str:
    server.otherwise(Reply.raw("").reset())
    return server.url()


def cut_within_the_response(server: SSEServer, _: int) -> str:
    server.otherwise(Reply.stream().event("a").drop_connection())
    return server.url()


def silent_within_the_response(server: SSEServer, _: int) -> str:
    server.otherwise(Reply.stream().event("a").stall())
    return server.url("/timeout")


MISHAPS = [
    refused,
    unknown_host,
    untrusted,
    closed_before_the_response,
    reset_before_the_response,
    cut_within_the_response,
    silent_within_the_response,
]

#: aiohttp's class for certificate errors isn't among these.
LEFT = {"ClientConnectorCertificateError"}


@pytest.mark.parametrize("way", ["plain", "pool"])
@pytest.mark.parametrize("program", [BLOCKING, ASYNC], ids=["urllib3", "aiohttp"])
@pytest.mark.parametrize("mishap", MISHAPS)
def test_exceptions_of_the_original_can_be_caught(
    server: SSEServer,
    tls_port: int,
    mishap: Callable[[SSEServer, int], str],
    program: str,
    way: str,
) -> None:
    pytest.importorskip("aiohttp" if program is ASYNC else "urllib3")
    if importlib.util.find_spec("ld_eventsource") is None:
        pytest.skip("the original isn't installed")
    url = mishap(server, tls_port)
    expected = set(run(program, url, way)) - LEFT
    assert expected, "the original raises an exception of its library"
    assert expected <= set(run(INSTALL + program, url, way))


def test_without_install_the_errors_are_unchanged() -> None:
    assert run(
        "import json, urllib3\n"
        "from everstream.errors import ConnectError\n"
        "print(json.dumps(isinstance(ConnectError('a'), urllib3.exceptions.HTTPError)))"
    ) is (False)


def test_the_errors_keep_their_own_classes() -> None:
    """Their text, errno and classes, with and without the other libraries."""
    program = INSTALL + (
        "import json, pickle, sys\n"
        "from everstream.errors import ConnectError, ReadTimeoutError\n"
        "bare = type(ConnectError('a')) is ConnectError\n"
        "import urllib3\n"
        "error = ConnectError('no way')\n"
        "error.errno = 111\n"
        "error.not_repeated = True\n"
        "is_timeout = isinstance(ReadTimeoutError('a'), TimeoutError)\n"
        "is_ours = isinstance(error, ConnectionError)\n"
        "pickled = pickle.dumps(error).hex()\n"
        "print(json.dumps([bare, is_ours, str(error)[:12], repr(error), is_timeout, pickled]))"
    )
    *rest, pickled = run(program)
    assert rest == [True, True, "no way; the ", "ConnectError('no way')", True]
    error = pickle.loads(bytes.fromhex(pickled))
    assert type(error) is ConnectError
    assert (error.args, error.not_repeated) == (("no way",), True)
