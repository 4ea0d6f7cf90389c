"""The contract-test service for the clients of the Python package.

It has the REST interface of the Rust service (`../src/api.rs`) and passes the same tests.
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import sys
import threading
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

# Connects to the harness's servers directly, whatever the environment says.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"

from callbacks import Callbacks
from stream import CLIENTS, Finished, Settings, Stream

CAPABILITIES = [
    "comments",
    "headers",
    "last-event-id",
    "post",
    "report",
    "read-timeout",
    "restart",
    "bom",
    "server-directed-shutdown-request",
]


class Rejection(Exception):
    """Why a request is rejected."""

    def __init__(self, status: HTTPStatus, problem: str) -> None:
        super().__init__(problem)
        self.status = status


def bad_request(problem: str) -> Rejection:
    return Rejection(HTTPStatus.BAD_REQUEST, problem)


class Service(http.server.ThreadingHTTPServer):
    """The state that all requests share."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 100

    def __init__(self, address: tuple[str, int], client: str) -> None:
        super().__init__(address, Handler)
        self.follower = CLIENTS[client]
        self._lock = threading.Lock()
        self._streams: dict[int, Stream] = {}
        self._last = 0

    def add(self, stream: Stream) -> int:
        with self._lock:
            self._last += 1
            self._streams[self._last] = stream
            return self._last

    def find(self, id: str) -> Stream:
        with self._lock:
            return self._known(self._streams.get(number(id)), id)

    def take(self, id: str) -> Stream:
        with self._lock:
            return self._known(self._streams.pop(number(id), None), id)

    def take_all(self) -> list[Stream]:
        with self._lock:
            streams, self._streams = self._streams, {}
            return list(streams.values())

    @staticmethod
    def _known(stream: Stream | None, id: str) -> Stream:
        if stream is None:
            raise Rejection(HTTPStatus.NOT_FOUND, f"there is no stream {id!r}")
        return stream


def number(id: str) -> int:
    return int(id) if id.isascii() and id.isdigit() and len(id) < 20 else 0


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: Service
    protocol_version = "HTTP/1.1"
    #: Whether the service should exit after this request.
    last = False

    def answer(self) -> None:
        self.close_connection = True
        try:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers, text = self.route(body)
        except Rejection as rejection:
            status, headers, text = rejection.status, {}, f"{rejection}\n"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        data = text.encode(errors="replace")
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        if self.last:
            # The response is sent, so the process may exit.
            self.server.shutdown()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def route(self, body: bytes) -> tuple[HTTPStatus, dict[str, str], str]:
        id = self.path.removeprefix("/streams/")
        if self.path == "/":
            routes = {"GET": self.capabilities, "POST": self.create, "DELETE": self.quit}
        elif id != self.path and id and "/" not in id:
            routes = {
                "POST": lambda body: self.command_stream(id, body),
                "DELETE": lambda _: self.end(id),
            }
        else:
            raise Rejection(HTTPStatus.NOT_FOUND, "there is no such path")
        if self.command not in routes:
            raise Rejection(HTTPStatus.METHOD_NOT_ALLOWED, "there is no such method here")
        return routes[self.command](body)

    def capabilities(self, _: bytes) -> tuple[HTTPStatus, dict[str, str], str]:
        body = json.dumps({"capabilities": CAPABILITIES})
        return HTTPStatus.OK, {"Content-Type": "application/json"}, body

    def create(self, body: bytes) -> tuple[HTTPStatus, dict[str, str], str]:
        request = StreamRequest(parse(body))
        settings = Settings(
            url=request.required("streamUrl"),
            initial_delay=request.milliseconds("initialDelayMs"),
            read_timeout=request.milliseconds("readTimeoutMs", least=1),
            last_event_id=request.text("lastEventId"),
            headers=request.texts("headers"),
            method=request.text("method"),
            body=request.text("body"),
        )
        url = request.required("callbackUrl")
        try:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("it must start with http:// or https:// and a host")
        except ValueError as error:
            raise bad_request(f"callbackUrl isn't an HTTP URL: {error}") from error
        callbacks = Callbacks(url, request.required("tag"))
        try:
            stream = self.server.follower(settings, callbacks)
        except ValueError as error:
            raise bad_request(str(error)) from error
        return HTTPStatus.CREATED, {"Location": f"/streams/{self.server.add(stream)}"}, ""

    def command_stream(self, id: str, body: bytes) -> tuple[HTTPStatus, dict[str, str], str]:
        stream = self.server.find(id)
        if StreamRequest(parse(body)).required("command") != "restart":
            raise bad_request("the only command is restart")
        try:
            stream.restart()
        except Finished:
            problem = "the server has ended the stream for good"
            raise Rejection(HTTPStatus.CONFLICT, problem) from None
        return HTTPStatus.ACCEPTED, {}, ""

    def end(self, id: str) -> tuple[HTTPStatus, dict[str, str], str]:
        self.server.take(id).close()
        return HTTPStatus.NO_CONTENT, {}, ""

    def quit(self, _: bytes) -> tuple[HTTPStatus, dict[str, str], str]:
        for stream in self.server.take_all():
            stream.close()
        self.last = True
        return HTTPStatus.OK, {}, ""

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def parse(body: bytes) -> Any:
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeEncodeError:
        raise bad_request("a string contains a hex escape of a lone surrogate") from None
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the body isn't JSON, or is truncated (EOF): {error}") from error


class StreamRequest:
    """The fields of a request. Unknown fields are ignored, because harnesses evolve."""

    def __init__(self, fields: Any) -> None:
        if not isinstance(fields, dict):
            raise bad_request("invalid: expected a map")
        self._fields = fields

    def required(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise bad_request(f"{name} is missing")
        return value

    def text(self, name: str) -> str | None:
        value = self._fields.get(name)
        if value is None or isinstance(value, str):
            return value
        raise bad_request(f"{name} must be a string")

    def milliseconds(self, name: str, least: int = 0) -> float | None:
        """Converts a field to seconds."""
        value = self._fields.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 64:
            raise bad_request(f"{name} must be a u64")
        if value < least:
            raise bad_request(f"{name} must be at least {least}")
        return value / 1000

    def texts(self, name: str) -> dict[str, str]:
        value = self._fields.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(isinstance(it, str) for it in value.values()):
            raise bad_request(f"{name} must be a map of strings")
        return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", choices=CLIENTS, required=True, help="which client to test")
    parser.add_argument("--port", type=int, default=8000, help="0 picks a free port")
    parser.add_argument("--host", default="127.0.0.1", help="anyone who connects can send requests")
    arguments = parser.parse_args()
    with Service((arguments.host, arguments.port), arguments.client) as service:
        # The caller reads the port from this line.
        print(f"listening on http://{arguments.host}:{service.server_port}", flush=True)
        service.serve_forever(poll_interval=0.05)
    for stream in service.take_all():
        stream.close()


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"error: {error}")
