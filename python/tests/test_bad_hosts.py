"""Redirects to hosts with invalid names."""

from __future__ import annotations

from typing import Any

import pytest

from async_sources import collect, connect_by, run
from everstream import AsyncSSEClient, SSEClient
from everstream.config import ConnectStrategy
from everstream.errors import ConnectError, RequestError, SSEError
from everstream.testing import Reply, SSEServer
from httpx_clients import LIBRARIES, new_client, skip_if_missing

HOSTS = ["a" * 64 + ".invalid", "a..invalid", "xn--a.invalid", "xn--zzzzzz99999.invalid"]


def read(by: str, url: str) -> None:
    """Reads the stream over one of the transports."""
    kind = by.removeprefix("async ")
    skip_if_missing(kind)
    if by.startswith("async"):

        async def main() -> None:
            async with AsyncSSEClient(connect_by(kind, url)) as client:
                await collect(client.all)

        run(main())
        return
    options: dict[str, Any] = {"urllib3_request_options": {}} if kind == "urllib3" else {}
    if kind in LIBRARIES:
        options["client"] = new_client(kind)
    with SSEClient(ConnectStrategy.http(url, **options)) as client:
        list(client.all)


WAYS = ["own", "urllib3", *LIBRARIES, "async own", "async aiohttp"]
WAYS += [f"async {library}" for library in LIBRARIES]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("by", WAYS)
def test_a_redirect_to_an_invalid_host_is_a_fault(server: SSEServer, by: str, host: str) -> None:
    server.enqueue(Reply.redirect(302, f"http://{host}/secret?token=x"))
    with pytest.raises(SSEError) as raised:
        read(by, server.url())
    # After a redirect the server may have acted on the request.
    assert not isinstance(raised.value, ConnectError)
    assert "token" not in str(raised.value)


# urllib3 refuses such a URL, which is a ValueError.
@pytest.mark.parametrize("by", [by for by in WAYS if by != "urllib3"])
def test_a_url_with_a_label_that_is_too_long_is_a_fault(server: SSEServer, by: str) -> None:
    with pytest.raises(ConnectError) as raised:
        read(by, f"http://{'a' * 64}.invalid/?token=x")
    assert not isinstance(raised.value, RequestError)
    assert "token" not in str(raised.value)
