"""How a request's body is packed, and reading it as it comes: out of its codings, then its fields, of JSON or a form.

Pure. The router reads short bodies so, its reader processes longer ones, ``routegen explain`` all.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgspec

from . import codings, forms
from .body import BodyReader, Fields, Unread
from .codings import TooLongError
from .config import Reads
from .forms import Form
from .places import Place
from .refusals import BodyError, Reject, too_large_decoded
from .request import MODEL, Bytes, FieldPath, Measure

_JSON: Final = re.compile(
    r"(application/json|text/.*|[^;]*\+json|application/x-www-form-urlencoded|)[ \t]*(;.*)?", re.IGNORECASE | re.DOTALL
)
"""Content types with which clients send JSON; curl's default and none at all are among them."""
_encode: Final = msgspec.json.Encoder().encode
_PACKED: Final = frozenset({"invalid_json", "invalid_request_body", "invalid_form"})
"""Why a body can't be read at all; anything else is wrong with a field that rules read."""


class Packing(msgspec.Struct, frozen=True):
    """What the headers say of the body."""

    codings: tuple[str, ...] = ()
    """In the order in which they were applied."""
    limit: int = 0
    """Bytes that it may have when it is decoded."""
    boundary: str | None = None
    """Of a form; ``None``: it isn't one."""
    is_json: bool = True
    """Whether it must be JSON; else, where it can't be read, it is refused only if a rule asks for a field of it."""

    def written(self, text: str) -> bytes:
        """A text as a field's value."""
        return _encode(text) if self.boundary is None else text.encode()


PLAIN: Final = Packing()
"""JSON as it is."""


def packing(content_type: str, applied: tuple[str, ...], limit: int) -> Packing:
    """How a body is packed.

    :param applied: its codings.
    """
    if not applied and (content_type == "application/json" or _JSON.fullmatch(content_type)):
        return PLAIN
    return Packing(applied, limit, forms.boundary(content_type), _JSON.fullmatch(content_type) is not None)


def read(reader: BodyReader, raw: Bytes, packed: Packing) -> Fields:
    """Find the fields that rules read, in any body.

    :raises BodyError: as :meth:`~routegen_router.body.BodyReader.read` and :func:`~routegen_router.forms.scan`, and
        ``invalid_content_encoding``.
    :raises TooLongError: it has more than ``packed.limit`` bytes when it is decoded.
    """
    if packed is PLAIN:  # nearly always
        return reader.read(raw)
    if not packed.codings:
        return _read(reader, raw, packed)
    decoded = codings.decoded(raw, packed.codings, packed.limit)
    return msgspec.structs.replace(_read(reader, decoded, packed), decoded=decoded)


def found(reader: BodyReader, raw: Bytes, packed: Packing) -> Fields | Reject:
    """Like :func:`read`, with the refusal in place of an exception."""
    try:
        return read(reader, raw, packed)
    except BodyError as error:
        return error.reject
    except TooLongError:
        return too_large_decoded(packed.limit)


def unread(reject: Reject, packed: Packing) -> Fields | Reject:
    """What becomes of a body that was found unfit to be read."""
    if packed.is_json or reject.code not in _PACKED:
        return reject
    nothing = Unread(reject)
    return Fields(None, nothing, nothing)


def of_form(form: Form, reads: Reads) -> Fields:
    """What rules read in a form: fields of one key. A form has no deeper ones, and no items."""
    values: dict[FieldPath, str] = {(name,): value for name, value in form.values.items()}
    sizes: dict[Measure, int] = {}
    for measure in reads.measured:
        field, what = measure
        if field in values and what != "items":
            sizes[measure] = 1 if what == "present" else len(values[field])
    places: dict[FieldPath, Place] = {(name,): place for name, place in form.places.items() if (name,) in reads.placed}
    kept = {field: values[field] for field in values if field in reads.fields}
    return Fields(values.get(MODEL), kept, sizes, places=places)


@lru_cache(maxsize=8)  # a configuration has two
def names(reads: Reads) -> frozenset[str]:
    """The names of a form's fields that rules speak of."""
    return frozenset(field[0] for field in reads.named if len(field) == 1)


def _read(reader: BodyReader, raw: Bytes, packed: Packing) -> Fields:
    try:
        if packed.boundary is None:
            return reader.read(raw)
        return of_form(forms.read(raw, packed.boundary, names(reader.reads)), reader.reads)
    except BodyError as error:
        fields = unread(error.reject, packed)
        if isinstance(fields, Reject):
            raise
        return fields
