"""How long a client waits before it reconnects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _native
from ._checks import checked_function, describe, normalized

__all__ = ["RetryDelayStrategy"]


class RetryDelayStrategy:
    """How long a client waits before it reconnects. The base class always waits the base delay.

    A strategy is immutable: :meth:`apply` returns the strategy to use next time, so that the client
    can return to the original one after a long connection.
    """

    def apply(self, base_delay: float) -> tuple[float, RetryDelayStrategy | None]:
        """Computes the delay.

        :param base_delay: the client's ``initial_retry_delay``, or what the server set with
            ``retry:``, in seconds
        :return: the delay in seconds, and the strategy to use next time; ``None`` is this one
        """
        return base_delay, self

    @staticmethod
    def default(
        max_delay: float | None = 30,
        backoff_multiplier: float = 2,
        jitter_multiplier: float | None = 0.5,
    ) -> RetryDelayStrategy:
        """Exponential backoff with jitter.

        :param max_delay: the longest delay, in seconds; ``None`` or 0: no limit. A longer
            ``initial_retry_delay``, ``retry:`` or ``Retry-After`` exceeds the default of 30, but no
            other value.
        :param backoff_multiplier: the factor from each delay to the next
        :param jitter_multiplier: the largest part, from 0 to 1, by which jitter shortens a delay;
            ``None`` or 0: no jitter

        With the default ``max_delay`` and ``backoff_multiplier``, and a
        ``retry_delay_reset_threshold`` of 60, a connection of 25 s that delivered an event, an id
        or a comment resets the delay too. After a complete response that delivered something, the
        delay is at most 3 s, or ``retry:`` or ``initial_retry_delay`` if that is longer.
        """
        return _DefaultRetryDelayStrategy(
            _native.Backoff(max_delay or 0.0, backoff_multiplier, jitter_multiplier or 0.0)
        )

    @staticmethod
    def from_lambda(
        fn: Callable[[float], tuple[float, RetryDelayStrategy | None]],
    ) -> RetryDelayStrategy:
        """A strategy whose :meth:`apply` is this function."""
        return _LambdaRetryDelayStrategy(checked_function(fn))


class _DefaultRetryDelayStrategy(RetryDelayStrategy):
    def __init__(self, native: _native.Backoff) -> None:
        self._native = native

    def apply(self, base_delay: float) -> tuple[float, RetryDelayStrategy]:
        delay, native = self._native.apply(base_delay)
        return delay, _DefaultRetryDelayStrategy(native)


class _LambdaRetryDelayStrategy(RetryDelayStrategy):
    def __init__(self, fn: Callable[[float], tuple[float, RetryDelayStrategy | None]]) -> None:
        self._fn = fn

    def apply(self, base_delay: float) -> tuple[float, RetryDelayStrategy]:
        decision: tuple[float, RetryDelayStrategy] = normalized(self._fn(base_delay), self)
        return decision


def engine_retry_delay_strategy(strategy: RetryDelayStrategy | None) -> Any:
    """The strategy for the engine; ``None`` is the default strategy."""
    if strategy is None:
        strategy = RetryDelayStrategy.default()
    elif not isinstance(strategy, RetryDelayStrategy):
        raise TypeError(
            f"retry_delay_strategy must be a RetryDelayStrategy, not {describe(strategy)}"
        )
    # Use the engine's own object, if it is unused.
    if type(strategy) is _DefaultRetryDelayStrategy and strategy._native.fresh:
        return strategy._native
    return strategy
