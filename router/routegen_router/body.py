r"""Request bodies: bytes -> the fields that rules read, exactly and in one pass.

A body is refused where two readers could understand it differently: it must be a JSON object (RFC 8259) in UTF-8, and
a field that rules read must not stand twice at its level, however it is spelled (``"mod\u0065l"`` is ``"model"``).
Everything else is left to the engine.

One pass over the body tells for nearly all (:mod:`~routegen_router.levels`). Where it doesn't, more passes do, a fixed
number of them however a body is made: for fields that are ``null`` or of another wrong kind, and for lone surrogates
(:mod:`~routegen_router.unicode`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn

import msgspec

from . import beginning
from .config import Reads
from .levels import Level, Seen
from .measures import Measurer
from .places import Locator, Place
from .refusals import BodyError, Reject, invalid_json, invalid_request_body
from .request import BEGINNING, MODEL, Bytes, FieldPath, Measure
from .spelling import Keys
from .unicode import (
    FIRST,
    SECOND,
    first_invalid_byte,
    lone_respelled,
    maybe_respelled,
    respelled,
    restored,
    span,
)

_OBJECT: Final = re.compile(rb"[ \t\n\r]*\{")
_PLACE: Final = re.compile(r"\(byte (\d+)\)$")
"""Where the parser stopped, in its message."""
_TOO_DEEP: Final = "it is nested too deeply"
SHORT: Final = 16 * 1024
"""Bytes of a body that is always read where it is; longer ones only where one pass tells."""
_LEAST_RESPELLED: Final = "\ub000"
"""A key with this character or a later one could be spelled with an escape that :func:`respelled` changes."""
_NOWHERE: Final[Mapping[FieldPath, Place]] = {}
_decode_anything: Final = msgspec.json.Decoder(msgspec.Raw).decode


class Fields(msgspec.Struct, frozen=True):
    """What a body says, as far as rules ask."""

    model: str | None
    values: Mapping[FieldPath, str]
    """Absent fields (JSON ``null`` too) are missing here. ``true``, ``false`` and numbers that only conditions read
    stand here as their JSON text."""
    sizes: Mapping[Measure, int] = msgspec.field(default_factory=dict)
    """What conditions measure."""
    decoded: bytearray | None = None
    """The body without its content codings, where it had some."""
    places: Mapping[FieldPath, Place] = msgspec.field(default_factory=dict)
    """Where those stand that may have to change."""


class Unread(Mapping[Any, Any]):
    """Of a body that can't be read: nothing to ask for, and whoever does so refuses the request.

    A request that is decided without a look into its body needs none that could be read.
    """

    def __init__(self, reject: Reject) -> None:
        self.reject = reject

    def __getitem__(self, key: object) -> NoReturn:
        """Refuse.

        :raises BodyError: always.
        """
        raise BodyError(self.reject)

    def __iter__(self) -> Iterator[Any]:
        """Refuse."""
        raise BodyError(self.reject)

    def __len__(self) -> int:
        """Refuse."""
        raise BodyError(self.reject)

    def __eq__(self, other: object) -> bool:
        """Whether the reason is the same."""
        return isinstance(other, Unread) and other.reject == self.reject

    def __hash__(self) -> int:
        """Of the reason."""
        return hash(self.reject.message)


class BodyReader:
    """Finds the fields that rules read. May be called from any thread, several at a time."""

    def __init__(self, read: Reads) -> None:
        self.reads = read
        self._seen = Seen()
        self._compared = Keys({path[-1] for path in read.compared}) if read.compared else None
        self._given, self._begins = read.given, read.begins
        self._top = Level((), sorted(read.fields), read.chosen, self._seen, read.given)
        self._plain_names = all(max(key, default="") < _LEAST_RESPELLED for path in read.fields for key in path)
        self._strict = msgspec.json.Decoder(self._top.strict)
        self._measurer = Measurer(read.measured) if read.measured else None
        self._locator = Locator(read.placed) if read.placed else None
        # What is taken out mustn't stand there a second time, not even as null.
        taken = sorted(read.placed - {MODEL})
        self._once = Measurer([(path, "present") for path in taken]) if taken else None
        self._taken = Keys({path[-1] for path in taken})

    def read(self, raw: Bytes) -> Fields:
        """Find the fields that rules read.

        Takes about a third of a millisecond a megabyte, for text that isn't ASCII two to three times that, and for
        bodies made to be slow (``benchmarks/worst_bodies.py``) up to ninety times that.

        :raises BodyError: ``invalid_json``, ``invalid_request_body`` (not an object), ``duplicate_field``, or
            ``invalid_type`` (something other than a string or ``null`` where a rule's value should be).
        """
        fields = self._read_at_once(raw)
        return fields if fields is not None else self.read_carefully(bytes(raw))

    def read_at_once(self, raw: Bytes) -> Fields | None:
        """Like :meth:`read`, but gives up (``None``) where one pass doesn't tell.

        Nearly all bodies need one pass only. It takes at most four milliseconds a megabyte, whatever the body. What
        has to be measured and isn't short is given up at once.
        """
        if self._measurer is not None and len(raw) > SHORT:
            return None
        return self._read_at_once(raw)

    def _read_at_once(self, raw: Bytes) -> Fields | None:
        position = first_invalid_byte(raw)
        if position is not None:
            raise BodyError(invalid_json(f"it is not UTF-8 (byte {position})"))
        self._seen.start()
        try:
            top = self._strict.decode(raw)
            sizes = self._sizes(raw) if self._measurer is not None else {}
        except msgspec.ValidationError:  # no string where one would fit; null, for example
            self._seen.check()
            return None
        except msgspec.DecodeError:  # no JSON, or a lone surrogate
            return None
        except RecursionError:
            raise BodyError(invalid_json(_TOO_DEEP)) from None
        values = self._seen.strings
        if self._compared is not None:
            compared = dict(self._top.compared(top))
            if compared and self._compared.may_repeat(raw):
                return None
            values.update((path, text) for path, text in compared.items() if text is not None)
        for path in self._given & self._seen.objects:
            values[path] = ""
        return Fields(values.get(MODEL), self._with_beginning(values, raw), sizes, places=self._places(raw))

    def read_carefully(self, raw: bytes) -> Fields:
        """Read a body of which :meth:`read_at_once` didn't tell; errors as :meth:`read`'s."""
        try:
            values, sizes, places = self._read_respelled(raw)
        except msgspec.DecodeError as error:
            raise BodyError(invalid_json(_reason(error))) from None
        except RecursionError:
            raise BodyError(invalid_json(_TOO_DEEP)) from None
        except UnicodeDecodeError:
            raise BodyError(invalid_json("a field that the gateway reads holds half a surrogate pair")) from None
        return Fields(values.get(MODEL), values, sizes, places=places)

    def _read_respelled(self, raw: bytes) -> tuple[dict[FieldPath, str], dict[Measure, int], Mapping[FieldPath, Place]]:
        """Read a body with whatever lone surrogates it has.

        :raises msgspec.DecodeError: it isn't JSON.
        :raises UnicodeDecodeError: a lone surrogate in a field that is read.
        """
        spans: list[slice] = []
        copy = raw
        # One cut emoji is nearly always alone; with the second one, all that follow are respelled.
        for reach in (0, len(raw), None):
            try:
                values = self._values(copy)
                break
            except msgspec.DecodeError as error:
                place = _PLACE.search(str(error))
                if reach is None:
                    raise
                spans.append(span(raw, int(place[1]) if place else len(raw), reach))
                another = self._respelled(raw, FIRST, spans)
                if another == copy:
                    raise
                copy = another
        sizes, places = self._sizes(copy), self._places(copy)  # which are the same in the body itself
        self._with_beginning(values, copy)
        if not any(map(maybe_respelled, values.values())):
            return values, sizes, places
        second = self._values(self._respelled(raw, SECOND, spans), checked=True)
        return {path: restored(text, second.get(path, text)) for path, text in values.items()}, sizes, places

    def _with_beginning(self, values: dict[FieldPath, str], raw: Bytes) -> dict[FieldPath, str]:
        found = beginning.key_of(raw) if self._begins else None
        if found is not None:
            values[BEGINNING] = found
        return values

    def _sizes(self, raw: Bytes) -> dict[Measure, int]:
        return self._measurer.measure(raw) if self._measurer is not None else {}

    def _places(self, raw: Bytes) -> Mapping[FieldPath, Place]:
        if self._locator is None:
            return _NOWHERE
        if self._once is not None and self._taken.may_repeat(raw):
            self._once.measure(raw)
        return self._locator.find(raw)

    def _values(self, raw: bytes, *, checked: bool = False) -> dict[FieldPath, str]:
        if _OBJECT.match(raw):
            values = dict(self._top.read(raw, checked=checked))
            if self._compared is not None and not checked and self._compared.may_repeat(raw):
                for _ in self._top.read(self._compared.as_text(raw), checked=False):
                    pass  # it refuses what stands twice; the parser tells of every string
            return values
        _decode_anything(raw)  # it might not be JSON at all
        raise BodyError(invalid_request_body())

    def _respelled(self, raw: bytes, digit: bytes, spans: Sequence[slice]) -> bytes:
        return respelled(raw, digit, spans) if self._plain_names else lone_respelled(raw, digit)


def _reason(error: msgspec.DecodeError) -> str:
    """The parser's own words, which hold no piece of the body."""
    return str(error).removeprefix("JSON is malformed: ").replace("Input data was truncated", "it ends too early")
