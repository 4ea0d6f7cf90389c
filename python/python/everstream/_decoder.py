"""Decodes the content codings of responses received by aiohttp, httpx and urllib3."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from .errors import ReadError, SSEError

#: The largest piece decoded at once, because a few bytes can expand to gigabytes.
_PIECE: Final = 1 << 18


class DecodeError(Exception):
    """The body doesn't match its content coding."""


def codings() -> list[str]:
    """The content codings that can be decoded."""
    names = ["gzip", "deflate"]
    # aiohttp and httpx offer these to servers if the libraries are installed.
    if _brotli() is not None:
        names.append("br")
    if _zstd() is not None:
        names.append("zstd")
    return names


class Decoder:
    """The decoder of one body."""

    def __init__(self, coding: str | None) -> None:
        """:param coding: the content coding; ``None`` if there is none"""
        self._inner: Any = None
        if coding in ("gzip", "deflate"):
            self._inner = _Zlib(is_gzip=coding == "gzip")
        elif coding == "br":
            self._inner = _Brotli()
        elif coding is not None:
            self._inner = _Zstd()

    def decode(self, data: bytes) -> Iterator[bytes]:
        """The decoded data in chunks, none of them empty."""
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
        """Must be called at the end of the body. Raises an exception if encoded data is missing."""
        if self._inner is not None and not self._inner.is_complete:
            raise DecodeError("the body ended before its content coding did")

    def pieces(self, data: bytes, failure: SSEError | None) -> Iterator[bytes]:
        """Yields the decoded data, then raises the failure that followed it. Without data and
        failure, the body has ended.
        """
        try:
            yield from self.decode(data)
            if failure is None and not data:
                self.finish()
        except DecodeError as error:
            if failure is None:
                raise ReadError(str(error)) from error
        if failure is not None:
            raise failure


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
                # Another gzip member may follow.
                data, self._object = self._object.unused_data, None
                self.is_complete, has_more = True, False
            else:
                data, has_more = self._object.unconsumed_tail, len(piece) == _PIECE
            yield piece

    def _window(self, first: int) -> int:
        if self._is_gzip:
            return 16 + zlib.MAX_WBITS
        # Some servers send deflate without zlib's header.
        return zlib.MAX_WBITS if first & 0xF == 8 else -zlib.MAX_WBITS


class _Brotli:
    def __init__(self) -> None:
        self._inner: Any = _brotli().Decompressor()
        # The method is called `decompress` in brotlicffi and `process` in brotli.
        self._decode: Any = getattr(self._inner, "decompress", None) or self._inner.process
        self._is_empty = True

    @property
    def is_complete(self) -> bool:
        return self._is_empty or bool(self._inner.is_finished())

    def decode(self, data: bytes) -> Iterator[bytes]:
        self._is_empty = False
        yield self._decode(data)


class _Zstd:
    def __init__(self) -> None:
        self._new: Any = _zstd()
        self._frame: Any = None

    @property
    def is_complete(self) -> bool:
        return self._frame is None or bool(self._frame.eof)

    def decode(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._frame is None:
                self._frame = self._new()
            yield self._frame.decompress(data)
            if not self._frame.eof:
                return
            data, self._frame = self._frame.unused_data, None


def _brotli() -> Any:
    """The installed library, or ``None``."""
    return _module("brotlicffi") or _module("brotli")


def _zstd() -> Callable[[], Any] | None:
    """A function that creates a decoder for one frame; ``None`` if no library is installed."""
    for name in ("compression.zstd", "backports.zstd"):
        module = _module(name)
        if module is not None:
            decompressor: Callable[[], Any] = module.ZstdDecompressor
            return decompressor
    zstandard = _module("zstandard")
    return None if zstandard is None else lambda: zstandard.ZstdDecompressor().decompressobj()


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
