"""Measures of the body's fields, whatever they hold: is it there, how many items, how many characters.

For conditions that no text can express, such as ``messages: {items: {above: 20}}``. Only what is asked for is
measured. For plain chats it takes three to four times as long as finding fields, for bodies made to be slow far
longer, so bodies of some length are measured in a reader process (:mod:`~routegen_router.readers`).
"""

from __future__ import annotations

import enum
import secrets
import threading
from collections.abc import Collection, Iterator
from typing import Any, Final

import msgspec

from .refusals import BodyError, duplicate_field
from .request import Bytes, FieldPath, Measure

_NEVER: Final = secrets.token_hex(16)
_BRACE: Final = ord("{")
_BRACKET: Final = ord("[")
_NULL: Final = ord("n")
_decode_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_anything: Final = msgspec.json.Decoder().decode


class Measurer:
    """Takes these measures. May be called from any thread, several at a time."""

    def __init__(self, measures: Collection[Measure]) -> None:
        self._top = _Level((), measures)

    def measure(self, raw: Bytes) -> dict[Measure, int]:
        """Measure a body that is known to be a JSON object; what is absent (or ``null``) has no measures.

        :raises BodyError: ``duplicate_field``.
        :raises RecursionError: it is nested too deeply.
        """
        return dict(self._top.read(raw))


class _Level:
    """What is measured in one object, at ``path`` of the body."""

    def __init__(self, path: FieldPath, measures: Collection[Measure]) -> None:
        depth = len(path)
        keys = sorted({field[depth] for field, _ in measures})
        self._path, self._keys = path, keys
        self._here = {key: [measure for measure in measures if measure[0] == (*path, key)] for key in keys}
        below = {key: [one for one in measures if one[0][depth] == key and len(one[0]) > depth + 1] for key in keys}
        self._below = {key: _Level((*path, key), deeper) for key, deeper in below.items() if deeper}
        fields: Any = [
            (f"f{index}", msgspec.Raw, msgspec.field(name=key, default=None)) for index, key in enumerate(keys)
        ]
        self._decode = msgspec.json.Decoder(msgspec.defstruct("Level", fields)).decode
        self._met = _Met()
        self._decode_keys = msgspec.json.Decoder(dict[_key(self._met), msgspec.Raw]).decode  # type: ignore[misc]  # made when the program runs

    def read(self, raw: Bytes | msgspec.Raw) -> Iterator[tuple[Measure, int]]:
        """Measure one object."""
        self._check_once(raw)
        for key, last in zip(self._keys, msgspec.structs.astuple(self._decode(raw)), strict=True):
            kind = memoryview(last)[0] if last is not None else _NULL
            if kind == _NULL:
                continue
            for measure in self._here[key]:
                size = _size(measure[1], last, kind)
                if size is not None:
                    yield measure, size
            if kind == _BRACE and key in self._below:
                yield from self._below[key].read(last)

    def _check_once(self, raw: Bytes | msgspec.Raw) -> None:
        """Refuse a key that is measured and stands twice, however it is spelled."""
        counts = self._met.counts = dict.fromkeys(self._keys, 0)
        self._decode_keys(raw)
        for key, count in counts.items():
            if count > 1:
                raise BodyError(duplicate_field((*self._path, key)))


class _Met(threading.local):
    """How often each key of an object was met in this thread."""

    counts: dict[str, int]


def _key(met: _Met) -> type[enum.Enum]:
    """The type of an object's keys: the parser asks it about each, since none is its member."""

    class Key(enum.Enum):
        NEVER = _NEVER

        @classmethod
        def _missing_(cls, value: object) -> Key:
            if value in met.counts:
                met.counts[str(value)] += 1
            return cls.NEVER

    return Key


def _size(what: str, raw: msgspec.Raw, kind: int) -> int | None:
    if what == "present":
        return 1
    if what == "characters":
        return _characters(_decode_anything(raw))
    if kind == _BRACKET:
        return len(_decode_items(raw))
    return len(_decode_members(raw)) if kind == _BRACE else None


def _characters(value: Any) -> int:
    """The length of a text, or of all texts within, keys aside."""
    total, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            total += len(one)
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            waiting += one.values()
    return total
