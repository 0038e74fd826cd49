"""Content codings of request bodies: what ``content-encoding`` says, and bodies without them.

Engines don't decode, so compressed bodies are decoded here, and bounded while they are: a body of a few kilobytes may
stand for gigabytes. Codings may be stacked (``gzip, zstd``, RFC 9110, section 8.4); all layers run at once, piece by
piece, each within the bound, so that neither a bomb nor a bomb in a bomb takes more than the bound.
"""

from __future__ import annotations

import itertools
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import brotli

from .refusals import BodyError, undecodable
from .request import Bytes

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

KNOWN: Final = ("gzip", "deflate", "br", "zstd")
"""Content codings that are decoded (RFC 1952, RFC 1950, RFC 7932, RFC 8878), by their registered names."""
MOST: Final = 3
"""Codings on top of each other. Each further one would be another pass over as many bytes as a body may have."""
MOST_MEMBERS: Final = 1024
"""gzip members or Zstandard frames in a row. Honest ones of a large body are a few hundred; empty ones cost most."""

_ALIASES: Final = {"x-gzip": "gzip"}
"""RFC 9110, section 8.4.1.3."""
_OVERHEAD: Final = 64 * 1024
"""Bytes that a layer on the way may have beyond what a body may: what can't be compressed only grows."""
_FED: Final = 64 * 1024
"""Bytes that a decoder is given at a time; zlib copies what it hasn't taken yet."""
_TAKEN: Final = 256 * 1024
"""Bytes that are taken out of a decoder at a time."""
_GZIP: Final = 31
_ZLIB: Final = 15
_RAW: Final = -15
"""zlib's ``wbits`` for the three formats."""
_ZLIB_HEADER: Final = 2
_WINDOW: Final = {int(zstd.DecompressionParameter.window_log_max): 23}
"""8 MiB, the most that a sender may ask for in HTTP (RFC 9659)."""

_Pieces = Iterator[Bytes]


class TooLongError(Exception):
    """The decoded body, or one of the layers on the way to it, is longer than it may be."""


def parse(header: str) -> tuple[str, ...] | None:
    """The codings that ``content-encoding`` lists, in the order in which they were applied.

    :returns: ``None`` if one of them is unknown, or if they are more than :data:`MOST`.
    """
    if not header:  # nearly always
        return ()
    names = [_ALIASES.get(name, name) for name in map(str.strip, header.lower().split(","))]
    applied = tuple(name for name in names if name not in {"", "identity"})
    return applied if len(applied) <= MOST and {*applied} <= {*KNOWN} else None


def decoded(raw: Bytes, codings: tuple[str, ...], limit: int) -> bytearray:
    """The body without its codings.

    Takes memory for what it returns, and some hundred kilobytes.

    :param codings: in the order in which they were applied; some of :data:`KNOWN`.
    :param limit: bytes that it may have, and about as many each layer on the way to it.
    :raises TooLongError: it has more.
    :raises BodyError: ``invalid_content_encoding``: it is damaged, cut off, or something else.
    """
    view = memoryview(raw)
    pieces: _Pieces = (view[at : at + _FED] for at in range(0, len(view), _FED))
    for outer, coding in enumerate(reversed(codings), 1):
        pieces = _bounded(_decoding(coding, pieces), limit if outer == len(codings) else limit + _OVERHEAD)
    whole = bytearray()
    for piece in pieces:
        whole += piece
    return whole


def _bounded(pieces: _Pieces, limit: int) -> _Pieces:
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > limit:
            raise TooLongError
        yield piece


def _decoding(coding: str, pieces: _Pieces) -> _Pieces:
    """Decode one layer; members or frames in a row are one after the other."""
    if coding == "deflate":
        first = next(pieces, b"")
        while len(first) < _ZLIB_HEADER and (more := next(pieces, b"")):
            first = bytes(first) + more
        make: Callable[[], _Decoder] = _zlib_or_raw(first)
        pieces = itertools.chain([first], pieces)
    else:
        make = _DECODERS[coding]
    decoder, members = make(), 1
    for piece in pieces:
        left: Bytes = piece
        while left:
            if decoder.done:
                decoder, members = make(), members + 1
                if members > (MOST_MEMBERS if coding in {"gzip", "zstd"} else 1):
                    raise BodyError(undecodable(coding))
            try:
                yield from decoder.feed(left)
                left = decoder.left
            except (zlib.error, brotli.error, zstd.ZstdError):
                raise BodyError(undecodable(coding)) from None
    if not decoder.done:
        raise BodyError(undecodable(coding))


class _Decoder(Protocol):
    done: bool
    """Whether a member, frame or stream has ended."""
    left: bytes
    """What it was fed and stands behind that end."""

    def feed(self, data: Bytes) -> Iterator[bytes]:
        """Decode some more."""


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._decoder = zlib.decompressobj(wbits)
        self.done, self.left = False, b""

    def feed(self, data: Bytes) -> Iterator[bytes]:
        decoder = self._decoder
        while True:
            piece = decoder.decompress(data, _TAKEN)
            if piece:
                yield piece
            data = decoder.unconsumed_tail
            if decoder.eof or (not data and len(piece) < _TAKEN):
                break
        self.done, self.left = decoder.eof, decoder.unused_data


class _Brotli:
    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()
        self.done, self.left = False, b""

    def feed(self, data: Bytes) -> Iterator[bytes]:
        decoder = self._decoder
        while True:
            piece = decoder.process(data, output_buffer_limit=_TAKEN)  # what stands behind the end is an error to it
            data = b""
            if not piece:  # can_accept_more_data() is true while there is more to come
                break
            yield piece
        self.done = decoder.is_finished()


class _Zstd:
    def __init__(self) -> None:
        self._decoder = zstd.ZstdDecompressor(options=_WINDOW)
        self.done, self.left = False, b""

    def feed(self, data: Bytes) -> Iterator[bytes]:
        decoder = self._decoder
        while True:
            piece = decoder.decompress(data, _TAKEN)
            if piece:
                yield piece
            data = b""
            if decoder.eof or decoder.needs_input:
                break
        self.done = decoder.eof
        self.left = decoder.unused_data if decoder.eof else b""


_DECODERS: Final[dict[str, Callable[[], _Decoder]]] = {"gzip": lambda: _Zlib(_GZIP), "br": _Brotli, "zstd": _Zstd}


def _zlib_or_raw(first: Bytes) -> Callable[[], _Decoder]:
    """``deflate`` is the zlib format, but some senders leave out its frame (RFC 9110, section 8.4.1.2).

    The frame begins with two bytes of which the first says "deflate" and both are a multiple of 31 (RFC 1950).
    """
    framed = len(first) >= _ZLIB_HEADER and first[0] & 0x8F == 0x08 and (first[0] << 8 | first[1]) % 31 == 0  # noqa: PLR2004 - RFC 1950
    return lambda: _Zlib(_ZLIB if framed else _RAW)
