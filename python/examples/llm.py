"""Prints one answer of a language model as it is generated: ``python llm.py URL PROMPT``.

It reads the chat completions format of OpenAI and most other servers: each event is JSON, and the
answer is complete if ``[DONE]`` or a ``finish_reason`` has arrived. A truncated answer is an error,
and the prompt isn't sent again, because that may cost money.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

from everstream import SSEClient
from everstream.actions import Event, Fault
from everstream.errors import HTTPContentTypeError, HTTPStatusError, IncompleteStreamError, SSEError


class AnswerError(Exception):
    """The server reported an error within the stream, or the answer is incomplete."""


def answer(url: str, prompt: str, key: str) -> Iterator[str]:
    """The pieces of the answer."""
    finish_reason = None
    with SSEClient(
        url,
        auth=f"Bearer {key}",
        json={"messages": [{"role": "user", "content": prompt}], "stream": True},
        until="[DONE]",
        read_timeout=60,
    ) as client:
        try:
            for action in client.all:
                if isinstance(action, Fault) and action.ignored_text is not None:
                    raise AnswerError(f"the response isn't an answer: {action.ignored_text}")
                if isinstance(action, Event):
                    for choice in choices(action):
                        yield text(choice)
                        finish_reason = choice.get("finish_reason") or finish_reason
        except IncompleteStreamError as error:
            # Not every server ends its answers with [DONE].
            if finish_reason is None:
                raise AnswerError("the stream ended before the answer was complete") from error
    if finish_reason == "length":
        raise AnswerError("the answer has reached the maximum length")


def choices(event: Event) -> list[dict[str, Any]]:
    """The choices in an event. Raises the error if it reports one."""
    try:
        chunk = event.json()
    except ValueError:
        chunk = event.data
    error = chunk.get("error") if isinstance(chunk, dict) else None
    if event.event == "error" or error or not isinstance(chunk, dict):
        error = error or chunk
        message = error.get("message") if isinstance(error, dict) else None
        raise AnswerError(f"the server reports an error: {message or error}")
    return chunk.get("choices") or []


def text(choice: dict[str, Any]) -> str:
    """The text of a choice. The first and the last event often have none."""
    content = (choice.get("delta") or {}).get("content")
    if isinstance(content, list):
        # Some servers split it into parts, not all of which are text.
        return "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return content or ""


def main(url: str, prompt: str) -> int:
    try:
        for piece in answer(url, prompt, os.environ.get("LLM_KEY", "none")):
            print(piece, end="", flush=True)
        print()
    except HTTPStatusError as error:
        print(f"refused with {error.status}: {error.body.decode()}", file=sys.stderr)
        return 1
    except HTTPContentTypeError as error:
        print(f"not a stream: {error.body.decode()}", file=sys.stderr)
        return 1
    except (SSEError, AnswerError) as error:
        print(f"\nincomplete: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
