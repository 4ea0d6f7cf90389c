"""A feed with an event each second. Its last 100 events can be resumed; an unknown id starts where a new
client starts."""

import time

_start = time.monotonic() - 10


def newest() -> int:
    return int(time.monotonic() - _start)


def first(last_id: str | None) -> int:
    """The id of the first event for a client with this last id."""
    known = last_id is not None and last_id.isdigit() and int(last_id) <= newest()
    return max(int(last_id) + 1 if known else newest() - 2, newest() - 100)
