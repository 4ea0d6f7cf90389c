"""Adds up a stream of amounts over several runs: ``python resume.py URL FILE``.

Each event's data is a number. The sum is stored with the id of its last event, in one file that is
replaced atomically: a crash at any time neither counts an event twice nor skips one.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TypedDict

from everstream import SSEClient
from everstream.config import ErrorStrategy


class State(TypedDict):
    total: int
    last_event_id: str | None


def load(path: Path) -> State:
    try:
        state: State = json.loads(path.read_text())
    except FileNotFoundError:
        return {"total": 0, "last_event_id": None}
    return state


def save(path: Path, state: State) -> None:
    new = path.with_name(f"{path.name}.new")
    with new.open("w") as file:
        json.dump(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def main(url: str, path: Path) -> None:
    state = load(path)
    print("from", state["last_event_id"], "with", state["total"], flush=True)
    with SSEClient(
        url,
        error_strategy=ErrorStrategy.reconnect(),
        last_event_id=state["last_event_id"],
    ) as client:
        for event in client.events:
            state = {
                "total": state["total"] + int(event.data),
                "last_event_id": event.last_event_id,
            }
            save(path, state)
            print(state["total"], flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(sys.argv[1], Path(sys.argv[2]))
