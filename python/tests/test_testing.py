"""The test server."""

from __future__ import annotations

import socket
import subprocess
import sys
from importlib import metadata

import pytest

from conftest import LIMIT, Background
from everstream import SSEClient
from everstream.config import ErrorStrategy
from everstream.errors import HTTPStatusError
from everstream.testing import Feed, Gate, Reply, SSEServer

pytest_plugins = ["pytester"]


def send_request(
    server: SSEServer, head: str = "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
) -> bytes:
    """All data up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT) as client:
        client.sendall(head.encode())
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
        return answer


def body(server: SSEServer) -> bytes:
    return send_request(server).partition(b"\r\n\r\n")[2]


def head(server: SSEServer) -> bytes:
    return send_request(server).partition(b"\r\n\r\n")[0]


def whole() -> Reply:
    """A stream whose body is sent without framing."""
    return Reply.stream().close_delimited()


@pytest.mark.parametrize(
    ("reply", "sent"),
    [
        (whole().event("a\nb", event="price", id="1"), "event: price\nid: 1\ndata: a\ndata: b\n\n"),
        (whole().event("a\r\nb\rc"), "data: a\ndata: b\ndata: c\n\n"),
        (whole().event(""), "data: \n\n"),
        (whole().comment("hi").retry(5), ": hi\n\nretry: 5\n\n"),
        (whole().send("ü").send(b"\xff"), b"\xc3\xbc\xff"),
        (Reply.stream().send("ab").send("c"), "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
        (Reply.status(404).send("gone"), "gone"),
        (Reply.stream().content_length(9).send("abc").drop_connection(), "abc"),
    ],
)
def test_the_steps_of_a_reply_are_sent(server: SSEServer, reply: Reply, sent: str | bytes) -> None:
    server.otherwise(reply)
    assert body(server) == (sent.encode() if isinstance(sent, str) else sent)


def test_heads_are_sent_as_configured(server: SSEServer) -> None:
    server.enqueue(
        Reply.stream().with_status(201).header("Content-Type", "a/b").append_header("X-A", b"\xff"),
        Reply.stream().without_header("content-type"),
        Reply.redirect(308, "/there"),
    )
    first, second, third = head(server), head(server), head(server)
    assert first.startswith(b"HTTP/1.1 201 Created\r\n")
    assert b"\r\nContent-Type: a/b\r\n" in first
    assert b"\r\nX-A: \xff" in first
    assert b"Content-Type" not in second
    assert b"\r\nLocation: /there" in third


def test_raw_replies_have_no_head(server: SSEServer) -> None:
    server.enqueue(Reply.raw("no HTTP"), Reply.on_accept().send("hello"))
    assert send_request(server) == b"no HTTP"
    with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT) as client:
        assert client.recv(10) == b"hello"
    assert server.request_count == 1


def test_replies_are_cut_at_the_given_byte(server: SSEServer) -> None:
    reply = Reply.raw("0123456789")
    server.enqueue(reply.cut_after(4), reply.reset_after(4), reply.in_pieces(1))
    assert send_request(server) == b"0123"
    with pytest.raises(ConnectionResetError):
        send_request(server)
    assert send_request(server) == b"0123456789"


def test_a_gate_holds_a_reply(server: SSEServer) -> None:
    begun, proceed = Gate(), Gate()
    server.otherwise(whole().send("a").open(begun).wait_for(proceed).send("b"))
    answer = Background(lambda: body(server))
    assert begun.wait()
    assert begun.is_open
    assert not proceed.wait(0)
    proceed.open()
    assert answer.result() == b"ab"


def test_a_gate_holds_a_head(server: SSEServer) -> None:
    gate = Gate()
    server.otherwise(whole().head_after(gate).send("a"))
    answer = Background(lambda: body(server))
    assert server.wait_for_requests(1)
    gate.open()
    assert answer.result() == b"a"


def test_a_feed_is_resumed(server: SSEServer) -> None:
    feed = Feed()
    assert [feed.push("one"), feed.push("two", event="price"), feed.push("three")] == [1, 2, 3]
    server.enqueue(
        Reply.stream().retry(0).resume(feed, take=1, and_half=True).reset(),
        Reply.stream().resume(feed).end(),
        Reply.stream().replay(feed, take=2).end(),
    )
    with SSEClient(server.url(), 0, error_strategy=ErrorStrategy.always_continue()) as client:
        events = client.events
        seen = [next(events).data for _ in range(3)]
        assert feed.push("four") == 4
        seen.append(next(events).data)
        feed.close()
        assert feed.push("five") == len(feed) == 4
        assert seen == ["one", "two", "three", "four"]
        assert [next(events).data for _ in range(2)] == ["one", "two"]
    assert [request.last_event_id for request in server.requests] == [None, "1", "4"]


def test_requests_are_recorded(server: SSEServer) -> None:
    server.otherwise(Reply.status(200))
    send_request(
        server,
        "POST /a/b?c=d HTTP/1.1\r\nX-Name: Grüße\r\nLast-Event-ID: 日本\r\n"
        "Content-Length: 2\r\nConnection: close\r\n\r\nhi",
    )
    (request,) = server.requests
    assert (request.method, request.target, request.body) == ("POST", "/a/b?c=d", b"hi")
    assert (request.path, request.query) == ("/a/b", "c=d")
    assert request.headers["x-name"] == "Grüße"
    assert request.last_event_id == "日本"


def test_invalid_http_is_counted(server: SSEServer) -> None:
    assert send_request(server, "what?\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert (server.refused_requests, server.request_count) == (1, 0)


def test_an_empty_queue_is_reported(server: SSEServer) -> None:
    server.enqueue(Reply.stream())
    assert server.queued_replies == 1
    send_request(server)
    assert server.queued_replies == 0
    with SSEClient(server.url()) as client, pytest.raises(HTTPStatusError) as info:
        client.start()
    assert info.value.status == 404
    assert info.value.body


def test_connections_are_counted_dropped_and_reset(server: SSEServer) -> None:
    server.otherwise(Reply.on_accept().stall())
    address = ("127.0.0.1", server.port)
    for action in (server.drop_connections, server.reset_connections):
        with socket.create_connection(address, timeout=LIMIT) as client:
            assert server.wait_for_open_connections(1)
            action()
            if action == server.drop_connections:
                assert client.recv(1) == b""
            else:
                with pytest.raises(ConnectionResetError):
                    client.recv(1)
        assert server.wait_for_open_connections(0)
    assert server.wait_for_connections(2)
    assert server.accepted_connections == 2
    assert not server.wait_for_connections(3, timeout=0)
    assert not server.wait_for_requests(1, timeout=0)


def test_a_stopped_server_refuses_and_can_be_restarted() -> None:
    with SSEServer() as server:
        server.otherwise(whole().send("a"))
        url = server.url()
        server.stop()
        with pytest.raises(ConnectionRefusedError):
            send_request(server)
        server.restart()
        assert server.url() == url
        assert body(server) == b"a"
    with pytest.raises(ConnectionRefusedError):
        send_request(server)


def test_invalid_scripts_are_refused(server: SSEServer) -> None:
    for wrong in (99, 1000):
        with pytest.raises(ValueError, match="status must be from 100 to 999"):
            Reply.status(wrong)
    with pytest.raises(ValueError, match="id must not have line ends"):
        Reply.stream().event("a", id="1\ndata: b")
    with pytest.raises(ValueError, match="seconds"):
        Reply.stream().pause(-1)
    with pytest.raises(TypeError, match="str or bytes"):
        Reply.stream().send(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        server.enqueue("a reply")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="timeout"):
        server.wait_for_requests(1, timeout=float("nan"))


# The plugin


def test_each_test_has_its_own_server_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from everstream import SSEClient
        from everstream.testing import Reply, SSEServer

        servers = []

        def test_one(sse_server):
            assert isinstance(sse_server, SSEServer)
            sse_server.otherwise(Reply.stream().event("a"))
            assert next(SSEClient(sse_server.url()).events).data == "a"
            servers.append(sse_server)

        def test_two(sse_server):
            assert sse_server.request_count == 0
            assert sse_server is not servers[0]
            assert servers[0].wait_for_open_connections(0)
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


def test_the_plugin_is_found_by_its_entry_point() -> None:
    (plugin,) = [
        plugin
        for plugin in metadata.distribution("everstream").entry_points
        if plugin.group == "pytest11"
    ]
    assert (plugin.name, plugin.value) == ("everstream", "pytest_everstream")


def test_tests_without_the_fixture_do_not_import_the_package() -> None:
    program = (
        "import sys, pytest_everstream\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'everstream'])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout == "[]\n", run.stderr
