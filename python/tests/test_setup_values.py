"""Functions for ``auth`` and ``headers`` that return what can't be sent."""

from __future__ import annotations

from typing import Any

import pytest

from everstream.config import ErrorStrategy
from everstream.errors import RequestSetupError
from everstream.testing import SSEServer
from transports import ALL, read, transport_fixture

by = transport_fixture(ALL)


@pytest.mark.parametrize("name", ["auth", "headers"])
def test_a_line_break_in_a_value_is_a_setup_error(by: str, name: str, server: SSEServer) -> None:
    returned: Any = {"auth": "Bearer secret\n", "headers": {"X-Token": "secret\n"}}[name]
    options: dict[str, Any] = {name: lambda: returned}
    _, error = read(by, server.url(), errors=ErrorStrategy.reconnect(), **options)
    assert type(error) is RequestSetupError
    assert isinstance(error.__cause__, ValueError)
    assert f"the function for {name} returned an invalid value" in str(error)
    assert "secret" not in str(error)
    assert server.requests == []
