"""Runs programs written for ``ld_eventsource`` on this package, unchanged."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

from . import _originals

__all__ = ["install_as_ld_eventsource"]

Headers = Mapping[str, Any]
"""Response headers: a mapping that ignores case."""

DynamicQueryParams = Any
"""The type of ``query_params``."""

VERSION = "1.7.4"
"""The version of launchdarkly-eventsource whose interface this package provides."""


@runtime_checkable
class ExceptionWithHeaders(Protocol):
    """An exception that has the headers of a response."""

    @property
    def headers(self) -> Headers | None:
        """The headers; ``None`` if there are none."""


_ACTIONS = {"everstream.actions": ["Action", "Comment", "Event", "Fault", "Start"]}
_CONNECT = {"everstream.config": ["ConnectStrategy", "ConnectionClient", "ConnectionResult"]}
_ASYNC_CONNECT = {
    "everstream.config.async_connect_strategy": [
        "AsyncConnectStrategy",
        "AsyncConnectionClient",
        "AsyncConnectionResult",
    ]
}
_ERROR = {"everstream.config": ["ErrorStrategy"]}
_RETRY_DELAY = {"everstream.config": ["RetryDelayStrategy"]}
_ERRORS = {"everstream.errors": ["HTTPContentTypeError", "HTTPStatusError"]}
_HEADERS = {"everstream.compat": ["ExceptionWithHeaders", "Headers"]}

_MODULES: dict[str, list[dict[str, list[str]]]] = {
    "ld_eventsource": [{"everstream": ["AsyncSSEClient", "SSEClient"]}],
    "ld_eventsource.actions": [
        _ACTIONS,
        {"everstream.compat": ["ExceptionWithHeaders", "Headers"]},
    ],
    "ld_eventsource.async_client": [
        {"everstream": ["AsyncSSEClient"]},
        _ACTIONS,
        _ASYNC_CONNECT,
        _ERROR,
        _RETRY_DELAY,
    ],
    "ld_eventsource.config": [_CONNECT, _ERROR, _RETRY_DELAY],
    "ld_eventsource.config.async_connect_strategy": [
        _ASYNC_CONNECT,
        {"everstream.compat": ["Headers"]},
    ],
    "ld_eventsource.config.connect_strategy": [_CONNECT],
    "ld_eventsource.config.error_strategy": [_ERROR],
    "ld_eventsource.config.retry_delay_strategy": [_RETRY_DELAY],
    "ld_eventsource.errors": [_ERRORS, _HEADERS],
    "ld_eventsource.http": [_ERRORS, {"everstream.compat": ["DynamicQueryParams"]}],
    "ld_eventsource.sse_client": [
        {"everstream": ["SSEClient"]},
        _ACTIONS,
        _CONNECT,
        _ERROR,
        _RETRY_DELAY,
        _ERRORS,
        _HEADERS,
    ],
    "ld_eventsource.version": [{"everstream.compat": ["VERSION"]}],
}
"""For each module of the original, where its names are defined in this package."""


def install_as_ld_eventsource() -> None:
    """Makes ``import ld_eventsource``, and its submodules, give this package's classes.

    Call it before anything imports ``ld_eventsource``, whether that is installed or not::

        import everstream.compat

        everstream.compat.install_as_ld_eventsource()

        from ld_eventsource import SSEClient
        from ld_eventsource.config import ConnectStrategy

    The original raises the exceptions of urllib3, or in asyncio those of aiohttp. From this call on
    ``ConnectError``, ``ConnectTimeoutError``, ``RequestError``, ``ReadError`` and
    ``ReadTimeoutError`` are instances of them too, if the program imports these libraries.

    A second call does nothing. Raises ``RuntimeError`` if the original has been imported already,
    because there would be two classes of each name.
    """
    present = [name for name in sys.modules if name.partition(".")[0] == "ld_eventsource"]
    if all(isinstance(sys.modules[name], _Module) for name in present) and present:
        return
    if present:
        raise RuntimeError(
            f"{present[0]} has already been imported: call install_as_ld_eventsource() before "
            "anything imports it, at the start of the program"
        )
    modules = {name: _Module(name, sources) for name, sources in _MODULES.items()}
    _originals.install()
    # All at once, so that an error above leaves none of them installed.
    sys.modules.update(modules)
    for name, module in modules.items():
        parent, _, own = name.rpartition(".")
        if parent:
            setattr(modules[parent], own, module)


class _Module(ModuleType):
    """A module with the name of one of the original's."""

    def __init__(self, name: str, sources: list[dict[str, list[str]]]) -> None:
        super().__init__(name, f"Everstream's implementation of ``{name}``.")
        is_package = any(other.startswith(f"{name}.") for other in _MODULES)
        self.__spec__ = ModuleSpec(name, None, origin="everstream", is_package=is_package)
        self.__package__ = name if is_package else name.rpartition(".")[0]
        if is_package:
            # Empty, because there are no other submodules to find.
            self.__path__: list[str] = []
        self.__all__: list[str] = []
        for source in sources:
            for module, names in source.items():
                for attribute in names:
                    setattr(self, attribute, getattr(importlib.import_module(module), attribute))
                    self.__all__.append(attribute)
