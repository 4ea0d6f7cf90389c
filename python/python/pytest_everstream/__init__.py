"""The pytest plugin: the fixture ``sse_server``.

It is a separate package because pytest imports it in every run. ``everstream`` itself is imported
only when a test uses the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from everstream.testing import SSEServer


@pytest.fixture
def sse_server() -> Iterator[SSEServer]:
    """A scriptable SSE server: an ``everstream.testing.SSEServer``, stopped after the test."""
    from everstream.testing import SSEServer

    with SSEServer() as server:
        yield server
