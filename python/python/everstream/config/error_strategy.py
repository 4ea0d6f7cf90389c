"""Whether a client reconnects after an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .. import _native
from ._checks import answer, checked_function, shown

__all__ = ["ErrorStrategy"]


class ErrorStrategy:
    """Whether a client reconnects after an error or the end of a stream. To be subclassed.

    A strategy is immutable: it says which one to use next time, so that the client can return to
    the original one.
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
        """Every error is raised, and every end ends the iteration. This is the default."""
        return _PresetErrorStrategy(_native.ErrorPreset.always_fail())

    @staticmethod
    def always_continue() -> ErrorStrategy:
        """The client always reconnects, forever if the server doesn't come back."""
        return _PresetErrorStrategy(_native.ErrorPreset.always_continue())

    @staticmethod
    def continue_with_max_attempts(max_attempts: int) -> ErrorStrategy:
        """The client reconnects after this many errors in a row, and fails at the next."""
        return _PresetErrorStrategy(_native.ErrorPreset.continue_with_max_attempts(max_attempts))

    @staticmethod
    def continue_with_time_limit(max_time: float) -> ErrorStrategy:
        """The client reconnects until this many seconds after the first of a series of errors."""
        return _PresetErrorStrategy(_native.ErrorPreset.continue_with_time_limit(max_time))

    @staticmethod
    def reconnect(statuses: Iterable[int] = ()) -> ErrorStrategy:
        """The client reconnects as a browser's ``EventSource`` does.

        It reconnects after a dropped, refused or timed-out connection and after the end of the
        stream. It fails on errors that retrying can't fix: 204 and statuses that aren't 2xx, a
        wrong content type, a redirect that can't be followed, an event that is too large.

        :param statuses: statuses after which it reconnects anyway, such as 503
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
        decision: tuple[bool, ErrorStrategy] = answer(self._fn(exception), self)
        return decision


def engine_error_strategy(strategy: ErrorStrategy | None) -> Any:
    """What the engine drives; unset, the default."""
    if strategy is None:
        strategy = ErrorStrategy.always_fail()
    elif not isinstance(strategy, ErrorStrategy):
        raise TypeError(f"error_strategy must be an ErrorStrategy, not {shown(strategy)}")
    # The engine's own object, if it is an unused one.
    if type(strategy) is _PresetErrorStrategy and strategy._native.fresh:
        return strategy._native
    return strategy
