"""Checks of arguments, shared by strategies and clients."""

from __future__ import annotations

from logging import CRITICAL, Logger
from typing import Any, Final


class Unset:
    """The default of parameters for which ``None`` has a meaning."""

    def __repr__(self) -> str:
        return "<unset>"


UNSET: Final = Unset()
_NO_LOGGER: Final = Logger("everstream.none", CRITICAL + 1)


def checked_logger(logger: Logger | None) -> Logger:
    """The logger, or one without output. Any object with the methods of a logger is accepted."""
    if logger is None:
        return _NO_LOGGER
    if not all(callable(getattr(logger, name, None)) for name in ("info", "warning")):
        raise TypeError(f"logger must be a logging.Logger, not {describe(logger)}")
    return logger


def checked_function(fn: Any) -> Any:
    if not callable(fn):
        raise TypeError(f"fn must be a function, not {describe(fn)}")
    return fn


def normalized(decision: Any, strategy: Any) -> Any:
    """Replaces ``None`` in the result of a lambda with the strategy itself. The client reports
    results of a wrong type.
    """
    match decision:
        case (verdict, following):
            return verdict, strategy if following is None else following
    return decision


def describe(value: object) -> str:
    """Describes a wrong argument by its type, and a class or function also by its name."""
    name = getattr(value, "__qualname__", None)
    kind = type(value).__name__
    return f"{kind} {name}" if isinstance(name, str) else kind
