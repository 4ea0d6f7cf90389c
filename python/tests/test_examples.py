"""The programs in examples/, run like a user runs them."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from everstream import SSEClient
from everstream.config import ErrorStrategy
from everstream.errors import HTTPStatusError
from everstream.testing import Feed, Gate, Reply, SSEServer

EXAMPLES = Path(__file__).parents[1] / "examples"
LIMIT = 30.0


class Program:
    """A running program. Reads its output line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        assert process.stderr is not None
        self.out = self._lines(process.stdout)
        self.err = self._lines(process.stderr)

    def _lines(self, pipe: IO[str]) -> queue.Queue[str]:
        lines: queue.Queue[str] = queue.Queue()

        def read() -> None:
            for line in pipe:
                lines.put(line.rstrip("\n"))
            pipe.close()

        threading.Thread(target=read, daemon=True).start()
        return lines

    def says(self) -> str:
        return self.out.get(timeout=LIMIT)

    def complains(self) -> str:
        return self.err.get(timeout=LIMIT)

    def ends(self) -> int:
        return self.process.wait(LIMIT)


@contextmanager
def running(*command: str, **environment: str) -> Iterator[Program]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", *command],
        cwd=EXAMPLES,
        env={**os.environ, **environment, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Program(process)
    finally:
        process.kill()
        process.wait()


def test_flags_are_kept_in_sync_over_a_drop(sse_server: SSEServer) -> None:
    sse_server.enqueue(
        Reply.stream()
        .retry(1)
        .event('{"a": 1, "b": false}', event="put")
        .event('{"key": "c", "value": "x"}', event="patch")
        .reset(),
        Reply.status(503),
        Reply.stream()
        .event('{"a": 2, "b": true}', event="put")
        .event('{"key": "a"}', event="delete")
        .end(),
        Reply.status(404),
    )
    with running("flags.py", sse_server.url()) as program:
        assert program.says() == "put {'a': 1, 'b': False}"
        assert program.says() == "patch {'a': 1, 'b': False, 'c': 'x'}"
        assert program.says() == "put {'a': 2, 'b': True}"
        assert program.says() == "delete {'b': True}"
        assert program.ends() != 0
        complaints = [program.complains() for _ in range(3)]
    assert all(line.startswith("disconnected: ") for line in complaints)
    assert complaints[2] == "disconnected: the stream ended"


def test_flags_end_at_ctrl_c(sse_server: SSEServer) -> None:
    sse_server.enqueue(Reply.stream().event("{}", event="put").stall())
    with running("flags.py", sse_server.url()) as program:
        assert program.says() == "put {}"
        program.process.send_signal(signal.SIGINT)
        assert program.ends() == 0


def chunk(content: str | None) -> str:
    delta = {} if content is None else {"content": content}
    return json.dumps({"choices": [{"delta": delta, "finish_reason": None}]})


def test_an_answer_is_printed_up_to_done(sse_server: SSEServer) -> None:
    pieces = Reply.stream().event(chunk("Rayleigh")).event(chunk(" scattering")).event(chunk(None))
    sse_server.enqueue(pieces.event("[DONE]").stall())
    with running("llm.py", sse_server.url(), "Why?", LLM_KEY="k") as program:
        assert program.says() == "Rayleigh scattering"
        assert program.ends() == 0
    (request,) = sse_server.requests
    assert request.method == "POST"
    assert request.headers["authorization"] == "Bearer k"
    assert json.loads(request.body)["messages"] == [{"role": "user", "content": "Why?"}]


def delta(content: object = None, finish_reason: str | None = None) -> str:
    choice = {"delta": {"content": content}, "finish_reason": finish_reason}
    return json.dumps({"choices": [choice]})


MISTRAL = [{"type": "text", "text": "Ray"}, {"type": "reference", "reference_ids": [1]}]

WHOLE: dict[str, Reply] = {
    "null content": Reply.stream().event(delta(None)).event(delta("Ray")).event("[DONE]"),
    "no content": Reply.stream().event('{"choices": [{"delta": {}}]}').event(delta("Ray"))
    .event("[DONE]"),
    "no delta": Reply.stream().event('{"choices": [{"index": 0, "delta": null}]}')
    .event(delta("Ray")).event("[DONE]"),
    "an array": Reply.stream().event(delta(MISTRAL)).event("[DONE]"),
    "usage": Reply.stream().event(delta("Ray")).event('{"choices": [], "usage": {}}')
    .event('{"choices": null}').event("[DONE]"),
    "no [DONE]": Reply.stream().event(delta("Ray")).event(delta(None, "stop")).end(),
    "no [DONE], text with the reason": Reply.stream().event(delta("Ray", "stop")).end(),
    "a null error": Reply.stream().event(delta("Ray")).event('{"error": null, "choices": []}')
    .event("[DONE]"),
    "a stream that stays open": Reply.stream().event(delta("Ray")).event("[DONE]").stall(),
}  # fmt: skip


@pytest.mark.parametrize("shape", WHOLE)
def test_a_whole_answer_is_printed_whatever_its_shape(shape: str, sse_server: SSEServer) -> None:
    sse_server.enqueue(WHOLE[shape])
    with running("llm.py", sse_server.url(), "Why?") as program:
        assert program.says() == "Ray"
        assert program.ends() == 0
        assert program.err.empty()


OVERLOADED = '{"error": {"message": "overloaded", "code": 529}}'

FAILED: dict[str, tuple[Reply, str]] = {
    "an error in data": (Reply.stream().event(OVERLOADED), "overloaded"),
    "an error, then [DONE]": (Reply.stream().event(OVERLOADED).event("[DONE]"), "overloaded"),
    "an error with choices": (
        Reply.stream().event('{"error": {"message": "overloaded"}, "choices": []}'), "overloaded"
    ),
    "an error that is text": (Reply.stream().event('{"error": "overloaded"}'), "overloaded"),
    "event: error": (Reply.stream().event(OVERLOADED, event="error"), "overloaded"),
    "event: error without the key": (
        Reply.stream().event('{"message": "overloaded"}', event="error"), "overloaded"
    ),
    "event: error that is no JSON": (Reply.stream().event("overloaded", event="error"), "overload"),
    "data that is no JSON": (Reply.stream().event("overloaded"), "overloaded"),
    "cut before an end": (Reply.stream().event(delta("a")).end(), "before the answer was complete"),
    "cut within an event": (Reply.stream().send('data: {"choi').end(), "before the answer was"),
    "the length": (
        Reply.stream().event(delta("a")).event(delta(None, "length")).event("[DONE]"), "maximum"
    ),
    "no event at all": (Reply.stream().send(OVERLOADED), "overloaded"),
    "a JSON response": (
        Reply.status(200).header("Content-Type", "application/json").send(OVERLOADED), "overloaded"
    ),
    "a reset": (
        Reply.stream().event(delta("a")).event(delta(None, "stop")).reset(), "reset the connection"
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", FAILED)
def test_a_failed_answer_is_an_error_whatever_its_shape(shape: str, sse_server: SSEServer) -> None:
    reply, reason = FAILED[shape]
    sse_server.enqueue(reply)
    with running("llm.py", sse_server.url(), "Why?") as program:
        assert program.ends() == 1
        complaint = program.complains() or program.complains()
        assert reason in complaint
        assert "Traceback" not in complaint
    assert sse_server.request_count == 1


@pytest.mark.parametrize("broken", ["end", "reset"])
def test_a_truncated_answer_is_reported_and_not_requested_again(
    broken: str, sse_server: SSEServer
) -> None:
    sse_server.enqueue(getattr(Reply.stream().event(chunk("Ray")), broken)())
    with running("llm.py", sse_server.url(), "Why?") as program:
        assert program.says() == "Ray"
        assert program.complains() == ""
        assert program.complains().startswith("incomplete: ")
        assert program.ends() == 1
    assert sse_server.request_count == 1


def test_a_refusal_is_reported_with_its_reason(sse_server: SSEServer) -> None:
    sse_server.enqueue(Reply.status(429).send("too many questions"))
    with running("llm.py", sse_server.url(), "Why?") as program:
        assert program.complains() == "refused with 429: too many questions"
        assert program.ends() == 1


def test_a_sum_continues_after_the_program_was_killed(
    sse_server: SSEServer, tmp_path: Path
) -> None:
    feed, file = Feed(), tmp_path / "sum.json"
    sse_server.otherwise(Reply.stream().resume(feed))
    for amount in ("1", "20"):
        feed.push(amount)
    with running("resume.py", sse_server.url(), str(file)) as program:
        assert [program.says() for _ in range(3)] == ["from None with 0", "1", "21"]
        program.process.kill()
        program.ends()
    feed.push("300")
    with running("resume.py", sse_server.url(), str(file)) as program:
        assert [program.says() for _ in range(2)] == ["from 2 with 21", "321"]
        program.process.send_signal(signal.SIGINT)
        assert program.ends() == 0
    assert [request.last_event_id for request in sse_server.requests] == [None, "2"]
    assert json.loads(file.read_text()) == {"total": 321, "last_event_id": "3"}
    assert os.listdir(tmp_path) == ["sum.json"]


@contextmanager
def proxy(upstream: SSEServer) -> Iterator[str]:
    """The URL of its events."""
    pytest.importorskip("uvicorn")
    command = ("-m", "uvicorn", "--factory", "proxy:app", "--port", "0")
    with running(*command, UPSTREAM=upstream.url()) as program:
        while True:
            found = re.search(r"running on (http://[\d.:]+)", program.complains())
            if found:
                yield f"{found[1]}/events"
                return


def test_a_proxy_handles_upstream_faults_and_forwards_ids(sse_server: SSEServer) -> None:
    sse_server.enqueue(
        Reply.stream().retry(1).comment("hi").event("a\nb", event="x", id="1").reset(),
        Reply.stream().event("c", id="2").stall(),
        Reply.stream().event("d").stall(),
    )
    with proxy(sse_server) as url:
        with SSEClient(url) as browser:
            events = browser.events
            first, second = next(events), next(events)
            assert (first.event, first.data, first.id) == ("x", "a\nb", "1")
            assert (second.event, second.data, second.id) == ("message", "c", "2")
        # The browser has disconnected, so the upstream connection is closed too.
        assert sse_server.wait_for_open_connections(0)
        with SSEClient(url, last_event_id=browser.last_event_id) as browser:
            assert next(browser.events).data == "d"
    assert [request.last_event_id for request in sse_server.requests] == [None, "1", "2"]


def test_a_proxy_forwards_an_event_at_once(sse_server: SSEServer) -> None:
    gate = Gate()
    sse_server.enqueue(Reply.stream().event("one").wait_for(gate).event("two").stall())
    with proxy(sse_server) as url, SSEClient(url) as browser:
        events = browser.events
        assert next(events).data == "one"
        gate.open()
        assert next(events).data == "two"


def test_a_proxy_reports_a_missing_stream(sse_server: SSEServer) -> None:
    sse_server.enqueue(Reply.status(404), Reply.status(204))
    with (
        proxy(sse_server) as url,
        SSEClient(url, 0, error_strategy=ErrorStrategy.reconnect([502])) as browser,
        pytest.raises(HTTPStatusError) as raised,
    ):
        list(browser.all)
    assert raised.value.status == 204
