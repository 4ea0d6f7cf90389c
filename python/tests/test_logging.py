"""What is logged."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from async_sources import connect_by, run
from conftest import Over
from everstream import AsyncSSEClient, SSEClient
from everstream.config import ConnectStrategy, ErrorStrategy, RetryDelayStrategy
from everstream.errors import HTTPStatusError
from everstream.testing import Reply, SSEServer
from httpx_clients import LIBRARIES, skip_if_missing
from sources import canned


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append((record.levelname, record.getMessage()))


@pytest.fixture
def kept() -> tuple[logging.Logger, Kept]:
    logger = logging.Logger("mine", logging.DEBUG)
    handler = Kept()
    logger.addHandler(handler)
    return logger, handler


def test_connections_errors_and_delays_are_logged_without_secrets(
    server: SSEServer, kept: tuple[logging.Logger, Kept]
) -> None:
    logger, handler = kept
    server.enqueue(Reply.status(503).header("Set-Cookie", "hidden"), Reply.stream().event("a"))
    strategy = ConnectStrategy.http(
        server.url("/feed?token=hidden%20%s"), headers={"Authorization": "hidden"}
    )
    client = SSEClient(
        strategy, 0.001, error_strategy=ErrorStrategy.continue_with_max_attempts(1), logger=logger
    )
    with client:
        next(client.events)
    url = server.url("/feed")
    levels = [level for level, _ in handler.records]
    messages = [message for _, message in handler.records]
    assert levels == ["WARNING", "INFO"]
    assert messages == [
        f"{url} answered with status 503; retrying in 0.0 s",
        f"connected to {url}, status 200",
    ]
    assert "hidden" not in "".join(messages)


AT_ONCE: dict[str, Any] = {
    "error_strategy": ErrorStrategy.always_continue(),
    "retry_delay_strategy": RetryDelayStrategy.from_lambda(lambda _: (0, None)),
}


def logged_503_and_resume(url: str) -> list[str]:
    return [
        f"{url} answered with status 503; retrying in 0.0 s",
        f"connected to {url}, status 200",
        "the stream ended; reconnecting in 0.0 s",
        f'connected to {url}, status 200, resuming after id "15\\u{{202e}}"',
    ]


def enqueue_503_and_ids(server: SSEServer) -> None:
    first = Reply.stream().event("a", id="15\u202e")
    server.enqueue(Reply.status(503), first, Reply.stream().event("b"))


def test_lines_are_the_same_over_every_library(
    server: SSEServer, over: Over, kept: tuple[logging.Logger, Kept]
) -> None:
    """Bug: an exception repeated the message: "... status 503: HTTPStatusError: ... status 503"."""
    logger, handler = kept
    for connect in (over(server.url()), ConnectStrategy.http(server.url())):
        enqueue_503_and_ids(server)
        handler.records.clear()
        with SSEClient(connect, logger=logger, **AT_ONCE) as client:
            assert [event.data for _, event in zip("ab", client.events, strict=False)] == ["a", "b"]
        assert [message for _, message in handler.records] == logged_503_and_resume(server.url())


@pytest.mark.parametrize("by", ["own", "wrapped", "aiohttp", *LIBRARIES])
def test_lines_are_the_same_over_every_library_in_asyncio(
    server: SSEServer, by: str, kept: tuple[logging.Logger, Kept]
) -> None:
    skip_if_missing(by)
    logger, handler = kept
    enqueue_503_and_ids(server)

    async def main() -> None:
        connect = connect_by(by, server.url())
        async with AsyncSSEClient(connect, logger=logger, **AT_ONCE) as client:
            events = client.events
            assert [(await anext(events)).data for _ in range(2)] == ["a", "b"]

    run(main())
    assert [message for _, message in handler.records] == logged_503_and_resume(server.url())


def test_the_logged_delay_is_the_actual_delay(
    server: SSEServer, kept: tuple[logging.Logger, Kept]
) -> None:
    logger, handler = kept
    server.enqueue(
        Reply.status(503).header("Retry-After", "1"),
        Reply.status(503).header("Retry-After", "5"),
        Reply.stream().event("a"),
    )
    client = SSEClient(
        server.url(),
        0.001,
        retry_delay_strategy=RetryDelayStrategy.default(max_delay=1.5, jitter_multiplier=None),
        error_strategy=ErrorStrategy.reconnect(statuses=[503]),
        logger=logger,
    )
    with client:
        next(client.events)
    logged = [message for _, message in handler.records if "retrying" in message]
    url = server.url()
    assert logged == [
        f"{url} answered with status 503 (Retry-After: 1 s); retrying in 1.0 s",
        f"{url} answered with status 503 (Retry-After: 5 s); retrying in 1.5 s",
    ]


def test_the_log_does_not_say_that_a_loop_that_starts_again_gave_up(
    server: SSEServer, kept: tuple[logging.Logger, Kept]
) -> None:
    logger, handler = kept
    server.enqueue(
        Reply.status(503).header("Retry-After", "0"), Reply.status(429), Reply.stream().event("a")
    )
    url = server.url()
    with SSEClient(url, 0.001, logger=logger) as client:
        for _ in range(2):
            with pytest.raises(HTTPStatusError):
                client.start()
        client.start()
    assert handler.records == [
        (
            "WARNING",
            f"{url} answered with status 503 (Retry-After: 0 s); not retried automatically",
        ),
        ("WARNING", f"{url} answered with status 429; not retried automatically"),
        ("INFO", f"connected to {url}, status 200"),
    ]


def test_a_retried_error_is_logged_as_a_warning(
    server: SSEServer, tls_port: int, kept: tuple[logging.Logger, Kept]
) -> None:
    logger, handler = kept
    server.enqueue(
        Reply.stream().event("a"),
        Reply.redirect(307, f"https://localhost:{tls_port}/"),
        Reply.stream().event("b"),
    )
    client = SSEClient(server.url(), 0.001, error_strategy=ErrorStrategy.reconnect(), logger=logger)
    with client:
        assert [event.data for _, event in zip("ab", client.events, strict=False)] == ["a", "b"]
    warnings = [message for level, message in handler.records if level == "WARNING"]
    assert len(warnings) == 2
    assert warnings[0].startswith(
        "the certificate of localhost is not trusted: unknown issuer; retrying in "
    )
    assert warnings[1:] == [
        "retrying although the certificate is not trusted, because an earlier connection"
        " succeeded; on the first attempt this would be final",
    ]


def test_a_source_is_logged_by_its_name(kept: tuple[logging.Logger, Kept]) -> None:
    logger, handler = kept
    with SSEClient(canned([]), logger=logger) as client:
        list(client.events)
    assert handler.records == [
        ("INFO", "connected to ScriptedClient"),
        ("INFO", "the stream ended"),
    ]


def test_an_exception_in_a_logger_is_raised() -> None:
    class Failing(logging.Logger):
        def info(self, *_: object, **__: object) -> None:
            raise ValueError("mine")

    with (
        SSEClient(canned([]), logger=Failing("failing")) as client,
        pytest.raises(ValueError, match="mine"),
    ):
        next(client.events)
