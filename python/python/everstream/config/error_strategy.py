"""Whether a client reconnects after an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from .. import _native
from ._checks import checked_function, describe, normalized

__all__ = ["TRANSIENT_STATUSES", "ErrorStrategy"]

TRANSIENT_STATUSES: Final[tuple[int, ...]] = _native.TRANSIENT_STATUSES
"""The statuses that retrying can fix, for :meth:`ErrorStrategy.reconnect`: 408, 425, 429, 500, 502,
503, 504, and the unofficial 520 to 524 and 529 of proxies and overloaded services.
"""


class ErrorStrategy:
    """Whether a client reconnects after an error or the end of a stream. To be subclassed.

    A strategy is immutable: :meth:`apply` returns the strategy to use next time, so that the client
    can return to the original one.
    """

    FAIL = True
    CONTINUE = False

    def apply(self, exception: Exception | None) -> tuple[bool, ErrorStrategy | None]:
        """Decides whether to reconnect.

        :param exception: what went wrong; ``None`` after a clean end of the stream
        :return: :attr:`FAIL` to raise the exception (or, if there is none, to end the iteration) or
            :attr:`CONTINUE` to reconnect, and the strategy to use next time; ``None`` is this one
        """
        raise NotImplementedError(f"{type(self).__name__} doesn't define apply()")

    @staticmethod
    def always_fail() -> ErrorStrategy:
        """Never reconnects: errors are raised, and the end of the stream ends the iteration. This
        is the default.
        """
        return _PresetErrorStrategy(_native.ErrorPreset.always_fail())

    @staticmethod
    def always_continue() -> ErrorStrategy:
        """Always reconnects, indefinitely if the server doesn't come back."""
        return _PresetErrorStrategy(_native.ErrorPreset.always_continue())

    @staticmethod
    def continue_with_max_attempts(max_attempts: int) -> ErrorStrategy:
        """Reconnects after this many errors in a row, and fails at the next."""
        return _PresetErrorStrategy(_native.ErrorPreset.continue_with_max_attempts(max_attempts))

    @staticmethod
    def continue_with_time_limit(max_time: float) -> ErrorStrategy:
        """Reconnects until this many seconds after the first of several errors in a row."""
        return _PresetErrorStrategy(_native.ErrorPreset.continue_with_time_limit(max_time))

    @staticmethod
    def reconnect(statuses: Iterable[int] = ()) -> ErrorStrategy:
        """Reconnects like a browser's ``EventSource``.

        It reconnects after a dropped, refused or timed-out connection and after the end of the
        stream. It fails on errors that retrying can't fix: 204 and statuses that aren't 2xx, a
        wrong content type, a redirect that can't be followed, an event that is too large.

        :param statuses: statuses after which it reconnects anyway, such as
            :data:`TRANSIENT_STATUSES`
        """
        if isinstance(statuses, int):
            raise TypeError(f"reconnect() takes a list of statuses: reconnect([{statuses}])")
        return _PresetErrorStrategy(_native.ErrorPreset.reconnect(list(statuses)))

    @staticmethod
    def from_lambda(
        fn: Callable[[Exception | None], tuple[bool, ErrorStrategy | None]],
    ) -> ErrorStrategy:
        """A strategy whose :meth:`apply` is this function."""
        return _LambdaErrorStrategy(checked_function(fn))


class _PresetErrorStrategy(ErrorStrategy):
    def __init__(self, native: _native.ErrorPreset) -> None:
        self._native = native

    def apply(self, exception: Exception | None) -> tuple[bool, ErrorStrategy]:
        fail, native = self._native.apply(exception)
        return fail, _PresetErrorStrategy(native)


class _LambdaErrorStrategy(ErrorStrategy):
    def __init__(self, fn: Callable[[Exception | None], tuple[bool, ErrorStrategy | None]]) -> None:
        self._fn = fn

    def apply(self, exception: Exception | None) -> tuple[bool, ErrorStrategy]:
        decision: tuple[bool, ErrorStrategy] = normalized(self._fn(exception), self)
        return decision


def engine_error_strategy(strategy: ErrorStrategy | None) -> Any:
    """The strategy for the engine; ``None`` is the default strategy."""
    if strategy is None:
        strategy = ErrorStrategy.always_fail()
    elif not isinstance(strategy, ErrorStrategy):
        raise TypeError(f"error_strategy must be an ErrorStrategy, not {describe(strategy)}")
    # Use the engine's own object, if it is unused.
    if type(strategy) is _PresetErrorStrategy and strategy._native.fresh:
        return strategy._native
    return strategy
