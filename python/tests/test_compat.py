"""Programs written for ``ld_eventsource``.

Each runs in a new interpreter, because it changes ``sys.modules``.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

from everstream.testing import Gate, Reply, SSEServer

INSTALL = "import everstream.compat\neverstream.compat.install_as_ld_eventsource()\n"


def run(program: str, *arguments: str) -> str:
    """The output of the program."""
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return done.stdout


PROGRAM = """
import logging
import sys

import ld_eventsource
import ld_eventsource.actions
from ld_eventsource import *
from ld_eventsource.actions import Action, Comment, Event, Fault, Start
from ld_eventsource.config import (
    ConnectionClient,
    ConnectionResult,
    ConnectStrategy,
    ErrorStrategy,
    RetryDelayStrategy,
)
from ld_eventsource.config.connect_strategy import ConnectStrategy as Again
from ld_eventsource.config.error_strategy import ErrorStrategy
from ld_eventsource.config.retry_delay_strategy import RetryDelayStrategy
from ld_eventsource.errors import ExceptionWithHeaders, HTTPContentTypeError, HTTPStatusError
from ld_eventsource.http import DynamicQueryParams
from ld_eventsource.sse_client import SSEClient
from ld_eventsource.version import VERSION

assert ConnectStrategy is Again
assert ld_eventsource.SSEClient is SSEClient
assert ld_eventsource.config.ErrorStrategy is ErrorStrategy
assert isinstance(HTTPStatusError(500, {"a": "b"}), ExceptionWithHeaders)


class OnlyOnce(ErrorStrategy):
    def apply(self, exception):
        return (ErrorStrategy.CONTINUE, ErrorStrategy.always_fail())


client = SSEClient(
    connect=ConnectStrategy.http(url=sys.argv[1], headers={"Authorization": "abcdef"}),
    initial_retry_delay=0,
    retry_delay_strategy=RetryDelayStrategy.default(backoff_multiplier=1, jitter_multiplier=None),
    retry_delay_reset_threshold=0,
    error_strategy=OnlyOnce(),
    last_event_id="0",
    logger=logging.getLogger("mine"),
)
try:
    for action in client.all:
        if isinstance(action, Start):
            print("start", action.headers.get("content-type"))
        elif isinstance(action, Event):
            print("event", action.event, action.data, action.id, action.last_event_id)
        elif isinstance(action, Comment):
            print("comment", action.comment)
        elif isinstance(action, Fault):
            print("fault", action.error)
except HTTPStatusError as e:
    print("error", e.status, e.headers["x-why"])
client.close()
"""


def test_a_program_written_for_the_original_runs(server: SSEServer) -> None:
    server.enqueue(
        Reply.stream().comment("hi").event("a", event="price", id="1"),
        Reply.status(503).header("X-Why", "busy"),
    )
    assert run(INSTALL + PROGRAM, server.url()).splitlines() == [
        "start text/event-stream",
        "comment  hi",
        "event price a 1 1",
        "fault None",
        "error 503 busy",
    ]
    assert [request.last_event_id for request in server.requests] == ["0", "1"]
    assert server.requests[0].headers["authorization"] == "abcdef"


def test_a_second_call_does_nothing() -> None:
    assert run(
        INSTALL + "from ld_eventsource import SSEClient as first\n"
        "everstream.compat.install_as_ld_eventsource()\n"
        "from ld_eventsource import SSEClient\n"
        "print(SSEClient is first is everstream.SSEClient)"
    ) == ("True\n")


def test_install_fails_after_the_original_was_imported() -> None:
    assert run(
        "import sys, types\n"
        "sys.modules['ld_eventsource.errors'] = types.ModuleType('ld_eventsource.errors')\n"
        "import everstream.compat\n"
        "try: everstream.compat.install_as_ld_eventsource()\n"
        "except RuntimeError as error: print(error)\n"
        "print('ld_eventsource' in sys.modules)"
    ).splitlines() == [
        "ld_eventsource.errors has already been imported: call install_as_ld_eventsource() before "
        "anything imports it, at the start of the program",
        "False",
    ]


def test_modules_that_the_original_lacks_are_not_found() -> None:
    assert run(
        INSTALL + "for name in ('ld_eventsource.testing', 'ld_eventsource.errors.x'):\n"
        "    try: __import__(name)\n"
        "    except ModuleNotFoundError as error: print(error.name)\n"
        "try: from ld_eventsource.config import Nothing\n"
        "except ImportError as error: print('no', error.name)\n"
    ).splitlines() == [
        "ld_eventsource.testing",
        "ld_eventsource.errors.x",
        "no ld_eventsource.config",
    ]


def test_import_tools_find_the_modules() -> None:
    assert run(
        INSTALL + "import importlib, importlib.util, inspect, pkgutil\n"
        "import ld_eventsource.config\n"
        "print(importlib.util.find_spec('ld_eventsource').name)\n"
        "print(importlib.import_module('.errors', 'ld_eventsource').__name__)\n"
        "print(list(pkgutil.iter_modules(ld_eventsource.__path__)))\n"
        "print(inspect.getdoc(ld_eventsource.config))\n"
    ).splitlines() == [
        "ld_eventsource",
        "ld_eventsource.errors",
        "[]",
        "Everstream's implementation of ``ld_eventsource.config``.",
    ]


def test_its_classes_can_be_pickled() -> None:
    assert run(
        INSTALL + "import pickle\n"
        "from ld_eventsource.actions import Event\n"
        "from ld_eventsource.errors import HTTPStatusError\n"
        "event = Event('a', 'b', 'c', 'd')\n"
        "print(pickle.loads(pickle.dumps(event)) == event)\n"
        "print(pickle.loads(pickle.dumps(HTTPStatusError(500))).status)\n"
    ).splitlines() == ["True", "500"]


needs_original = pytest.mark.skipif(
    importlib.util.find_spec("ld_eventsource") is None, reason="launchdarkly-eventsource isn't here"
)


@needs_original
def test_the_public_names_are_those_of_the_original() -> None:
    """Compares the installed modules; those for asyncio need a library that isn't installed."""
    listing = """
import importlib, inspect, json, sys
names = {}
for module in sys.argv[1:]:
    module = importlib.import_module(module)
    names[module.__name__] = [
        name for name, value in vars(module).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and getattr(value, "__module__", "").startswith(("ld_eventsource", "everstream"))
    ]
print(json.dumps(names))
"""
    modules = run(INSTALL + "print(*everstream.compat._MODULES)").split()
    original = json.loads(run(listing, *modules))
    ours = json.loads(run(INSTALL + listing, *modules))
    assert original.keys() == ours.keys()
    for module, names in original.items():
        assert set(names) <= set(ours[module]), module


SDK = """
import logging, sys, threading
import ldclient
from ldclient import Context, LDClient
from ldclient.config import Config
import ld_eventsource
assert ld_eventsource.SSEClient is everstream.SSEClient

config = Config(
    "the-key", stream_uri=sys.argv[1], base_uri=sys.argv[1], send_events=False,
    diagnostic_opt_out=True, initial_reconnect_delay=0.01,
)
client = LDClient(config, start_wait=20)
someone = Context.create("someone")
changed = threading.Event()
client.flag_tracker.add_listener(lambda change: changed.set())
print(client.variation("greeting", someone, "the default"), flush=True)
assert changed.wait(20)
print(client.variation("greeting", someone, "the default"))
client.close()
"""


def flag(version: int, value: str) -> dict[str, object]:
    return {
        "key": "greeting",
        "version": version,
        "on": True,
        "variations": [value],
        "fallthrough": {"variation": 0},
        "offVariation": 0,
        "prerequisites": [],
        "targets": [],
        "rules": [],
        "salt": "salt",
    }


@needs_original
@pytest.mark.skipif(
    importlib.util.find_spec("ldclient") is None, reason="launchdarkly-server-sdk isn't here"
)
def test_the_launchdarkly_sdk_streams_through_it(server: SSEServer) -> None:
    put = {"path": "/", "data": {"flags": {"greeting": flag(1, "hello")}, "segments": {}}}
    patch = {"path": "/flags/greeting", "data": flag(2, "good bye")}
    seen = Gate()
    server.enqueue(
        Reply.status(503),
        Reply.stream().event(json.dumps(put), event="put").wait_for(seen).reset(),
        Reply.stream()
        .event(json.dumps(put), event="put")
        .event(json.dumps(patch), event="patch")
        .stall(),
    )
    command = [sys.executable, "-c", INSTALL + SDK, server.url().rstrip("/")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sdk:
        assert sdk.stdout is not None
        assert sdk.stdout.readline() == "hello\n"
        seen.open()
        assert sdk.stdout.read() == "good bye\n"
    assert sdk.returncode == 0
    for request in server.requests:
        assert request.path == "/all"
        assert request.headers["authorization"] == "the-key"
    assert server.wait_for_open_connections(0)
