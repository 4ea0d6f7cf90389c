"""One answer of a language model, piece by piece: ``python llm.py URL PROMPT``.

The stream is that of chat completions: each event is JSON, and ``[DONE]`` is the last one. An
answer that breaks off is an error and isn't asked for again, as that may cost money.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import TypedDict, cast

from everstream import SSEClient
from everstream.config import ConnectStrategy
from everstream.errors import HTTPStatusError, SSEError


class Delta(TypedDict, total=False):
    content: str


class Choice(TypedDict):
    delta: Delta
    finish_reason: str | None


class Chunk(TypedDict):
    choices: list[Choice]


def answer(url: str, prompt: str, key: str) -> Iterator[Chunk]:
    connect = ConnectStrategy.http(
        url,
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        method="POST",
        body=json.dumps({"messages": [{"role": "user", "content": prompt}], "stream": True}),
        read_timeout=60,
    )
    with SSEClient(connect) as client:
        for event in client.events:
            if event.data == "[DONE]":
                return
            yield cast(Chunk, event.json())
    raise EOFError("the stream ended before [DONE]")


def main(url: str, prompt: str) -> int:
    try:
        for chunk in answer(url, prompt, os.environ.get("LLM_KEY", "none")):
            for choice in chunk["choices"]:
                print(choice["delta"].get("content", ""), end="", flush=True)
        print()
    except HTTPStatusError as error:
        print(f"refused with {error.status}: {error.body.decode()}", file=sys.stderr)
        return 1
    except (SSEError, EOFError) as error:
        print(f"\nbroken off: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
