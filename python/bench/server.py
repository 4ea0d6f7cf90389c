"""A server that sends events as fast as they are read: prints its port, and serves until killed.

``GET /N/M`` returns N events, M of them in each HTTP chunk; 64 events are written at once.
"""

from __future__ import annotations

import socket
import threading

TOKEN = (
    b'data: {"id":"chatcmpl-A1b2C3d4E5f6G7h8I9j0K1l2M3n4","object":"chat.completion.chunk",'
    b'"created":1731000000,"model":"a-model-2026","choices":[{"index":0,"delta":{"content":'
    b'" words,"},"logprobs":null,"finish_reason":null}],"usage":null}'
)
EVENT = TOKEN + b"\n\n"
PER_WRITE = 64

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)


def chunks(events: int, per_chunk: int) -> bytes:
    whole, rest = divmod(events, per_chunk)
    return chunk(per_chunk) * whole + (chunk(rest) if rest else b"")


def chunk(events: int) -> bytes:
    body = EVENT * events
    return b"%x\r\n%s\r\n" % (len(body), body)


def serve(connection: socket.socket) -> None:
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = b""
        while b"\r\n\r\n" not in request:
            received = connection.recv(65536)
            if not received:
                return
            request += received
        count, per_chunk = map(int, request.split()[1].strip(b"/").split(b"/"))
        whole, rest = divmod(count, PER_WRITE)
        try:
            # A single event is sent together with the head.
            connection.sendall(HEAD + chunks(rest, per_chunk))
            full = chunks(PER_WRITE, per_chunk)
            for _ in range(whole):
                connection.sendall(full)
            connection.sendall(b"0\r\n\r\n")
            connection.recv(1)
        except ConnectionError:
            pass  # the client has read enough


def main() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
