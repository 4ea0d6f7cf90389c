"""What a clean end discards or ignores, and the last event without its blank line."""

from __future__ import annotations

import logging
import zlib
from typing import Any

import pytest

from async_sources import async_canned, connect_by, run
from everstream import AsyncSSEClient, SSEClient
from everstream.actions import Action, Event, Fault
from everstream.config import ConnectStrategy, ErrorStrategy
from everstream.errors import ReadError
from everstream.testing import Reply, SSEServer
from httpx_clients import LIBRARIES, new_client, skip_if_missing
from sources import canned

UNFINISHED = "id: 7\ndata: last"
JSON = '{"error": "overloaded"}'
FRAMINGS = ("chunked", "content_length", "close_delimited", "http_1_0")


@pytest.fixture(params=["own", "urllib3", "httpx", "async", "aiohttp", "async httpx2"])
def by(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    skip_if_missing(kind)
    return kind


def reply(framing: str, body: str) -> Reply:
    if framing == "chunked":
        return Reply.stream().chunked().send(body)
    if framing == "content_length":
        return Reply.stream().content_length(len(body)).send(body)
    if framing == "close_delimited":
        return Reply.stream().close_delimited().send(body)
    head = "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    return Reply.raw(head).send(body)


def read(by: str, url: str, **options: Any) -> list[Action]:
    """All actions of one connection except its start."""

    async def read_async() -> list[Action]:
        connect = connect_by(by.removeprefix("async "), url)
        async with AsyncSSEClient(connect, **options) as client:
            return [action async for action in client.all]

    if by == "aiohttp" or by.startswith("async"):
        return run(read_async())[1:]
    settings: dict[str, Any] = {"urllib3_request_options": {}} if by == "urllib3" else {}
    if by in LIBRARIES:
        settings["client"] = new_client(by)
    with SSEClient(ConnectStrategy.http(url, **settings), **options) as client:
        return list(client.all)[1:]


def end_of(actions: list[Action]) -> Fault:
    end = actions[-1]
    assert isinstance(end, Fault)
    assert end.error is None
    return end


@pytest.mark.parametrize("framing", FRAMINGS)
def test_an_end_has_the_size_of_the_unfinished_event(
    server: SSEServer, by: str, framing: str
) -> None:
    server.enqueue(reply(framing, UNFINISHED))
    (end,) = read(by, server.url())
    assert end_of([end]).discarded_bytes == len(UNFINISHED)
    assert end_of([end]).ignored_text is None


@pytest.mark.parametrize("framing", FRAMINGS)
def test_the_last_event_is_delivered_if_the_framing_proves_the_end(
    server: SSEServer, by: str, framing: str
) -> None:
    server.enqueue(reply(framing, UNFINISHED))
    *events, end = read(by, server.url(), dispatch_unfinished=True)
    if framing in ("chunked", "content_length"):
        assert events == [Event(data="last", id="7", last_event_id="7")]
        assert end_of([end]).discarded_bytes == 0
    else:
        assert events == []
        assert end_of([end]).discarded_bytes == len(UNFINISHED)


def test_an_end_has_the_text_of_a_response_without_events(server: SSEServer, by: str) -> None:
    server.enqueue(Reply.stream().send(JSON))
    (end,) = read(by, server.url())
    assert end_of([end]).ignored_text == JSON
    assert end_of([end]).discarded_bytes == 0


def test_a_complete_stream_discards_nothing(server: SSEServer, by: str) -> None:
    server.enqueue(Reply.stream().event("a").comment("b"))
    end = end_of(read(by, server.url()))
    assert (end.discarded_bytes, end.ignored_text) == (0, None)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_wrapped_connection_of_this_package_proves_its_end(
    server: SSEServer, wrapped: bool
) -> None:
    server.enqueue(reply("chunked", UNFINISHED))
    connect = connect_by("wrapped" if wrapped else "async", server.url())

    async def main() -> list[Action]:
        async with AsyncSSEClient(connect, dispatch_unfinished=True) as client:
            return [action async for action in client.all]

    assert [action.data for action in run(main()) if isinstance(action, Event)] == ["last"]


def test_the_end_of_a_custom_source_proves_nothing() -> None:
    with SSEClient(canned([b"data: a\n"]), dispatch_unfinished=True) as client:
        assert end_of(list(client.all)).discarded_bytes == 8

    async def main() -> list[Action]:
        strategy = async_canned([b"data: a\n"])
        async with AsyncSSEClient(strategy, dispatch_unfinished=True) as client:
            return [action async for action in client.all]

    assert end_of(run(main())).discarded_bytes == 8


@pytest.mark.parametrize("framing", ["chunked", "content_length"])
def test_the_last_event_of_truncated_encoded_data_is_not_delivered(
    server: SSEServer, by: str, framing: str
) -> None:
    packer = zlib.compressobj(wbits=31)
    body = packer.compress(UNFINISHED.encode()) + packer.flush(zlib.Z_SYNC_FLUSH)
    framed = Reply.stream().content_length(len(body))
    cut = framed if framing == "content_length" else Reply.stream().chunked()
    server.enqueue(cut.header("Content-Encoding", "gzip").send(body))
    once = ErrorStrategy.always_fail()
    with pytest.raises(ReadError):
        read(by, server.url(), error_strategy=once, dispatch_unfinished=True)


@pytest.mark.parametrize(
    ("length", "options"), [("abc", {}), ("-1", {}), ("500", {"enforce_content_length": False})]
)
def test_a_length_that_urllib3_does_not_check_proves_nothing(
    server: SSEServer, length: str, options: dict[str, Any]
) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {length}\r\n\r\n"
    server.enqueue(Reply.raw(head).send(UNFINISHED))
    connect = ConnectStrategy.http(server.url(), urllib3_request_options=options)
    with SSEClient(connect, dispatch_unfinished=True) as client:
        _, end = client.all
    assert end_of([end]).discarded_bytes == len(UNFINISHED)


def test_an_interruption_and_a_lost_connection_discard_without_a_warning(
    server: SSEServer, by: str
) -> None:
    server.enqueue(Reply.stream().event("a").send(UNFINISHED).drop_connection())
    always = ErrorStrategy.continue_with_max_attempts(0)
    with pytest.raises(Exception, match="mid-response"):
        read(by, server.url(), error_strategy=always, dispatch_unfinished=True)


@pytest.mark.parametrize(
    ("body", "warning"),
    [
        (
            UNFINISHED,
            "discarded 16 bytes of an unfinished event: the stream ended before its blank line",
        ),
        ("{\n  1\n}", "the response had no events; it began with: {\\n  1\\n}"),
    ],
)
def test_discarded_or_ignored_data_is_logged_as_a_warning(
    server: SSEServer, by: str, caplog: pytest.LogCaptureFixture, body: str, warning: str
) -> None:
    server.enqueue(Reply.stream().send(body))
    with caplog.at_level(logging.INFO, "mine"):
        read(by, server.url(), logger=logging.getLogger("mine"))
    records = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert records == [
        ("INFO", f"connected to {server.url()}, status 200"),
        ("WARNING", warning),
        ("INFO", "the stream ended"),
    ]


def test_a_fault_has_no_details_of_an_end_by_default() -> None:
    assert (Fault(None).discarded_bytes, Fault(None).ignored_text) == (0, None)
    end = Fault(None, discarded_bytes=3, ignored_text="x")
    assert (end.discarded_bytes, end.ignored_text) == (3, "x")
