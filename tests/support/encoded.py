"""Bodies with content codings, made by the codings' own libraries."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable, Mapping

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ENCODE: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": lambda raw: gzip.compress(raw, 5, mtime=0),
    "deflate": zlib.compress,
    "br": lambda raw: bytes(brotli.compress(raw, quality=4)),
    "zstd": zstd.compress,
}
SKIPPABLE = b"\x50\x2a\x4d\x18\x03\x00\x00\x00xyz"
"""A Zstandard frame of nothing (RFC 8878, section 3.1.2)."""


def encoded(raw: bytes, *codings: str) -> bytes:
    """The body with these codings, the first one innermost, as ``content-encoding`` lists them."""
    for coding in codings:
        raw = ENCODE[coding](raw)
    return raw


def raw_deflate(raw: bytes) -> bytes:
    """``deflate`` without zlib's frame, as some senders have it."""
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(raw) + compressor.flush()
