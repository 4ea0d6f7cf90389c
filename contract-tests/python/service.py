"""The contract-test service with a client of the Python package.

It speaks the REST interface of the Rust service (`../src/api.rs`), and passes the same tests.
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

# The harness's servers are reached directly, whatever the environment says.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"

from callbacks import Callbacks
from stream import FACES, Finished, Settings, Stream

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


class Refusal(Exception):
    """Why a request isn't carried out."""

    def __init__(self, status: HTTPStatus, problem: str) -> None:
        super().__init__(problem)
        self.status = status


def bad_request(problem: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, problem)


class Service(http.server.ThreadingHTTPServer):
    """What all requests share."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 100

    def __init__(self, address: tuple[str, int], client: str) -> None:
        super().__init__(address, Handler)
        self.follower = FACES[client]
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
            raise Refusal(HTTPStatus.NOT_FOUND, f"there is no stream {id!r}")
        return stream


def number(id: str) -> int:
    return int(id) if id.isascii() and id.isdigit() and len(id) < 20 else 0


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    server: Service
    protocol_version = "HTTP/1.1"
    #: Whether the service is to exit after it.
    last = False

    def answer(self) -> None:
        self.close_connection = True
        try:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers, text = self.route(body)
        except Refusal as refusal:
            status, headers, text = refusal.status, {}, f"{refusal}\n"
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
            # The answer is out, so the process may end.
            self.server.shutdown()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def route(self, body: bytes) -> tuple[HTTPStatus, dict[str, str], str]:
        id = self.path.removeprefix("/streams/")
        if self.path == "/":
            routes = {"GET": self.capabilities, "POST": self.create, "DELETE": self.quit}
        elif id != self.path and id and "/" not in id:
            routes = {"POST": lambda body: self.order(id, body), "DELETE": lambda _: self.end(id)}
        else:
            raise Refusal(HTTPStatus.NOT_FOUND, "there is no such path")
        if self.command not in routes:
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "there is no such method here")
        return routes[self.command](body)

    def capabilities(self, _: bytes) -> tuple[HTTPStatus, dict[str, str], str]:
        body = json.dumps({"capabilities": CAPABILITIES})
        return HTTPStatus.OK, {"Content-Type": "application/json"}, body

    def create(self, body: bytes) -> tuple[HTTPStatus, dict[str, str], str]:
        wanted = Wanted(parse(body))
        settings = Settings(
            url=wanted.required("streamUrl"),
            initial_delay=wanted.milliseconds("initialDelayMs"),
            read_timeout=wanted.milliseconds("readTimeoutMs", least=1),
            last_event_id=wanted.text("lastEventId"),
            headers=wanted.texts("headers"),
            method=wanted.text("method"),
            body=wanted.text("body"),
        )
        url = wanted.required("callbackUrl")
        try:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("it must begin with http:// or https:// and a host")
        except ValueError as error:
            raise bad_request(f"callbackUrl isn't a URL of HTTP: {error}") from error
        callbacks = Callbacks(url, wanted.required("tag"))
        try:
            stream = self.server.follower(settings, callbacks)
        except ValueError as error:
            raise bad_request(str(error)) from error
        return HTTPStatus.CREATED, {"Location": f"/streams/{self.server.add(stream)}"}, ""

    def order(self, id: str, body: bytes) -> tuple[HTTPStatus, dict[str, str], str]:
        stream = self.server.find(id)
        if Wanted(parse(body)).required("command") != "restart":
            raise bad_request("the only command is restart")
        try:
            stream.restart()
        except Finished:
            problem = "the stream is over: the server has ended it for good"
            raise Refusal(HTTPStatus.CONFLICT, problem) from None
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
        raise bad_request("a string has a lone surrogate as hex escape") from None
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the body isn't JSON, or is at EOF too early: {error}") from error


class Wanted:
    """The fields of a request. Those that are not known are ignored: harnesses grow."""

    def __init__(self, fields: Any) -> None:
        if not isinstance(fields, dict):
            raise bad_request("invalid: a map was expected")
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
        """In seconds."""
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
    parser.add_argument("--client", choices=FACES, required=True, help="which client to test")
    parser.add_argument("--port", type=int, default=8000, help="0 stands for a free port")
    parser.add_argument("--host", default="127.0.0.1", help="whoever reaches it can send requests")
    arguments = parser.parse_args()
    with Service((arguments.host, arguments.port), arguments.client) as service:
        # Who started this with `--port 0` waits for the line.
        print(f"listening on http://{arguments.host}:{service.server_port}", flush=True)
        service.serve_forever(poll_interval=0.05)
    for stream in service.take_all():
        stream.close()


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"error: {error}")
