"""Content codings of responses received by aiohttp, httpx and urllib3."""

from __future__ import annotations

import contextlib
import importlib
import zlib

import pytest

from everstream._decoder import DecodeError, Decoder, codings
from everstream.errors import ReadError

WBITS = {"gzip": 31, "deflate": 15, "raw": -15}


def packed(data: bytes, kind: str) -> bytes:
    packer = zlib.compressobj(wbits=WBITS[kind])
    return packer.compress(data) + packer.flush()


def decoded(coding: str | None, *chunks: bytes) -> bytes:
    decoder = Decoder(coding)
    pieces = [piece for chunk in chunks for piece in decoder.decode(chunk)]
    decoder.finish()
    assert all(pieces)
    return b"".join(pieces)


def test_unencoded_data_passes_unchanged() -> None:
    assert decoded(None, b"a", b"", b"b") == b"ab"


@pytest.mark.parametrize("kind", WBITS)
# Sizes around the largest piece decoded at once.
@pytest.mark.parametrize("size", [0, 1, 2**18 - 1, 2**18, 2**18 + 1, 2**20])
def test_all_data_is_decoded_however_it_is_split(kind: str, size: int) -> None:
    coding = "gzip" if kind == "gzip" else "deflate"
    whole = packed(b"x" * size, kind)
    assert decoded(coding, whole) == b"x" * size
    assert decoded(coding, *(bytes([byte]) for byte in whole)) == b"x" * size


def test_members_of_gzip_follow_each_other() -> None:
    one, two = packed(b"one", "gzip"), packed(b"two", "gzip")
    assert decoded("gzip", one + two) == b"onetwo"
    assert decoded("gzip", one, two) == b"onetwo"


def test_an_empty_body_is_complete() -> None:
    assert decoded("gzip") == b""


def test_a_truncated_body_is_an_error() -> None:
    with pytest.raises(DecodeError, match="ended"):
        decoded("gzip", packed(b"data", "gzip")[:-1])


def test_data_that_cannot_be_decoded_is_an_error() -> None:
    with pytest.raises(DecodeError, match="decoded"):
        decoded("gzip", b"no gzip")


def zstd_frame(data: bytes) -> bytes:
    for name in ("compression.zstd", "backports.zstd"):
        with contextlib.suppress(ImportError):
            frame: bytes = importlib.import_module(name).compress(data)
            return frame
    pytest.skip("there is no library for Zstandard")


def test_frames_of_zstd_follow_each_other() -> None:
    one, two = zstd_frame(b"one"), zstd_frame(b"two")
    assert "zstd" in codings()
    assert decoded("zstd", one + two) == b"onetwo"
    assert decoded("zstd", *(bytes([byte]) for byte in one + two)) == b"onetwo"


def test_brotli_is_decoded_however_it_is_split() -> None:
    whole = pytest.importorskip("brotli").compress(b"data" * 1000)
    assert "br" in codings()
    assert decoded("br", *(bytes([byte]) for byte in whole)) == b"data" * 1000


def test_truncated_brotli_is_an_error() -> None:
    brotli = pytest.importorskip("brotli")
    packer = brotli.Compressor()
    flushed = packer.process(b"data") + packer.flush()
    with pytest.raises(DecodeError, match="ended"):
        decoded("br", flushed)
    assert decoded("br", flushed + packer.finish()) == b"data"
    assert decoded("br") == b""


def test_truncated_zstd_is_an_error() -> None:
    frame = zstd_frame(b"data")
    for cut in range(1, len(frame)):
        with pytest.raises(DecodeError, match="ended"):
            decoded("zstd", frame[:cut])
    assert decoded("zstd") == b""


def test_data_before_a_failure_is_decoded_first() -> None:
    failure = ReadError("the connection broke")
    pieces = Decoder("gzip").pieces(packed(b"data", "gzip")[:-1], failure)
    assert next(pieces) == b"data"
    with pytest.raises(ReadError) as raised:
        next(pieces)
    assert raised.value is failure


def test_an_end_within_encoded_data_is_a_read_error() -> None:
    decoder = Decoder("gzip")
    assert list(decoder.pieces(packed(b"data", "gzip")[:-1], None)) == [b"data"]
    with pytest.raises(ReadError, match="ended before its content coding did"):
        list(decoder.pieces(b"", None))
