"""Signals, forks and interpreter exit, each tested in a new process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from typing import IO

import pytest

from conftest import LIMIT
from everstream.testing import Gate, Reply, SSEServer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")


class Child:
    """A Python program that prints its progress."""

    def __init__(self, program: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(program), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def _output(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def expect(self, line: str) -> None:
        assert self._output.readline().rstrip("\n") == line

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def end(self) -> str:
        """The rest of the output; the program must succeed."""
        try:
            output, _ = self._process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            pytest.fail(f"it doesn't end: {self._process.communicate()[0]}")
        assert self._process.returncode == 0, output
        return output


INTERRUPTED = """
    import sys
    from everstream import SSEClient
    from everstream.actions import Fault
    from everstream.config import ConnectStrategy, ErrorStrategy, RetryDelayStrategy

    url, phase = sys.argv[1:]
    client = SSEClient(
        ConnectStrategy.http(url, connect_timeout=None),
        retry_delay_strategy=RetryDelayStrategy.from_lambda(lambda _: (3600, None)),
        error_strategy=ErrorStrategy.always_continue(),
    )
    try:
        if phase == "back-off":
            next(client.all)
        print("ready", flush=True)
        if phase == "start":
            client.start()
        for event in client.events:
            print(event.data, flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    if phase == "read":
        # Nothing is lost: the same connection continues.
        print(next(client.events).data, flush=True)
    """


@pytest.mark.parametrize("phase", ["read", "headers", "start", "back-off"])
def test_ctrl_c_ends_a_wait(server: SSEServer, phase: str) -> None:
    gate = Gate()
    server.otherwise(
        {
            "read": Reply.stream().event("a").wait_for(gate).event("b").stall(),
            "headers": Reply.stream().head_delayed(3600),
            "start": Reply.stream().head_delayed(3600),
            "back-off": Reply.status(500),
        }[phase]
    )
    child = Child(INTERRUPTED, server.url(), phase)
    child.expect("ready")
    assert server.wait_for_requests(1)
    if phase == "read":
        child.expect("a")
    child.interrupt()
    child.expect("interrupted")
    gate.open()
    assert child.end() == ("b\n" if phase == "read" else "")


@pytest.mark.parametrize("phase", ["connect", "start"])
def test_ctrl_c_ends_a_connect(unresponsive_url: str, phase: str) -> None:
    child = Child(INTERRUPTED, unresponsive_url, phase)
    child.expect("ready")
    child.interrupt()
    child.expect("interrupted")
    assert child.end() == ""


def test_ctrl_c_ends_a_stream_that_never_pauses(server: SSEServer) -> None:
    server.otherwise(Reply.stream().send_forever(": nothing\n" * 100))
    child = Child(INTERRUPTED, server.url(), "flood")
    child.expect("ready")
    assert server.wait_for_requests(1)
    child.interrupt()
    child.expect("interrupted")
    child.end()


def test_ctrl_c_ends_a_source_in_python() -> None:
    child = Child(
        """
        import itertools, operator, threading, time
        from everstream import SSEClient
        from everstream.config import *

        def stream():
            print("ready", flush=True)
            time.sleep(3600)
            yield b""

        class Source(ConnectStrategy, ConnectionClient):
            def __init__(self, stream):
                self.stream = stream
            def create_client(self, logger):
                return self
            def connect(self, last_event_id):
                return ConnectionResult(self.stream(), None)

        def endless():
            # None of this is Python code, which would check for signals itself.
            numbers = itertools.count()

            def watch():
                while int(repr(numbers)[len("count(") : -1]) < 1000:
                    time.sleep(0.001)
                print("ready", flush=True)

            threading.Thread(target=watch, daemon=True).start()
            return map(operator.mul, itertools.repeat(b""), numbers)

        for source in (stream, endless):
            client = SSEClient(Source(source), error_strategy=ErrorStrategy.always_continue())
            try:
                next(client.events)
            except KeyboardInterrupt:
                print("interrupted", flush=True)
        """
    )
    for _ in range(2):
        child.expect("ready")
        child.interrupt()
        child.expect("interrupted")
    assert child.end() == ""


def test_a_signal_handler_that_returns_does_not_end_the_wait(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a").pause(1).event("b").stall())
    child = Child(
        """
        import signal, sys
        from everstream import SSEClient

        signal.signal(signal.SIGINT, lambda *_: print("handled", flush=True))
        with SSEClient(sys.argv[1]) as client:
            events = client.events
            print(next(events).data, flush=True)
            print(next(events).data, flush=True)
        """,
        server.url(),
    )
    child.expect("a")
    child.interrupt()
    child.expect("handled")
    assert child.end() == "b\n"


def test_a_client_created_before_a_fork_is_an_error_in_the_child(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a").event("b").pause(1).event("c").stall())
    child = Child(
        """
        import os, sys, warnings
        from everstream import SSEClient
        from everstream.testing import SSEServer

        warnings.simplefilter("ignore", DeprecationWarning)
        inherited = SSEServer()
        client = SSEClient(sys.argv[1])
        events = client.events
        print(next(events).data, flush=True)
        if os.fork() == 0:
            for use in (lambda: next(events), lambda: next(client.all), client.start):
                try:
                    use()
                    print("used", flush=True)
                except RuntimeError as error:
                    assert "fork" in str(error), error
            client.interrupt()
            client.close()
            own = SSEClient(sys.argv[1])
            assert next(own.events).data == "a"
            own.close()
            del client, events, use, inherited
            print("child", flush=True)
            sys.exit()
        pid, status = os.wait()
        assert status == 0, status
        # The parent's connection still works.
        print(next(events).data, next(events).data, flush=True)
        """,
        server.url(),
    )
    child.expect("a")
    child.expect("child")
    assert child.end() == "b c\n"


def test_a_fork_during_a_read_in_another_thread_does_not_block_the_child(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a").stall())
    child = Child(
        """
        import os, sys, threading, warnings
        from everstream import SSEClient

        warnings.simplefilter("ignore", DeprecationWarning)
        client = SSEClient(sys.argv[1])
        got = threading.Event()

        def read():
            for _ in client.events:
                got.set()

        thread = threading.Thread(target=read)
        thread.start()
        assert got.wait(30)
        if os.fork() == 0:
            try:
                client.start()
            except RuntimeError as error:
                print("fork" in str(error), flush=True)
            del client
            os._exit(0)
        os.wait()
        client.close()
        thread.join()
        """,
        server.url(),
    )
    assert child.end() == "True\n"


@pytest.mark.parametrize("where", ["main", "daemon", "generator"])
def test_the_interpreter_can_exit_with_an_open_client(server: SSEServer, where: str) -> None:
    server.otherwise(Reply.stream().event("a").stall())
    child = Child(
        """
        import sys, threading
        from everstream import SSEClient

        url, where = sys.argv[1:]
        client = SSEClient(url)
        events = client.events
        print(next(events).data, flush=True)
        if where == "daemon":
            threading.Thread(target=lambda: list(events), daemon=True).start()
        if where == "generator":
            def generator():
                yield from client.events
            iterator = generator()
            threading.Thread(target=lambda: next(iterator), daemon=True).start()
        """,
        server.url(),
        where,
    )
    child.expect("a")
    assert child.end() == ""


def test_the_interpreter_can_exit_while_a_daemon_thread_reads_a_custom_source() -> None:
    """The process was aborted, because the thread was unwound through the engine."""
    child = Child(
        """
        import socket, threading
        from everstream import SSEClient
        from everstream.config import ConnectionClient, ConnectionResult, ConnectStrategy

        class Source(ConnectStrategy, ConnectionClient):
            def create_client(self, logger):
                return self
            def connect(self, last_event_id):
                ours, theirs = socket.socketpair()
                theirs.sendall(b"data: a\\n\\n")
                def chunks():
                    with ours, theirs:
                        while chunk := ours.recv(100):
                            yield chunk
                return ConnectionResult(chunks(), lambda: ours.shutdown(socket.SHUT_RDWR))

        clients = [SSEClient(Source()) for _ in range(20)]
        for client in clients:
            events = client.events
            next(events)
            threading.Thread(target=lambda events=events: list(events), daemon=True).start()
        print("a", flush=True)
        for client in clients:
            client.close()
        """
    )
    child.expect("a")
    assert child.end() == ""
