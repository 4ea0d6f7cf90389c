"""The engine. Not public: use the other modules."""

from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Iterable, Mapping, Sequence
from logging import Logger
from types import GenericAlias
from typing import Any, Generic, Literal, TypeVar, final, overload

from typing_extensions import disjoint_base

from ._headers import Headers

__all__ = [
    "TRANSIENT_STATUSES",
    "Action",
    "AsyncClient",
    "AsyncHttpClient",
    "AsyncHttpStream",
    "Backoff",
    "Client",
    "Comment",
    "ErrorPreset",
    "Event",
    "Exchange",
    "Feed",
    "Gate",
    "Http",
    "HttpClient",
    "HttpStream",
    "Iter",
    "Mailbox",
    "Reply",
    "Request",
    "Server",
    "Wake",
    "__version__",
    "add_params",
    "check_header_values",
    "parse_retry_after",
    "redact_url",
]

class Action:
    """Base class of what :attr:`everstream.SSEClient.all` yields."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Action: ...

@disjoint_base
class Event(Action):
    """An event that was received. Immutable, hashable and picklable."""

    def __new__(
        cls,
        event: str = "message",
        data: str = "",
        id: str | None = None,
        last_event_id: str | None = None,
    ) -> Event: ...
    @property
    def event(self) -> str:
        """The event's type: its ``event:`` field, or ``"message"`` if it had none."""
    @property
    def data(self) -> str:
        """The event's data: its ``data:`` lines, joined with newlines."""
    @property
    def id(self) -> str | None:
        """This event's own ``id:`` field; ``None`` if it had none."""
    @property
    def last_event_id(self) -> str | None:
        """The last id in the stream up to this event; ``None`` if there was none."""
    def json(self, **options: Any) -> Any:
        """The data as JSON: ``json.loads(event.data, **options)``."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@disjoint_base
class Comment(Action):
    """A comment that was received. Immutable, hashable and picklable."""

    def __new__(cls, comment: str) -> Comment: ...
    @property
    def comment(self) -> str:
        """The text after the colon."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Client:
    def __new__(
        cls,
        connect: Any,
        *,
        initial_retry_delay: float,
        retry_delay_strategy: Any,
        retry_delay_reset_threshold: float,
        error_strategy: Any,
        last_event_id: str | None,
        logger: Logger | None,
        read_timeout: float | None,
        max_event_size: int | None,
        skip_oversize: bool,
        until: Any,
        repeat_unsafe: bool,
        resume_with_get: bool,
        dispatch_unfinished: bool,
    ) -> Client: ...
    def start(self) -> None: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...
    @property
    def last_event_id(self) -> str | None: ...
    @property
    def next_retry_delay(self) -> float: ...
    @property
    def closed(self) -> bool: ...

@final
class AsyncClient:
    def __new__(
        cls,
        connect: Any,
        *,
        initial_retry_delay: float,
        retry_delay_strategy: Any,
        retry_delay_reset_threshold: float,
        error_strategy: Any,
        last_event_id: str | None,
        logger: Logger | None,
        read_timeout: float | None,
        max_event_size: int | None,
        skip_oversize: bool,
        until: Any,
        repeat_unsafe: bool,
        resume_with_get: bool,
        dispatch_unfinished: bool,
    ) -> AsyncClient: ...
    def ready(self, only_events: bool) -> Any: ...
    def begin(self) -> None: ...
    def end(self) -> None: ...
    def poll_next(self, wake: Wake, only_events: bool) -> Any: ...
    def poll_start(self, wake: Wake) -> bool | None: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...
    @property
    def last_event_id(self) -> str | None: ...
    @property
    def next_retry_delay(self) -> float: ...

@final
class Wake:
    def __new__(
        cls, event_loop: AbstractEventLoop, release: Callable[[Future[None]], None]
    ) -> Wake: ...
    def arm(self, future: Future[None]) -> None: ...
    def disarm(self) -> None: ...

@final
class Mailbox:
    def opened(
        self,
        stream: AsyncHttpStream | None,
        headers: Mapping[str, Any] | None,
        status: int | None,
        url: str | None,
        withheld: Sequence[str],
    ) -> bool: ...
    def chunk(self, chunk: Any) -> None: ...
    def failed(self, error: BaseException) -> None: ...
    def ended(self, proves_end: bool) -> None: ...

_T = TypeVar("_T")

@final
class Iter(Generic[_T]):
    """Iterates over a client's actions or events. Like a generator it ends after an exception."""

    @overload
    def __new__(cls, client: Client, only_events: Literal[True]) -> Iter[Event]: ...
    @overload
    def __new__(cls, client: Client, only_events: Literal[False]) -> Iter[Action]: ...
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    def __iter__(self) -> Iter[_T]: ...
    def __next__(self) -> _T: ...
    def close(self) -> None:
        """Ends this iterator, like ``close()`` of a generator. The client stays open."""

@final
class Http:
    def __new__(
        cls,
        url: str,
        *,
        headers: Iterable[tuple[str, str | bytes]] | None,
        fresh_headers: Callable[[], Any] | None,
        sensitive_headers: Iterable[str] | None,
        query_params: Callable[[], Any] | None,
        method: str,
        body: str | bytes | None,
        connect_timeout: float | None,
        any_content_type: bool,
        cookies: bool,
        proxy: str | None,
        use_proxy: bool,
        verify: bool,
        certificates: bytes | None,
        identity: tuple[bytes, bytes] | None,
        http2: bool | None,
    ) -> Http: ...
    @property
    def url(self) -> str: ...

@final
class HttpClient:
    def __new__(cls, http: Http) -> HttpClient: ...
    def connect(
        self,
        last_event_id: str | None,
        *,
        resume_with_get: bool = False,
        read_timeout: float | None = None,
    ) -> HttpStream: ...
    @property
    def is_repeatable(self) -> bool: ...
    def close(self) -> None: ...

@final
class HttpStream:
    @property
    def headers(self) -> Headers: ...
    @property
    def status(self) -> int | None: ...
    @property
    def url(self) -> str | None: ...
    @property
    def withheld_headers(self) -> list[str]: ...
    def __iter__(self) -> HttpStream: ...
    def __next__(self) -> bytes: ...
    def close(self) -> None: ...

@final
class AsyncHttpClient:
    def __new__(cls, http: Http) -> AsyncHttpClient: ...
    def connect(
        self,
        last_event_id: str | None,
        *,
        resume_with_get: bool = False,
        read_timeout: float | None = None,
    ) -> AsyncHttpStream: ...
    @property
    def is_repeatable(self) -> bool: ...
    def close(self) -> None: ...

@final
class AsyncHttpStream:
    def begin(self) -> None: ...
    def end(self) -> None: ...
    def poll_connect(self, wake: Wake) -> bool | None: ...
    def poll_next(self, wake: Wake) -> Any: ...
    @property
    def headers(self) -> Headers | None: ...
    @property
    def status(self) -> int | None: ...
    @property
    def url(self) -> str | None: ...
    @property
    def withheld_headers(self) -> list[str]: ...
    def close(self) -> None: ...

@final
class Request:
    """The request of a transport written in Python."""

    def __new__(
        cls,
        url: str,
        *,
        method: str,
        headers: Iterable[tuple[str, str | bytes]],
        sensitive_headers: Iterable[str] | None,
        query_params: Callable[[], Any] | None,
        has_body: bool,
        follow_redirects: bool,
        codings: Sequence[str],
        any_content_type: bool,
        cookies: bool,
    ) -> Request: ...
    @property
    def url(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def is_repeatable(self) -> bool: ...
    def exchange(
        self,
        last_event_id: str | None,
        *,
        resume_with_get: bool = False,
        client_headers: Sequence[tuple[bytes, bytes]] = ...,
        fresh_headers: Iterable[tuple[str, str | bytes]] | None = None,
    ) -> Exchange: ...

@final
class Exchange:
    """One attempt: decides what to send, and how to handle each response."""

    @property
    def request(self) -> tuple[str, str, list[tuple[str, bytes]]]: ...
    @property
    def has_body(self) -> bool: ...
    @property
    def is_redirected(self) -> bool: ...
    @property
    def has_left_origin(self) -> bool: ...
    def handle_head(
        self,
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        version: tuple[int, int] | None = None,
    ) -> Literal["follow", "stream", "error"]: ...
    @property
    def proves_end(self) -> bool: ...
    @property
    def coding(self) -> str | None: ...
    @property
    def error_body_time(self) -> float | None: ...
    def handle_body(self, chunk: bytes) -> None: ...
    def error(self) -> Exception: ...
    def connect_failure(self, message: str, is_timeout: bool) -> Exception: ...
    def response_timeout(self, read_timeout: float) -> Exception: ...
    def request_failure(self, message: str, is_timeout: bool) -> Exception: ...
    def start(self) -> tuple[Headers, int | None, str | None, list[str]]: ...

@final
class ErrorPreset:
    @staticmethod
    def always_fail() -> ErrorPreset: ...
    @staticmethod
    def always_continue() -> ErrorPreset: ...
    @staticmethod
    def continue_with_max_attempts(max_attempts: int) -> ErrorPreset: ...
    @staticmethod
    def continue_with_time_limit(max_time: float) -> ErrorPreset: ...
    @staticmethod
    def reconnect(statuses: list[int]) -> ErrorPreset: ...
    def apply(self, exception: BaseException | None) -> tuple[bool, ErrorPreset]: ...
    @property
    def fresh(self) -> bool: ...

@final
class Backoff:
    def __new__(
        cls, max_delay: float, backoff_multiplier: float, jitter_multiplier: float
    ) -> Backoff: ...
    def apply(self, base_delay: float) -> tuple[float, Backoff]: ...
    @property
    def fresh(self) -> bool: ...

TRANSIENT_STATUSES: tuple[int, ...]
__version__: str

def add_params(url: str, params: Any) -> str: ...
def check_header_values(headers: Iterable[tuple[str, str | bytes]]) -> None: ...
def parse_retry_after(value: str) -> float | None: ...
def redact_url(url: str) -> str: ...

@final
class Reply:
    """The reply of the test server to a request. Immutable: methods return a new one.

    It has a head, then steps in order, then an ending. Without an ending, ``end()`` follows.
    """

    @staticmethod
    def stream() -> Reply:
        """An event stream: status 200, chunked."""
    @staticmethod
    def status(status: int) -> Reply:
        """A response with this status. The data sent is its body, with a ``Content-Length``."""
    @staticmethod
    def redirect(status: int, location: str) -> Reply:
        """A redirect to another URL."""
    @staticmethod
    def raw(data: str | bytes) -> Reply:
        """Only these bytes, without a head, after which the connection is closed."""
    @staticmethod
    def on_accept() -> Reply:
        """Like ``raw``, but begins when the connection is accepted, without reading a request."""
    def with_status(self, status: int) -> Reply:
        """Sets another status, as in ``Reply.stream().with_status(201)``."""
    def header(self, name: str, value: str | bytes) -> Reply:
        """Sets a header, replacing any of the same name."""
    def append_header(self, name: str, value: str | bytes) -> Reply:
        """Adds a header, even if there is one of the same name."""
    def without_header(self, name: str) -> Reply:
        """Removes a header."""
    def chunked(self) -> Reply:
        """Frames the body in chunks, one for each step that sends data."""
    def content_length(self, length: int) -> Reply:
        """Promises a body of this many bytes, however many are sent."""
    def close_delimited(self) -> Reply:
        """Sends the body without a length: it ends with the connection."""
    def head_after(self, gate: Gate) -> Reply:
        """Delays the head until the gate is open."""
    def head_delayed(self, seconds: float) -> Reply:
        """Delays the head by this many seconds."""
    def send(self, data: str | bytes) -> Reply:
        """Sends these bytes."""
    def send_forever(self, data: str | bytes) -> Reply:
        """Sends these bytes again and again."""
    def event(self, data: str, *, event: str | None = None, id: str | None = None) -> Reply:
        """Sends an event. ``event`` and ``id`` can't have line ends; ``send`` takes anything."""
    def comment(self, text: str) -> Reply:
        """Sends a comment."""
    def retry(self, milliseconds: int) -> Reply:
        """Asks the client to reconnect after this many milliseconds."""
    def resume(self, feed: Feed, *, take: int | None = None, and_half: bool = False) -> Reply:
        """Streams a feed's events after the request's ``Last-Event-ID``, then those pushed later.

        With ``take``, only that many events; with ``and_half``, also the first half of the next.
        """
    def replay(self, feed: Feed, *, take: int | None = None, and_half: bool = False) -> Reply:
        """Like ``resume``, but from the first event, ignoring ``Last-Event-ID``."""
    def pause(self, seconds: float) -> Reply:
        """Waits this many seconds before the next step."""
    def wait_for(self, gate: Gate) -> Reply:
        """Waits before the next step until the gate is open."""
    def open(self, gate: Gate) -> Reply:
        """Opens a gate, to signal that the reply has reached this step."""
    def in_pieces(self, bytes: int) -> Reply:
        """Splits everything that is sent into pieces of this many bytes."""
    def end(self) -> Reply:
        """Ends the response cleanly. This is the default."""
    def drop_connection(self) -> Reply:
        """Closes the connection without ending the response."""
    def reset(self) -> Reply:
        """Resets the connection."""
    def half_close(self) -> Reply:
        """Closes only the sending side of the connection."""
    def stall(self) -> Reply:
        """Stops sending, but keeps the connection open."""
    def cut_after(self, bytes: int) -> Reply:
        """Closes the connection after this many bytes of the response, including its head."""
    def reset_after(self, bytes: int) -> Reply:
        """Resets the connection after this many bytes of the response, including its head."""
    def stall_after(self, bytes: int) -> Reply:
        """Stops sending after this many bytes of the response, including its head."""

@final
class Gate:
    """A gate that one side waits for and the other side opens, once and for good."""

    def __new__(cls) -> Gate: ...
    def open(self) -> None:
        """Opens the gate: all current and future waits end."""
    @property
    def is_open(self) -> bool:
        """Whether the gate has been opened."""
    def wait(self, timeout: float = 10.0) -> bool:
        """Waits until the gate is open, at most this many seconds. Returns whether it is open."""

@final
class Feed:
    """A growing log of events with the ids ``1``, ``2``, ``3`` and so on.

    :meth:`Reply.resume` streams the events after the client's ``Last-Event-ID``.
    """

    def __new__(cls) -> Feed: ...
    def push(self, data: str, *, event: str | None = None) -> int:
        """Appends an event and returns its id. Does nothing after ``close``."""
    def close(self) -> None:
        """Completes the feed: a reply that has sent all of it continues with its next step."""
    def __len__(self) -> int: ...

@final
class Server:
    def __new__(cls) -> Server: ...
    def url(self, path: str) -> str: ...
    def enqueue(self, reply: Reply) -> None: ...
    def otherwise(self, reply: Reply) -> None: ...
    def requests(self) -> Iterable[tuple[str, str, list[tuple[str, str]], bytes]]: ...
    @property
    def port(self) -> int: ...
    @property
    def queued_replies(self) -> int: ...
    @property
    def refused_requests(self) -> int: ...
    @property
    def request_count(self) -> int: ...
    @property
    def open_connections(self) -> int: ...
    @property
    def accepted_connections(self) -> int: ...
    def wait_for_requests(self, count: int, seconds: float) -> bool: ...
    def wait_for_connections(self, count: int, seconds: float) -> bool: ...
    def wait_for_open_connections(self, count: int, seconds: float) -> bool: ...
    def drop_connections(self) -> None: ...
    def reset_connections(self) -> None: ...
    def stop(self) -> None: ...
    def restart(self) -> None: ...
