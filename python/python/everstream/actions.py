"""What :attr:`everstream.SSEClient.all` yields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._headers import Headers, as_headers
from ._native import Action, Comment, Event

__all__ = ["Action", "Comment", "Event", "Fault", "Start"]


class Start(Action):
    """A connection was established: the server responded with a stream."""

    __slots__ = ("_headers", "_status", "_url", "_withheld_headers")

    def __init__(
        self,
        headers: Mapping[str, Any] | None = None,
        status: int | None = None,
        url: str | None = None,
        withheld_headers: Sequence[str] = (),
    ) -> None:
        self._headers = as_headers(headers)
        self._status = status
        self._url = url
        self._withheld_headers = tuple(withheld_headers)

    @property
    def headers(self) -> Headers | None:
        """The response's headers, as a mapping that ignores case; ``None`` if a custom source gave
        none.
        """
        return self._headers

    @property
    def status(self) -> int | None:
        """The status code; ``None`` if it wasn't HTTP."""
        return self._status

    @property
    def url(self) -> str | None:
        """The URL that answered, after redirects. It may hold secrets in its query."""
        return self._url

    @property
    def withheld_headers(self) -> tuple[str, ...]:
        """The names of headers that were not sent to this URL, in lower case: a redirect led to
        another origin than the one they were set for.
        """
        return self._withheld_headers

    def __repr__(self) -> str:
        # Without the URL and the headers, which may hold secrets.
        return f"Start(status={self._status})"


class Fault(Action):
    """The connection ended, or couldn't be established.

    The client reconnects when you continue reading or call ``start()``. If :attr:`not_repeated` is
    set, only ``start()`` reconnects.
    """

    __slots__ = ("_discarded_bytes", "_error", "_ignored_text", "_not_repeated")

    def __init__(
        self,
        error: Exception | None,
        *,
        discarded_bytes: int = 0,
        ignored_text: str | None = None,
        not_repeated: bool = False,
    ) -> None:
        self._error = error
        self._discarded_bytes = discarded_bytes
        self._ignored_text = ignored_text
        self._not_repeated = not_repeated

    @property
    def error(self) -> Exception | None:
        """What went wrong; ``None`` after a clean end or ``interrupt()``."""
        return self._error

    @property
    def not_repeated(self) -> bool:
        """Whether the stream has ended although the error strategy would continue: the request
        isn't safe (RFC 9110, section 9.2.1), and the server may have acted on it. See
        ``repeat_unsafe`` and ``resume_with_get`` of :class:`~everstream.SSEClient`.
        """
        return self._not_repeated

    @property
    def discarded_bytes(self) -> int:
        """The size of the unfinished event that was discarded at a clean end, because its blank
        line was missing; 0 if there was none, and after an error or ``interrupt()``.
        """
        return self._discarded_bytes

    @property
    def ignored_text(self) -> str | None:
        """The first 200 bytes of a response that ended cleanly without a single field or comment,
        such as a JSON error; otherwise ``None``.
        """
        return self._ignored_text

    @property
    def headers(self) -> Headers | None:
        """The response's headers, if the error has them."""
        headers: Headers | None = getattr(self._error, "headers", None)
        return headers

    def __repr__(self) -> str:
        not_repeated = ", not_repeated=True" if self._not_repeated else ""
        return f"Fault({self._error!r}{not_repeated})"
