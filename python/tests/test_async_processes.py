"""Forks, signals and interpreter exit in asyncio, each tested in a new process."""

from __future__ import annotations

import os

import pytest

from everstream.testing import Reply, SSEServer
from test_processes import Child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")


def test_asyncio_run_can_be_called_twice(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a").stall())
    child = Child(
        """
        import asyncio, sys
        from everstream import AsyncSSEClient

        async def main():
            async with AsyncSSEClient(sys.argv[1]) as client:
                async for event in client.events:
                    print(event.data)
                    break

        asyncio.run(main())
        asyncio.run(main())
        """,
        server.url(),
    )
    assert child.end() == "a\na\n"


def test_ctrl_c_ends_a_wait(server: SSEServer) -> None:
    server.otherwise(Reply.stream().stall())
    child = Child(
        """
        import asyncio, sys
        from everstream import AsyncSSEClient

        async def main():
            client = AsyncSSEClient(sys.argv[1])
            await client.start()
            print("ready", flush=True)
            async for event in client.events:
                pass

        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print("interrupted")
        """,
        server.url(),
    )
    child.expect("ready")
    child.interrupt()
    child.expect("interrupted")
    assert child.end() == ""


@pytest.mark.parametrize("how", ["flood", "wait", "loop in a thread"])
def test_the_interpreter_can_exit_during_a_read(server: SSEServer, how: str) -> None:
    flood = Reply.stream().send_forever("data: a\n\n" * 100)
    server.otherwise(Reply.stream().stall() if how == "wait" else flood)
    child = Child(
        """
        import asyncio, sys, threading, time
        from everstream import AsyncSSEClient

        url, how = sys.argv[1:]
        client = AsyncSSEClient(url)
        begun = threading.Event()

        async def follow():
            await client.start()
            begun.set()
            async for event in client.events:
                pass

        async def main():
            task = asyncio.create_task(follow())
            while not begun.is_set():
                await asyncio.sleep(0)
            sys.exit(0)

        if how == "loop in a thread":
            threading.Thread(target=lambda: asyncio.run(follow()), daemon=True).start()
            begun.wait()
            time.sleep(0.1)
        else:
            asyncio.run(main())
        """,
        server.url(),
        how,
    )
    assert child.end() == ""


def test_a_client_created_before_a_fork_is_an_error_in_the_child(server: SSEServer) -> None:
    server.otherwise(Reply.stream().event("a").pause(0.2).event("b").stall())
    child = Child(
        """
        import asyncio, os, sys
        from everstream import AsyncSSEClient

        client = AsyncSSEClient(sys.argv[1])

        async def read(client):
            return (await anext(client.events)).data

        async def new():
            async with AsyncSSEClient(sys.argv[1]) as own:
                return await read(own)

        print(asyncio.run(read(client)), flush=True)
        pid = os.fork()
        if pid == 0:
            for attempt in (lambda: read(client), client.start):
                try:
                    asyncio.run(attempt())
                except RuntimeError as error:
                    print("os.fork()" in str(error), flush=True)
            asyncio.run(client.close())
            print(asyncio.run(new()), flush=True)
            del client
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        print(asyncio.run(read(client)), flush=True)
        """,
        server.url(),
    )
    assert child.end() == "a\nTrue\nTrue\na\nb\n"
