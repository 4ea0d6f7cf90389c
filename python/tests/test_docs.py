"""Runs every block of Python in the pages below, and compares its output with the text after it.

``https://example.com`` is replaced by a local server; the path selects its replies.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import AUTHORITY
from everstream.testing import Reply, Request, SSEServer

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "crates" / "everstream" / "guides"
PAGES = [
    ROOT / "docs" / "python.md",
    ROOT / "docs" / "python-launchdarkly.md",
    ROOT / "python" / "README.md",
    ROOT / "README.md",
    ROOT / "docs" / "start.md",
    GUIDES / "llm.md",
    GUIDES / "migrating_python.md",
]
SITE = "https://example.com"
REAL = {
    "http://localhost:8000/": f"{SITE}/clock",
    "https://api.openai.com/v1/chat/completions": f"{SITE}/openai",
    "https://api.anthropic.com/v1/messages": f"{SITE}/anthropic",
}
"""Where the requests of the pages go instead of to these servers."""

BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)

stream = Reply.stream


def chat(*contents: str) -> Reply:
    """A chat completion whose deltas have these contents."""
    reply = stream()
    for content in contents:
        reply = reply.event('{"choices": [{"delta": {"content": %s}}]}' % content)  # noqa: UP031
    return reply.event('{"choices": [{"delta": {}, "finish_reason": "stop"}]}')


def messages(*texts: str) -> Reply:
    """An answer in the format of Anthropic's Messages API."""
    reply = stream().event('{"type": "message_start"}', event="message_start")
    for text in texts:
        delta = json.dumps({"delta": {"type": "text_delta", "text": text}})
        reply = reply.event(delta, event="content_block_delta")
    return reply.event('{"type": "message_stop"}', event="message_stop").stall()


SCRIPTS: dict[str, Callable[[], list[Reply]]] = {
    "/news": lambda: [stream().event("hello", id="1").event("7.50", event="price", id="2")],
    "/feed": lambda: [
        stream().retry(1).comment("welcome").event('{"ACME": 7.5}', event="price", id="1").reset(),
        stream().event('{"ACME": 8.25}', event="price", id="2").stall(),
    ],
    "/token": lambda: [Reply.status(401), stream().event("let in").stall()],
    "/messages": lambda: [messages("Rayleigh ", "scattering.")],
    "/proxied": lambda: [stream().event("through the proxy")],
    "/clock": lambda: [stream().event("Sat Jan 31 12:00:00 UTC 2026").stall()],
    "/openai": lambda: [chat("null", '"Rayleigh "', '"scattering."').event("[DONE]").stall()],
    "/anthropic": lambda: [messages("Rayleigh ", "scattering.")],
    "/busy": lambda: [
        Reply.status(429),
        Reply.status(401),
        Reply.status(503),
        stream().event("Rayleigh scattering.").event("[DONE]").stall(),
    ],
    "/chat": lambda: [chat("null", '"Rayleigh "', '"scattering."').event("[DONE]").stall()],
}

EXPECTED_REQUESTS: dict[str, tuple[Callable[[Request], object], list[object]]] = {
    "/token": (lambda request: request.headers["authorization"], ["Bearer old", "Bearer new"]),
    "/chat": (
        lambda request: (request.method, json.loads(request.body)),
        [("POST", {"prompt": "Why is the sky blue?", "stream": True})],
    ),
    "/busy": (
        lambda request: (request.method, request.headers["authorization"]),
        [*[("POST", "Bearer old")] * 2, *[("POST", "Bearer new")] * 2],
    ),
    "/messages": (
        lambda request: (request.headers["x-api-key"], json.loads(request.body)["stream"]),
        [("...", True)],
    ),
    "/openai": (
        lambda request: (request.headers["authorization"], json.loads(request.body)["stream"]),
        [("Bearer ...", True)],
    ),
    "/anthropic": (
        lambda request: (request.headers["x-api-key"], json.loads(request.body)["stream"]),
        [("...", True)],
    ),
    "/proxied": (
        lambda request: request.headers["proxy-authorization"],
        ["Basic " + b64encode(b"me:secret").decode()],
    ),
}
"""The requests that the server must have received, where the page states them."""


def blocks() -> list[tuple[str, str]]:
    text = "".join(page.read_text() for page in PAGES)
    for real, replacement in REAL.items():
        text = text.replace(real, replacement)
    return BLOCK.findall(text)


def script(code: str) -> str | None:
    paths = set(re.findall(re.escape(SITE) + r"(/\w+)", code))
    assert len(paths) <= 1, "a block has one URL"
    return paths.pop() if paths else None


def name(block: tuple[str, str]) -> str:
    return (script(block[0]) or "/none").strip("/")


@pytest.mark.parametrize("block", blocks(), ids=name)
def test_a_block_prints_the_output_shown(
    block: tuple[str, str], tmp_path: Path, sse_server: SSEServer, tls_port: int
) -> None:
    code, shown = block
    # The server acts as the proxy too.
    code = code.replace("proxy.example:3128", sse_server.url("").split("/")[2])
    code = code.replace("https://internal.example", f"https://localhost:{tls_port}")
    code = code.replace("/etc/ssl/company-ca.pem", str(AUTHORITY))
    path = script(code)
    if path is not None:
        sse_server.enqueue(*SCRIPTS[path]())
    program = tmp_path / "test_block.py"
    program.write_text(code.replace(SITE, sse_server.url("/").rstrip("/")))
    command = [sys.executable, "-W", "error"]
    if "def test_" in code:
        command += ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    command.append(program.name)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    if "def test_" in code:
        assert "1 passed" in done.stdout
    else:
        said = done.stdout.replace(sse_server.url("/").rstrip("/"), SITE)
        assert said == shown
    if path in EXPECTED_REQUESTS:
        seen, expected = EXPECTED_REQUESTS[path]
        assert [seen(request) for request in sse_server.requests] == expected


ANSWERS: dict[str, tuple[Reply, str]] = {
    "done": (stream().event('{"choices": null}').event("[DONE]").stall(), ""),
    "no delta": (stream().event('{"choices": [{"delta": null}]}').event("[DONE]"), ""),
    "cut": (stream().event('{"choices": [{"delta": {"content": "a"}}]}'), "IncompleteStreamError"),
    "reset": (stream().event('{"choices": []}').reset(), "ReadError"),
    "error": (stream().event('{"error": {"message": "overloaded"}}'), "RuntimeError: .*overloaded"),
    "event: error": (stream().event("overloaded", event="error"), "RuntimeError: overloaded"),
}


@pytest.mark.parametrize("shape", ANSWERS)
def test_the_llm_example_handles_every_shape_of_answer(shape: str, sse_server: SSEServer) -> None:
    reply, problem = ANSWERS[shape]
    sse_server.enqueue(reply)
    (code,) = [code for code, _ in blocks() if script(code) == "/chat"]
    code = code.replace(SITE, sse_server.url("/").rstrip("/"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert (done.returncode == 0) is (problem == ""), done.stderr
    assert re.search(problem, done.stderr.splitlines()[-1] if done.stderr else "")


def test_every_block_is_found() -> None:
    written = sum(page.read_text().count("```python") for page in PAGES)
    assert written == len(blocks()) > 10
    used = {script(code) for code, _ in blocks()} - {None}
    assert used == set(SCRIPTS)
