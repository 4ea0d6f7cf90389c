"""Strategies as Python objects: what ``apply`` returns."""

from __future__ import annotations

import inspect
import math

import pytest

from everstream.config import (
    TRANSIENT_STATUSES,
    ConnectionClient,
    ConnectionResult,
    ConnectStrategy,
    ErrorStrategy,
    RetryDelayStrategy,
)
from everstream.errors import ConnectError, HTTPContentTypeError, HTTPStatusError, ReadTimeoutError

FAIL, CONTINUE = ErrorStrategy.FAIL, ErrorStrategy.CONTINUE


def verdicts(strategy: ErrorStrategy, *exceptions: Exception | None) -> list[bool]:
    result = []
    for exception in exceptions:
        fail, following = strategy.apply(exception)
        result.append(fail)
        strategy = following or strategy
    return result


def delays(strategy: RetryDelayStrategy, base: float, count: int) -> list[float]:
    result = []
    for _ in range(count):
        delay, following = strategy.apply(base)
        result.append(delay)
        strategy = following or strategy
    return result


def test_the_verdicts_have_the_values_of_launchdarkly_eventsource() -> None:
    assert (FAIL, CONTINUE) == (True, False)


def test_base_classes_name_the_missing_method() -> None:
    class Mine(ErrorStrategy):
        pass

    with pytest.raises(NotImplementedError, match="Mine"):
        Mine().apply(None)
    with pytest.raises(NotImplementedError, match="ConnectStrategy"):
        ConnectStrategy().create_client(None)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match="ConnectionClient"):
        ConnectionClient().connect(None)
    ConnectionClient().close()


def test_presets_are_strategies() -> None:
    for error in (
        ErrorStrategy.always_fail(),
        ErrorStrategy.always_continue(),
        ErrorStrategy.continue_with_max_attempts(1),
        ErrorStrategy.continue_with_time_limit(1),
        ErrorStrategy.reconnect(),
        ErrorStrategy.from_lambda(lambda _: (FAIL, None)),
    ):
        assert isinstance(error, ErrorStrategy)
        assert isinstance(error.apply(None)[1], ErrorStrategy)
    for delay in (
        RetryDelayStrategy(),
        RetryDelayStrategy.default(),
        RetryDelayStrategy.from_lambda(lambda base: (base, None)),
    ):
        assert isinstance(delay, RetryDelayStrategy)
        assert isinstance(delay.apply(1)[1], RetryDelayStrategy)
    assert isinstance(ConnectStrategy.http("http://localhost/"), ConnectStrategy)


def test_always_fail_and_always_continue() -> None:
    assert verdicts(ErrorStrategy.always_fail(), None, ValueError()) == [FAIL, FAIL]
    assert verdicts(ErrorStrategy.always_continue(), None, ValueError()) == [CONTINUE, CONTINUE]


def test_max_attempts_are_counted_in_the_strategies_that_follow() -> None:
    strategy = ErrorStrategy.continue_with_max_attempts(2)
    for _ in range(2):  # the original isn't changed
        assert verdicts(strategy, *[ValueError()] * 3) == [CONTINUE, CONTINUE, FAIL]
    assert verdicts(ErrorStrategy.continue_with_max_attempts(0), None) == [FAIL]
    assert verdicts(ErrorStrategy.continue_with_max_attempts(-1), None) == [FAIL]


def test_a_time_limit_counts_from_the_first_error() -> None:
    assert verdicts(ErrorStrategy.continue_with_time_limit(0), None) == [FAIL]
    assert verdicts(ErrorStrategy.continue_with_time_limit(3600), None, None) == [CONTINUE] * 2
    with pytest.raises(ValueError, match="max_time"):
        ErrorStrategy.continue_with_time_limit(-1)


@pytest.mark.parametrize(
    ("exception", "verdict"),
    [
        (None, CONTINUE),
        (ConnectError("refused"), CONTINUE),
        (ReadTimeoutError("silence"), CONTINUE),
        (ConnectionResetError(), CONTINUE),
        (TimeoutError(), CONTINUE),
        (HTTPStatusError(503), CONTINUE),
        (HTTPStatusError(404), FAIL),
        (HTTPStatusError(204), FAIL),
        (HTTPContentTypeError("text/html"), FAIL),
        (TypeError("a mistake"), FAIL),
    ],
)
def test_reconnect_retries_errors_that_retrying_can_fix(
    exception: Exception | None, verdict: bool
) -> None:
    assert verdicts(ErrorStrategy.reconnect(statuses=[503]), exception) == [verdict]
    assert verdicts(ErrorStrategy.reconnect(), HTTPStatusError(503)) == [FAIL]


def test_the_transient_statuses_are_those_that_retrying_can_fix() -> None:
    official, unofficial = (408, 425, 429, 500, 502, 503, 504), (520, 521, 522, 523, 524, 529)
    assert (*official, *unofficial) == TRANSIENT_STATUSES
    for status in (*TRANSIENT_STATUSES, 501):
        verdict = CONTINUE if status in TRANSIENT_STATUSES else FAIL
        strategy = ErrorStrategy.reconnect(TRANSIENT_STATUSES)
        assert verdicts(strategy, HTTPStatusError(status)) == [verdict], status


def test_reconnect_treats_a_librarys_exception_as_a_failed_connection() -> None:
    class PoolError(Exception):
        pass

    assert verdicts(ErrorStrategy.reconnect(), PoolError()) == [CONTINUE]


def test_a_lambda_can_return_none_as_the_next_strategy() -> None:
    error = ErrorStrategy.from_lambda(lambda exception: (exception is None, None))
    assert error.apply(None) == (FAIL, error)
    assert error.apply(ValueError()) == (CONTINUE, error)
    delay = RetryDelayStrategy.from_lambda(lambda base: (base * 3, None))
    assert delay.apply(2) == (6, delay)


def test_a_lambda_can_return_another_strategy() -> None:
    fail = ErrorStrategy.always_fail()
    assert ErrorStrategy.from_lambda(lambda _: (CONTINUE, fail)).apply(None) == (CONTINUE, fail)
    base = RetryDelayStrategy()
    assert RetryDelayStrategy.from_lambda(lambda _: (5, base)).apply(1) == (5, base)


def test_the_base_class_of_delay_strategies_waits_the_base_delay() -> None:
    strategy = RetryDelayStrategy()
    assert strategy.apply(2.5) == (2.5, strategy)


def test_the_default_delay_doubles_up_to_half_a_minute() -> None:
    strategy = RetryDelayStrategy.default(jitter_multiplier=None)
    for _ in range(2):  # the original isn't changed
        assert delays(strategy, 1, 7) == [1, 2, 4, 8, 16, 30, 30]


def test_the_default_jitter_shortens_by_up_to_half() -> None:
    seen = [RetryDelayStrategy.default().apply(10)[0] for _ in range(200)]
    assert 5 <= min(seen) < 6.5
    assert 8.5 < max(seen) <= 10


@pytest.mark.parametrize("nothing", [None, 0])
def test_the_default_cap_and_jitter_can_be_turned_off(nothing: float | None) -> None:
    strategy = RetryDelayStrategy.default(nothing, 10, nothing)
    assert delays(strategy, 1, 4) == [1, 10, 100, 1000]


def test_a_delay_has_the_configured_cap_multiplier_and_jitter() -> None:
    assert delays(RetryDelayStrategy.default(5, 3, 0), 1, 4) == [1, 3, 5, 5]
    delay, _ = RetryDelayStrategy.default(max_delay=20, jitter_multiplier=0.25).apply(100)
    assert 15 <= delay <= 20


def test_a_longer_base_exceeds_only_the_default_cap() -> None:
    assert delays(RetryDelayStrategy.default(jitter_multiplier=0), 123, 3) == [123] * 3
    assert delays(RetryDelayStrategy.default(30, jitter_multiplier=0), 123, 3) == [123] * 3
    assert delays(RetryDelayStrategy.default(31, jitter_multiplier=0), 123, 3) == [31] * 3
    seen = [RetryDelayStrategy.default().apply(123)[0] for _ in range(200)]
    assert 61.5 <= min(seen) < max(seen) <= 123


@pytest.mark.parametrize("wrong", [-1, math.nan])
def test_an_invalid_delay_is_an_error(wrong: float) -> None:
    with pytest.raises(ValueError, match="base_delay"):
        RetryDelayStrategy.default().apply(wrong)


def test_signatures_are_those_of_launchdarkly_eventsource() -> None:
    def names(function: object) -> list[str]:
        return list(inspect.signature(function).parameters)  # type: ignore[arg-type]

    assert names(ConnectStrategy.http)[:5] == [
        "url",
        "headers",
        "pool",
        "urllib3_request_options",
        "query_params",
    ]
    assert names(RetryDelayStrategy.default) == [
        "max_delay",
        "backoff_multiplier",
        "jitter_multiplier",
    ]
    assert names(ErrorStrategy.apply) == ["self", "exception"]
    assert names(RetryDelayStrategy.apply) == ["self", "base_delay"]
    assert names(ConnectionClient.connect) == ["self", "last_event_id"]
    assert names(ConnectStrategy.create_client) == ["self", "logger"]
    assert names(ConnectionResult)[:3] == ["stream", "closer", "headers"]


def test_a_connection_result_is_closed_once() -> None:
    closed = []
    stream = iter([b""])
    result = ConnectionResult(stream, lambda: closed.append(1), {"a": "b"})
    assert result.stream is stream
    assert result.headers == {"a": "b"}
    with result as same:
        assert same is result
    result.close()
    assert closed == [1]
    ConnectionResult(stream, None).close()


def test_a_connection_client_is_a_context_manager() -> None:
    class Mine(ConnectionClient):
        closed = False

        def close(self) -> None:
            self.closed = True

    with Mine() as client:
        pass
    assert isinstance(client, Mine)
    assert client.closed
