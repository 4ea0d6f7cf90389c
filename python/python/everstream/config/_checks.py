"""What the arguments of strategies and clients have in common."""

from __future__ import annotations

from logging import CRITICAL, Logger
from typing import Any, Final


class Unset:
    """Not given, where ``None`` says something."""

    def __repr__(self) -> str:
        return "<unset>"


UNSET: Final = Unset()
_NO_LOGGER: Final = Logger("everstream.none", CRITICAL + 1)


def checked_logger(logger: Logger | None) -> Logger:
    """One that tells nobody, if there is none. What has a logger's methods is taken for one."""
    if logger is None:
        return _NO_LOGGER
    if not all(callable(getattr(logger, name, None)) for name in ("info", "warning")):
        raise TypeError(f"logger must be a logging.Logger, not {shown(logger)}")
    return logger


def checked_function(fn: Any) -> Any:
    if not callable(fn):
        raise TypeError(f"fn must be a function, not {shown(fn)}")
    return fn


def answer(answer: Any, strategy: Any) -> Any:
    """Of a lambda, as a strategy gives it. If it is none, the client says so."""
    match answer:
        case (decision, following):
            return decision, strategy if following is None else following
    return answer


def shown(value: object) -> str:
    """Its type; a class or function that was perhaps to be called by its name."""
    name = getattr(value, "__qualname__", None)
    kind = type(value).__name__
    return f"{kind} {name}" if isinstance(name, str) else kind
