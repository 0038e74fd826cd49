r"""Request bodies: bytes -> the fields that rules read, exactly and in one pass.

A body is refused where two readers could understand it differently: it must be a JSON object (RFC 8259) in UTF-8, and
a field that rules read must not stand twice at its level, however it is spelled (``"mod\u0065l"`` is ``"model"``).
Everything else is left to the engine.

How it works: at load time a ``msgspec`` Struct is made that has only the configured fields, so the parser skips all
others at full speed and builds nothing for them. It would keep the last of two equal keys; therefore each field's
type is an Enum without a usable member, whose ``_missing_`` the parser calls for *every* occurrence with the decoded
text. The second call is a duplicate. A Struct on the way to a nested field counts in ``__post_init__``. Whatever is
not a plain string there makes the parser stop; such bodies (``null``, numbers) are read again with more care.
"""

from __future__ import annotations

import enum
import re
import secrets
import threading
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

import msgspec

from .config import Config, reads
from .refusals import Reject, duplicate_field, invalid_json, invalid_request_body, invalid_type
from .request import MODEL, FieldPath
from .unicode import REPLACEMENT, first_invalid_byte, without_lone_surrogates

_NEVER: Final = secrets.token_hex(16)
"""An Enum needs a member; no client can guess this one."""
_OBJECT: Final = re.compile(rb"[ \t\n\r]*\{")
_QUOTE, _BRACE, _NULL = b'"{n'
_SCALAR: Final = b"tf-0123456789"
"""How JSON's ``true``, ``false`` and numbers begin."""
_LONGEST_SCALAR: Final = 64
"""Bytes of a number that a condition compares; no pattern means a longer one."""


class BodyError(Exception):
    """The body can't be routed by; ``reject`` is what the client is answered."""

    def __init__(self, reject: Reject) -> None:
        super().__init__(reject.message)
        self.reject = reject


class Fields(msgspec.Struct, frozen=True):
    """What a body says, as far as rules ask."""

    model: str | None
    values: Mapping[FieldPath, str]
    """Absent fields (JSON ``null`` too) are missing here. ``true``, ``false`` and numbers that only conditions read
    stand here as their JSON text."""


_decode_anything: Final = msgspec.json.Decoder(msgspec.Raw).decode
_decode_text: Final = msgspec.json.Decoder(str).decode


class BodyReader:
    """Reads bodies for one configuration. May be called from any thread, several at a time."""

    def __init__(self, config: Config) -> None:
        read = reads(config.rules)
        self._seen = _Seen()
        self._conditions = bool(read.compared)
        self._top = _Level((), sorted(read.fields), read.chosen, self._seen)
        self._strict = msgspec.json.Decoder(self._top.strict)

    def read(self, raw: bytes | memoryview) -> Fields:
        """Find the fields that rules read.

        Takes about a third of a millisecond a megabyte, for text that isn't ASCII two to three times that.

        :raises BodyError: ``invalid_json``, ``invalid_request_body`` (not an object), ``duplicate_field``, or
            ``invalid_type`` (something other than a string or ``null`` where a rule's value should be).
        """
        position = first_invalid_byte(raw)
        if position is not None:
            raise BodyError(invalid_json(f"it is not UTF-8 (byte {position})"))
        try:
            return self._read(raw)
        except msgspec.DecodeError as error:
            mended = without_lone_surrogates(bytes(raw))
            if mended is None:
                raise BodyError(invalid_json(_reason(error))) from None
        try:
            fields = self._read(mended)
        except msgspec.DecodeError as error:
            raise BodyError(invalid_json(_reason(error))) from None
        if any(REPLACEMENT in value for value in fields.values.values()):
            raise BodyError(invalid_json("a field that the gateway reads holds half a surrogate pair"))
        return fields

    def _read(self, raw: bytes | memoryview) -> Fields:
        """Read JSON text.

        :raises msgspec.DecodeError: it isn't JSON, or has lone surrogates.
        """
        self._seen.start()
        try:
            try:
                top = self._strict.decode(raw)
                values = self._seen.strings
                if self._conditions:
                    values.update(self._top.booleans(top))
            except msgspec.ValidationError:
                self._seen.check()
                _decode_anything(raw)  # the rest of it might not be JSON at all
                if not _OBJECT.match(raw):
                    raise BodyError(invalid_request_body()) from None
                values = dict(self._top.read_carefully(raw))
        except RecursionError:
            raise BodyError(invalid_json("it is nested too deeply")) from None
        return Fields(values.get(MODEL), values)


class _Seen(threading.local):
    """What the parser has met in this thread since :meth:`start`."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.strings: dict[FieldPath, str] = {}
        self.objects: set[FieldPath] = set()
        self.twice: FieldPath | None = None

    def string(self, path: FieldPath, text: str) -> None:
        if path in self.strings:
            self._stop(path)
        self.strings[path] = text

    def object(self, path: FieldPath) -> None:
        if path in self.objects:
            self._stop(path)
        self.objects.add(path)

    def _stop(self, path: FieldPath) -> None:
        self.twice = path
        raise ValueError  # the parser stops at once: a body may hold millions of these

    def met(self, path: FieldPath) -> bool:
        return path in self.strings or path in self.objects

    def check(self) -> None:
        """Refuse a duplicate that stopped the parser."""
        if self.twice is not None:
            raise BodyError(duplicate_field(self.twice))


class _Level:
    """The keys that are read in one object, at ``path`` of the body."""

    def __init__(
        self, path: FieldPath, fields: Sequence[FieldPath], routing: Container[FieldPath], seen: _Seen
    ) -> None:
        def count(_struct: object) -> None:
            seen.object(path)

        depth = len(path) + 1
        groups = [(key, list(group)) for key, group in groupby(fields, lambda field: field[:depth])]
        self.keys = [_Key(key, [field for field in group if field != key], routing, seen) for key, group in groups]
        self.empty = _struct({}, count)
        self.strict = _struct({key.name: key.strict for key in self.keys}, count)
        """What nearly every body fits: an object whose fields are absent, strings or objects as configured."""
        self._last = msgspec.json.Decoder(_struct({key.name: msgspec.Raw for key in self.keys}))

    def booleans(self, found: msgspec.Struct) -> Iterator[tuple[FieldPath, str]]:
        """The ``true`` and ``false`` of a decoded ``strict``; strings were seen on the way."""
        for key, value in zip(self.keys, msgspec.structs.astuple(found), strict=True):
            if key.level is not None and value is not None:
                yield from key.level.booleans(value)
            elif isinstance(value, bool):
                yield key.path, "true" if value else "false"

    def read_carefully(self, raw: bytes | memoryview | msgspec.Raw) -> Iterator[tuple[FieldPath, str]]:
        """Read an object whose fields may be of any kind.

        :raises BodyError: ``duplicate_field`` or ``invalid_type``.
        """
        for key, last in zip(self.keys, msgspec.structs.astuple(self._last.decode(raw)), strict=True):
            if last is None:
                continue
            kind = memoryview(last)[0]
            key.check_once(raw, kind)
            if key.level is not None:
                if kind == _BRACE:
                    yield from key.level.read_carefully(last)
            elif kind == _QUOTE:
                yield key.path, _decode_text(last)
            elif kind != _NULL and key.routing:
                raise BodyError(invalid_type(key.path))
            elif kind in _SCALAR and len(memoryview(last)) <= _LONGEST_SCALAR:
                yield key.path, bytes(last).decode()


class _Key:
    """One key that is read at its level: a leaf, or the way to a deeper level."""

    def __init__(
        self, path: FieldPath, deeper: Sequence[FieldPath], routing: Container[FieldPath], seen: _Seen
    ) -> None:
        self.path, self.name, self.routing, self._seen = path, path[-1], path in routing, seen
        self.level = _Level(path, deeper, routing, seen) if deeper else None
        probe: Any = self.level.empty if self.level else _leaf(path, seen)
        self.strict: Any = self.level.strict if self.level else probe if self.routing else probe | bool
        self._once = msgspec.json.Decoder(_struct({self.name: probe}))
        self._once_or_null = msgspec.json.Decoder(_struct({self.name: probe | None}))

    def check_once(self, raw: bytes | memoryview | msgspec.Raw, last: int) -> None:
        """Refuse a second occurrence in the object ``raw``; ``last`` is the first byte of the last one.

        Several occurrences pass where all are ``null``, and where neither the first nor the last is of a kind that
        a rule could use here.
        """
        if self._fits(self._once, raw):
            return
        if last == (_BRACE if self.level else _QUOTE) or self._seen.met(self.path):
            raise BodyError(duplicate_field(self.path))
        if last == _NULL and (not self._fits(self._once_or_null, raw) or self._seen.met(self.path)):
            raise BodyError(duplicate_field(self.path))

    def _fits(self, decoder: msgspec.json.Decoder[Any], raw: bytes | memoryview | msgspec.Raw) -> bool:
        self._seen.start()
        try:
            decoder.decode(raw)
        except msgspec.ValidationError:
            self._seen.check()
            return False
        return True


def _leaf(path: FieldPath, seen: _Seen) -> type[enum.Enum]:
    """The type of one field: tells ``seen`` of every string that the parser meets there."""

    class Leaf(enum.Enum):
        NEVER = _NEVER

        @classmethod
        def _missing_(cls, value: object) -> Leaf:
            seen.string(path, str(value))
            return cls.NEVER

    return Leaf


def _struct(fields: Mapping[str, Any], on_object: Callable[[object], None] | None = None) -> type[msgspec.Struct]:
    """A Struct of these JSON keys; calls ``on_object`` for every object that the parser takes for one."""
    return msgspec.defstruct(
        "Body",
        [
            (f"f{index}", kind, msgspec.field(name=key, default=None))
            for index, (key, kind) in enumerate(fields.items())
        ],
        namespace={"__post_init__": on_object} if on_object is not None else None,
    )


def _reason(error: msgspec.DecodeError) -> str:
    """The parser's own words, which hold no piece of the body."""
    return str(error).removeprefix("JSON is malformed: ").replace("Input data was truncated", "it ends too early")
