"""Content codings of what aiohttp receives, decoded as it comes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Final

from aiohttp import compression_utils

#: How much is decoded at once: a few bytes may expand to gigabytes.
_PIECE: Final = 1 << 18


class DecodeError(Exception):
    """The body isn't in the coding that it is said to be in."""


def codings() -> list[str]:
    """The names of those that can be decoded."""
    names = ["gzip", "deflate"]
    # Those for which aiohttp has found a library.
    if getattr(compression_utils, "HAS_BROTLI", False):
        names.append("br")
    if getattr(compression_utils, "HAS_ZSTD", False):
        names.append("zstd")
    return names


class Decoder:
    """The decoder of one body."""

    def __init__(self, coding: str | None) -> None:
        """:param coding: ``None``: it isn't encoded"""
        self._inner: Any = None
        if coding in ("gzip", "deflate"):
            self._inner = _Zlib(is_gzip=coding == "gzip")
        elif coding == "br":
            self._inner = _Library(compression_utils.BrotliDecompressor())
        elif coding is not None:
            self._inner = _Library(compression_utils.ZSTDDecompressor())

    def decode(self, data: bytes) -> Iterator[bytes]:
        """What is in it, never empty chunks."""
        if not data:
            return
        if self._inner is None:
            yield data
            return
        try:
            yield from filter(None, self._inner.decode(data))
        except Exception as error:
            raise DecodeError(f"the body can't be decoded: {error}") from error

    def finish(self) -> None:
        """The body has ended. Raises an exception if its coding hasn't."""
        if self._inner is not None and not self._inner.is_complete:
            raise DecodeError("the body ended before its content coding did")


class _Zlib:
    def __init__(self, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._object: Any = None
        self.is_complete = True

    def decode(self, data: bytes) -> Iterator[bytes]:
        has_more = False
        while data or has_more:
            if self._object is None:
                self._object = zlib.decompressobj(self._window(data[0]))
                self.is_complete = False
            piece: bytes = self._object.decompress(data, _PIECE)
            if self._object.eof:
                # Another member of gzip may follow.
                data, self._object = self._object.unused_data, None
                self.is_complete, has_more = True, False
            else:
                data, has_more = self._object.unconsumed_tail, len(piece) == _PIECE
            yield piece

    def _window(self, first: int) -> int:
        if self._is_gzip:
            return 16 + zlib.MAX_WBITS
        # Some servers send it without zlib's header.
        return zlib.MAX_WBITS if first & 0xF == 8 else -zlib.MAX_WBITS


class _Library:
    """Those of aiohttp. They don't say where their end is."""

    is_complete: Final = True

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def decode(self, data: bytes) -> Iterator[bytes]:
        yield self._inner.decompress_sync(data)
