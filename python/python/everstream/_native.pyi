"""The engine. Not public: what is meant for use is in the other modules."""

from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Iterable, Mapping
from logging import Logger
from typing import Any, Generic, Literal, TypeVar, final, overload

from ._headers import Headers

class Action:
    """Base class of what :attr:`everstream.SSEClient.all` yields."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Action: ...

@final
class Event(Action):
    """An event that was received. It is immutable, hashable and can be pickled."""

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
        """The newest id of the stream when this event came; ``None`` if there was none."""
    def json(self, **options: Any) -> Any:
        """The data as JSON: ``json.loads(event.data, **options)``."""
    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Comment(Action):
    """A comment that was received. It is immutable, hashable and can be pickled."""

    def __new__(cls, comment: str) -> Comment: ...
    @property
    def comment(self) -> str:
        """The text after the colon."""
    def __eq__(self, other: object) -> bool: ...
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
        self, headers: Mapping[str, Any] | None, status: int | None, url: str | None
    ) -> None: ...
    def chunk(self, chunk: Any) -> None: ...
    def failed(self, error: BaseException) -> None: ...
    def ended(self) -> None: ...

_T = TypeVar("_T")

@final
class Iter(Generic[_T]):
    @overload
    def __new__(cls, client: Client, only_events: Literal[True]) -> Iter[Event]: ...
    @overload
    def __new__(cls, client: Client, only_events: Literal[False]) -> Iter[Action]: ...
    def __iter__(self) -> Iter[_T]: ...
    def __next__(self) -> _T: ...

@final
class Http:
    def __new__(
        cls,
        url: str,
        *,
        headers: Mapping[str, str | bytes] | None,
        query_params: Callable[[], Any] | None,
        method: str,
        body: str | bytes | None,
        read_timeout: float | None,
        connect_timeout: float | None,
        max_event_size: int | None,
    ) -> Http: ...
    @property
    def url(self) -> str: ...

@final
class HttpClient:
    def __new__(cls, http: Http) -> HttpClient: ...
    def connect(self, last_event_id: str | None) -> HttpStream: ...
    def close(self) -> None: ...

@final
class HttpStream:
    @property
    def headers(self) -> Headers: ...
    def __iter__(self) -> HttpStream: ...
    def __next__(self) -> bytes: ...
    def close(self) -> None: ...

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
        cls,
        backoff_multiplier: float,
        *,
        max_delay: float | None = None,
        jitter_multiplier: float | None = None,
    ) -> Backoff: ...
    def apply(self, base_delay: float) -> tuple[float, Backoff]: ...
    @property
    def fresh(self) -> bool: ...

def redact_url(url: str) -> str: ...

@final
class Reply:
    """What a test server answers a request with. It is immutable: methods return a new one."""

    @staticmethod
    def stream() -> Reply:
        """An event stream: status 200, chunked."""
    @staticmethod
    def status(status: int) -> Reply:
        """A response with this status and no body."""
    @staticmethod
    def redirect(status: int, location: str) -> Reply:
        """A redirect to another URL."""
    @staticmethod
    def on_accept() -> Reply:
        """Nothing but what is sent, from the moment at which a connection is accepted."""
    def header(self, name: str, value: str | bytes) -> Reply:
        """Replaces a header."""
    def send(self, data: str | bytes) -> Reply:
        """Sends these bytes."""
    def send_forever(self, data: str | bytes) -> Reply:
        """Sends these bytes again and again."""
    def event(self, data: str, *, event: str | None = None, id: str | None = None) -> Reply:
        """Sends an event."""
    def comment(self, text: str) -> Reply:
        """Sends a comment."""
    def retry(self, milliseconds: int) -> Reply:
        """Asks the client to reconnect after this many milliseconds."""
    def pause(self, seconds: float) -> Reply:
        """Waits before the next step."""
    def head_delayed(self, seconds: float) -> Reply:
        """Waits before the head."""
    def end(self) -> Reply:
        """Ends the response in an orderly way. This is the default."""
    def drop_connection(self) -> Reply:
        """Closes the connection without ending the response."""
    def reset(self) -> Reply:
        """Resets the connection."""
    def stall(self) -> Reply:
        """Goes silent and keeps the connection."""

@final
class Server:
    def __new__(cls) -> Server: ...
    def url(self, path: str) -> str: ...
    def enqueue(self, reply: Reply) -> None: ...
    def otherwise(self, reply: Reply) -> None: ...
    def requests(self) -> Iterable[tuple[str, str, list[tuple[str, str]], bytes]]: ...
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
    def stop(self) -> None: ...
    def restart(self) -> None: ...
