r"""Which fields one object of a body has: every occurrence is seen, and nothing is built for what isn't read.

At load time a ``msgspec`` Struct is made that has only the configured fields, so the parser skips all others at full
speed. It would keep the last of two equal keys; therefore each field's type is an Enum without a usable member, whose
``_missing_`` the parser calls for *every* occurrence with the decoded text. The second call is a duplicate. A Struct on
the way to a nested field counts in ``__post_init__``. Whatever is not a plain string there makes the parser stop; such
bodies (``null``, numbers) are read again with more care.
"""

from __future__ import annotations

import enum
import secrets
import threading
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, Final

import msgspec

from .refusals import BodyError, duplicate_field, invalid_type
from .request import FieldPath

_NEVER: Final = secrets.token_hex(16)
"""An Enum needs a member; no client can guess this one."""
_QUOTE, _BRACE, _NULL = b'"{n'
_SCALAR: Final = b"tf-0123456789"
"""How JSON's ``true``, ``false`` and numbers begin."""
_LONGEST_SCALAR: Final = 64
"""Bytes of a number that a condition compares; no pattern means a longer one."""
_decode_text: Final = msgspec.json.Decoder(str).decode


class Seen(threading.local):
    """What the parser has met in this thread since :meth:`start`."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Forget it."""
        self.strings: dict[FieldPath, str] = {}
        self.objects: set[FieldPath] = set()
        self.twice: FieldPath | None = None

    def string(self, path: FieldPath, text: str) -> None:
        """A string at ``path``."""
        if path in self.strings:
            self._stop(path)
        self.strings[path] = text

    def object(self, path: FieldPath) -> None:
        """An object at ``path``."""
        if path in self.objects:
            self._stop(path)
        self.objects.add(path)

    def _stop(self, path: FieldPath) -> None:
        self.twice = path
        raise ValueError  # the parser stops at once: a body may hold millions of these

    def met(self, path: FieldPath) -> bool:
        """Whether a string or an object was there."""
        return path in self.strings or path in self.objects

    def check(self) -> None:
        """Refuse a duplicate that stopped the parser."""
        if self.twice is not None:
            raise BodyError(duplicate_field(self.twice))


class Level:
    """The keys that are read in one object, at ``path`` of the body."""

    def __init__(
        self,
        path: FieldPath,
        fields: Sequence[FieldPath],
        routing: Container[FieldPath],
        seen: Seen,
        given: Container[FieldPath] = (),
    ) -> None:
        def count(_struct: object) -> None:
            seen.object(path)

        self._seen = seen
        depth = len(path) + 1
        groups = [(key, list(group)) for key, group in groupby(fields, lambda field: field[:depth])]
        self.keys = [
            _Key(key, [field for field in group if field != key], routing, seen, given) for key, group in groups
        ]
        self.empty = _struct({}, count)
        self.strict = _struct({key.name: key.strict for key in self.keys}, count)
        """What nearly every body fits: an object whose fields are absent, strings or objects as configured."""
        self._last = msgspec.json.Decoder(_struct({key.name: msgspec.Raw for key in self.keys}))

    def compared(self, found: msgspec.Struct) -> Iterator[tuple[FieldPath, str | None]]:
        """What only conditions read in a decoded ``strict``: ``true`` or ``false``.

        ``None`` stands for a string, which was seen on the way.
        """
        for key, value in zip(self.keys, msgspec.structs.astuple(found), strict=True):
            if key.level is not None and value is not None:
                yield from key.level.compared(value)
            elif isinstance(value, bool):
                yield key.path, "true" if value else "false"
            elif value is not None and not key.routing:
                yield key.path, None

    def read(self, raw: bytes | msgspec.Raw, *, checked: bool) -> Iterator[tuple[FieldPath, str]]:
        """Read an object whose fields may be of any kind, in two passes however many fields there are.

        :param checked: it is known that no key stands twice.
        :raises BodyError: ``duplicate_field`` or ``invalid_type``.
        :raises msgspec.DecodeError: it isn't JSON.
        """
        found = zip(self.keys, msgspec.structs.astuple(self._last.decode(raw)), strict=True)
        lasts = [(key, last, memoryview(last)[0]) for key, last in found if last is not None]
        if not checked:
            self._check_once(raw, [(key, kind) for key, _, kind in lasts])
        for key, last, kind in lasts:
            if key.level is not None:
                if kind == _BRACE:
                    yield from key.level.read(last, checked=checked)
                if key.given and kind != _NULL:
                    yield key.path, ""
            elif kind == _QUOTE:
                yield key.path, _decode_text(last)
            elif kind != _NULL and key.routing:
                raise BodyError(invalid_type(key.path))
            elif kind in _SCALAR and len(memoryview(last)) <= _LONGEST_SCALAR:
                yield key.path, bytes(last).decode()
            elif key.given and kind != _NULL:
                yield key.path, ""

    def _check_once(self, raw: bytes | msgspec.Raw, lasts: Sequence[tuple[_Key, int]]) -> None:
        """Refuse a key that stands twice in the object ``raw``; ``lasts`` has how the last value of each key begins.

        Several occurrences pass where all are ``null``, and where neither the first nor the last is of a kind that
        a rule could use here.
        """
        usable = [(key, kind == _NULL) for key, kind in lasts if kind in {key.usable, _NULL}]
        if usable:
            unfit = self._unfit(tuple((key.name, key.probe, null) for key, null in usable), raw)
            if unfit is not None:  # something else stands before the last value of one of these
                named = (key.path for key, _ in usable if unfit.endswith(f"`$.{key.name}`"))
                raise BodyError(duplicate_field(next(named, usable[0][0].path)))
            for key, null in usable:
                if null:
                    self._refuse_met(key)
        for key, kind in lasts:
            if kind not in {key.usable, _NULL}:
                self._unfit(((key.name, key.probe, False),), raw)
                self._refuse_met(key)

    def _unfit(self, keys: tuple[tuple[str, Any, bool], ...], raw: bytes | msgspec.Raw) -> str | None:
        """What the parser says if ``raw`` hasn't the :class:`_Shape`; ``None`` if it has."""
        with _making_shapes:
            decoder = _shape_of(keys).decoder
        self._seen.start()
        try:
            decoder.decode(raw)
        except msgspec.ValidationError as error:
            self._seen.check()
            return str(error)
        return None

    def _refuse_met(self, key: _Key) -> None:
        if self._seen.met(key.path):
            raise BodyError(duplicate_field(key.path))


class _Key:
    """One key that is read at its level: a leaf, or the way to a deeper level."""

    def __init__(
        self,
        path: FieldPath,
        deeper: Sequence[FieldPath],
        routing: Container[FieldPath],
        seen: Seen,
        given: Container[FieldPath],
    ) -> None:
        self.path, self.name, self.routing, self.given = path, path[-1], path in routing, path in given
        self.level = Level(path, deeper, routing, seen, given) if deeper else None
        self.usable = _BRACE if self.level else _QUOTE
        """How a value begins that rules can use."""
        self.probe: Any = self.level.empty if self.level else _leaf(path, seen)
        """The type of such a value; tells of each one that is met."""
        self.strict: Any = self.level.strict if self.level else self.probe if self.routing else self.probe | bool


class _Shape:
    """Objects that have no values of other types at some keys: name, type, and whether ``null`` will do too."""

    def __init__(self, keys: tuple[tuple[str, Any, bool], ...]) -> None:
        fields = {name: probe | None if null else probe for name, probe, null in keys}
        self.decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_struct(fields))


_shape_of: Final = lru_cache(maxsize=256)(_Shape)
"""One takes 40 µs to make; of the many that there could be, few are ever asked for."""
_making_shapes: Final = threading.Lock()
"""No two threads may be the first to use a type."""


def _leaf(path: FieldPath, seen: Seen) -> type[enum.Enum]:
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
