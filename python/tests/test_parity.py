"""The blocking classes and the asyncio classes have the same public members."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

import everstream
from everstream import AsyncSSEClient, SSEClient, _native, async_client, config, sse_client
from everstream.async_client import AsyncIter
from everstream.config import (
    AsyncConnectionClient,
    AsyncConnectionResult,
    AsyncConnectStrategy,
    ConnectionClient,
    ConnectionResult,
    ConnectStrategy,
)

PAIRS: list[tuple[type, type]] = [
    (SSEClient, AsyncSSEClient),
    (ConnectStrategy, AsyncConnectStrategy),
    (ConnectionClient, AsyncConnectionClient),
    (ConnectionResult, AsyncConnectionResult),
    (_native.Iter, AsyncIter),
]

#: Each blocking class and its asyncio counterpart.
RENAMED = {
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "aclose": "close",
    "session": "pool",
    "aiohttp_request_options": "urllib3_request_options",
}

#: Allowed differences between the types of parameters, such as the names of the classes.
TYPES = {
    "AsyncClient": "Client",
    "aiohttp.ClientSession | None": "Any",
    "AsyncIter[": "_native.Iter[",
    "Async": "",
}

#: Not coroutines, because they return at once.
NEVER_AWAITED = {"create_client", "http", "__init__", "__iter__"}


def members(cls: type) -> dict[str, Any]:
    """The public members, and the special methods that a class defines for its users."""
    special = {"__init__", "__iter__", "__next__", "__enter__", "__exit__"}
    found = {}
    for name in dir(cls):
        common = RENAMED.get(name, name)
        if not name.startswith("_") or common in special:
            found[common] = inspect.getattr_static(cls, name)
    return found


def kind(member: Any) -> str:
    for kind in (property, staticmethod, classmethod):
        if isinstance(member, kind):
            return kind.__name__
    return "getset" if inspect.isgetsetdescriptor(member) else "method"


def common_type(annotation: object) -> str:
    # In asyncio, the user's function may be a coroutine function.
    text = re.sub(r" \| Awaitable\[[^\]]*\]", "", str(annotation))
    for name, common in TYPES.items():
        text = text.replace(name, common)
    return text


def parameters(function: Any) -> list[tuple[Any, ...]]:
    return [
        (
            RENAMED.get(parameter.name, parameter.name),
            parameter.kind,
            parameter.default,
            common_type(parameter.annotation),
        )
        for parameter in inspect.signature(function).parameters.values()
    ]


@pytest.mark.parametrize(("blocking", "asynchronous"), PAIRS, ids=lambda cls: cls.__name__)
def test_both_clients_have_the_same_members(blocking: type, asynchronous: type) -> None:
    ours, theirs = members(blocking), members(asynchronous)
    assert ours.keys() == theirs.keys()
    assert {name: kind(ours[name]) for name in ours} == {
        name: kind(theirs[name]) for name in theirs
    }


@pytest.mark.parametrize(("blocking", "asynchronous"), PAIRS[:-1], ids=lambda cls: cls.__name__)
def test_both_clients_have_the_same_signatures(blocking: type, asynchronous: type) -> None:
    theirs = members(asynchronous)
    for name, member in members(blocking).items():
        other = theirs[name]
        if isinstance(member, property):
            member, other = member.fget, other.fget
        elif isinstance(member, staticmethod):
            member, other = member.__func__, other.__func__
        elif not inspect.isfunction(member):
            # `object.__init__`
            assert member is other, name
            continue
        else:
            is_awaited = name not in NEVER_AWAITED
            assert inspect.iscoroutinefunction(other) is is_awaited, name
        assert parameters(member) == parameters(other), name
        returned = [inspect.signature(one).return_annotation for one in (member, other)]
        stream = "Iterator[bytes]"
        types = [re.sub(r"^AsyncIterator\[bytes\]$", stream, str(one)) for one in returned]
        assert common_type(types[0]) == common_type(types[1]), name


def test_the_strategies_can_be_imported_from_the_package() -> None:
    assert everstream.ConnectStrategy is config.ConnectStrategy
    assert everstream.ErrorStrategy is config.ErrorStrategy
    assert everstream.RetryDelayStrategy is config.RetryDelayStrategy
    assert everstream.TRANSIENT_STATUSES is config.TRANSIENT_STATUSES
    names = {"ConnectStrategy", "ErrorStrategy", "RetryDelayStrategy", "TRANSIENT_STATUSES"}
    assert names <= set(everstream.__all__)


def test_the_modules_of_the_clients_have_the_names_of_the_original() -> None:
    assert sse_client.SSEClient is SSEClient
    assert async_client.AsyncSSEClient is AsyncSSEClient
    assert (sse_client.__all__, async_client.__all__) == (["SSEClient"], ["AsyncSSEClient"])
