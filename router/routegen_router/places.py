r"""Where fields stand in a JSON body, and the body with some of them changed or taken out.

Only the bytes that are meant change: a value, or a member with its comma. Everything else stays as the client wrote it.

The parser hands out pieces of the body as views of it (``msgspec.Raw``), so where a piece lies in memory says where it
stands in the body: one pass at the parser's speed, for any body. The alternatives are a parser in Python, or a search
for the text, which finds look-alikes too.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

import msgspec

from .request import Bytes, FieldPath
from .spelling import spelled

_SPACE: Final = b" \t\n\r"
_SPACES: Final = re.compile(rb"[ \t\n\r]*")
_PIECE: Final = 4096
_LONGEST_SPELLING: Final = 12
"""Bytes of a character in JSON at most: two escapes such as ``\\ud83d``."""


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a field stands in a body; positions are bytes from its beginning."""

    start: int
    """Where what the field consists of begins: JSON's key, a form's boundary."""
    value: int
    end: int
    """Where its value begins, and the first byte behind it."""
    next: int | None
    """Where the next member or part begins; ``None`` behind the last member of a JSON object."""
    comma: int | None = None
    """JSON: the comma before it."""


class Locator:
    """Finds the places of these fields in JSON bodies. May be called from any thread, several at a time."""

    def __init__(self, fields: Iterable[FieldPath]) -> None:
        self._top = _Level((), sorted(fields))

    def find(self, raw: Bytes) -> dict[FieldPath, Place]:
        """The places of those that are there; of a key that stands twice, the last one's.

        :param raw: a JSON object, as a parser has already found.
        """
        return dict(self._top.find(raw, raw, _address(raw)))


class _Level:
    """The keys that are looked for in one object, at ``path`` of the body."""

    def __init__(self, path: FieldPath, fields: Sequence[FieldPath]) -> None:
        depth = len(path) + 1
        self._keys = [
            (key, re.compile(b'"' + spelled(key[-1]) + rb'"\Z'), [field for field in group if field != key])
            for key, group in ((key, list(group)) for key, group in groupby(fields, lambda field: field[:depth]))
        ]
        self._here = frozenset(fields)
        self._below = {key: _Level(key, deeper) for key, _, deeper in self._keys if deeper}
        members: Any = [
            (f"f{index}", msgspec.Raw, msgspec.field(name=key[-1], default=None))
            for index, (key, _, _) in enumerate(self._keys)
        ]
        self._decode = msgspec.json.Decoder(msgspec.defstruct("Level", members)).decode

    def find(self, piece: Bytes | msgspec.Raw, raw: Bytes, base: int) -> Iterator[tuple[FieldPath, Place]]:
        for (key, written, _), found in zip(self._keys, msgspec.structs.astuple(self._decode(piece)), strict=True):
            if found is None:
                continue
            view = memoryview(found)
            at = _address(found) - base
            if not 0 <= at <= len(raw) - len(view):  # Python's and msgspec's inner workings have changed
                raise RuntimeError("the parser's pieces don't lie in the body")
            if key in self._here:
                yield key, _place(memoryview(raw), at, at + len(view), written, _LONGEST_SPELLING * len(key[-1]) + 2)
            if key in self._below and view[0] == ord("{"):
                yield from self._below[key].find(found, raw, base)


def edited(raw: Bytes, values: Iterable[tuple[Place, bytes]], removed: Iterable[Place]) -> tuple[Bytes, ...]:
    """The body's pieces with other values, and without what is removed.

    :param values: a place, and what stands there from now on in place of the value.
    """
    cuts = [(place.value, place.end, new) for place, new in values]
    cuts += [(start, end, b"") for start, end in _removals(sorted(removed, key=lambda place: place.start))]
    view, pieces, at = memoryview(raw), list[Bytes](), 0
    for start, end, new in sorted(cuts):
        if start >= at:  # else it is in what has been removed
            pieces += [view[at:start], new]
            at = end
    return (*pieces, view[at:])


def _removals(places: Sequence[Place]) -> Iterator[tuple[int, int]]:
    """What to cut out: members in a row are one piece, for they share the commas between them."""
    first = 0
    for index, place in enumerate(places):
        if index + 1 < len(places) and place.next == places[index + 1].start:
            continue
        begins = places[first]
        if place.next is not None:
            yield begins.start, place.next
        else:
            yield begins.start if begins.comma is None else begins.comma, place.end
        first = index + 1


def _place(view: memoryview, value: int, end: int, written: re.Pattern[bytes], longest: int) -> Place:
    colon = _back(view, value) - 1
    key_ends = _back(view, colon)
    key_begins = max(key_ends - longest, 0)
    key = written.search(bytes(view[key_begins:key_ends]))
    if key is None:
        raise RuntimeError("the parser's pieces don't lie in the body")
    start = key_begins + key.start()
    before = _back(view, start) - 1
    behind = _forward(view, end)
    return Place(
        start,
        value,
        end,
        _forward(view, behind + 1) if view[behind] == ord(",") else None,
        before if view[before] == ord(",") else None,
    )


def _back(view: memoryview, at: int) -> int:
    """Where the white space before ``at`` begins."""
    while at > 0:
        begins = max(at - _PIECE, 0)
        rest = len(bytes(view[begins:at]).rstrip(_SPACE))
        at = begins + rest
        if rest:
            break
    return at


def _forward(view: memoryview, at: int) -> int:
    """Where the white space from ``at`` on ends."""
    match = _SPACES.match(view, at)
    assert match is not None  # it matches nothing, too
    return match.end()


class _Buffer(ctypes.Structure):
    """Python's ``Py_buffer``, part of the stable ABI since 3.11."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


def _address(piece: Bytes | msgspec.Raw) -> int:
    """Where something lies in memory."""
    buffer = _Buffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(piece), ctypes.byref(buffer), 0)
    try:
        return int(buffer.buf or 0)
    finally:
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(buffer))
