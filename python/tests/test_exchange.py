"""The engine's exchange, which decides for the transports written in Python."""

from __future__ import annotations

from typing import Any

import pytest

from everstream._native import Exchange, Request
from everstream.errors import HTTPStatusError

STREAM = [(b"Content-Type", b"text/event-stream")]


def request(url: str, **options: Any) -> Request:
    settings: dict[str, Any] = {
        "method": "GET",
        "headers": [],
        "sensitive_headers": None,
        "query_params": None,
        "has_body": False,
        "follow_redirects": True,
        "codings": ["gzip", "deflate"],
        "any_content_type": False,
        "cookies": False,
    }
    return Request(url, **{**settings, **options})


def sent(exchange: Exchange) -> dict[str, bytes]:
    return dict(exchange.request[2])


def redirect(exchange: Exchange, to: str, status: int = 307) -> None:
    assert exchange.handle_head(status, [(b"location", to.encode())]) == "follow"


HEADERS = [("Authorization", "a"), ("X-Team", "b"), ("X-Api-Key", "c")]


def test_headers_follow_the_upgrade_of_a_host_to_https() -> None:
    exchange = request("http://h.test/", headers=HEADERS).exchange(None)
    redirect(exchange, "https://h.test/")
    assert {"authorization", "x-team", "x-api-key"} <= sent(exchange).keys()
    assert exchange.has_left_origin
    assert exchange.handle_head(200, STREAM) == "stream"
    assert exchange.start()[1:] == (200, "https://h.test/", [])


@pytest.mark.parametrize(
    ("start", "target"),
    [
        ("http://h.test:8080/", "https://h.test/"),
        ("http://h.test/", "https://h.test:8443/"),
        ("http://h.test/", "https://other.test/"),
        ("https://h.test/", "http://h.test/"),
    ],
)
def test_headers_follow_no_other_change_of_origin(start: str, target: str) -> None:
    exchange = request(start, headers=HEADERS).exchange("7")
    redirect(exchange, target)
    assert sent(exchange).keys() == {"accept", "cache-control", "last-event-id"}
    redirect(exchange, start)
    assert sent(exchange).keys() == {"accept", "cache-control", "last-event-id"}
    exchange.handle_head(200, STREAM)
    assert sorted(exchange.start()[3]) == ["authorization", "x-api-key", "x-team"]


@pytest.mark.parametrize("name", ["X-Api-Key", "authorization"])
def test_sensitive_headers_do_not_follow_the_upgrade_either(name: str) -> None:
    exchange = request("http://h.test/", headers=HEADERS, sensitive_headers=[name]).exchange(None)
    redirect(exchange, "https://h.test/")
    left = {"authorization", "x-team", "x-api-key"} & sent(exchange).keys()
    assert left == {"authorization", "x-team", "x-api-key"} - {name.lower()}
    exchange.handle_head(200, STREAM)
    assert exchange.start()[3] == [name.lower()]


def test_the_error_is_available_once_its_body_is_complete() -> None:
    exchange = request("http://h.test/").exchange(None)
    assert exchange.handle_head(500, [(b"retry-after", b"7")]) == "error"
    assert exchange.error_body_time is not None
    assert 0 < exchange.error_body_time <= 2
    exchange.handle_body(b"x" * 600)
    exchange.handle_body(b"y" * 600)
    assert exchange.error_body_time is None
    error = exchange.error()
    assert isinstance(error, HTTPStatusError)
    assert error.body == b"x" * 600 + b"y" * 424


def test_a_header_that_follows_from_the_body_cannot_be_set() -> None:
    for name in ("Content-Length", "transfer-encoding"):
        with pytest.raises(ValueError, match="is computed from the body"):
            request("http://h.test/", headers=[(name, "1")])
