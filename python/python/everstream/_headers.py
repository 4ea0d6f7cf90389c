"""Response headers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ._native import redact_url


class Headers(Mapping[str, str]):
    """Response headers: a mapping whose names ignore case.

    The values of a repeated name are joined with ``", "``; :meth:`get_all` returns them one by one.
    """

    __slots__ = ("_pairs",)

    def __init__(self, headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        self._pairs = tuple((str(name), str(value)) for name, value in pairs)

    def get_all(self, name: str) -> list[str]:
        """All values of this name, in the order received."""
        wanted = name.lower()
        return [value for own, value in self._pairs if own.lower() == wanted]

    def multi_items(self) -> list[tuple[str, str]]:
        """All names and values, in the order received."""
        return list(self._pairs)

    def __getitem__(self, name: str) -> str:
        values = self.get_all(name) if isinstance(name, str) else []
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        seen: set[str] = set()
        for name, _ in self._pairs:
            if name.lower() not in seen:
                seen.add(name.lower())
                yield name

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._pairs})

    def _key(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.items()}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return self._key() == Headers(other)._key()

    def __hash__(self) -> int:
        return hash(frozenset(self._key().items()))

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name!r}: {_without_secrets(name, value)!r}" for name, value in self._pairs
        )
        return f"Headers({{{shown}}})"


def as_headers(headers: Mapping[str, Any] | None) -> Headers | None:
    """The same headers as :class:`Headers`."""
    return headers if headers is None or isinstance(headers, Headers) else Headers(headers)


def _without_secrets(name: str, value: str) -> str:
    """The value without the parts that may hold secrets."""
    if name.lower() == "set-cookie":
        return "(secret)"
    if name.lower() == "location":
        return redact_url(value)
    return value
