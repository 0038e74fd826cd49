"""How a request's body is packed, and reading it as it comes: out of its codings, then its fields.

Pure. The router reads short bodies so, its reader processes longer ones, ``routegen explain`` all.
"""

from __future__ import annotations

from typing import Final

import msgspec

from . import codings
from .body import BodyReader, Fields
from .codings import TooLongError
from .refusals import BodyError, Reject, too_large_decoded
from .request import Bytes


class Packing(msgspec.Struct, frozen=True):
    """What the headers say of the body."""

    codings: tuple[str, ...] = ()
    """In the order in which they were applied."""
    limit: int = 0
    """Bytes that it may have when it is decoded."""


PLAIN: Final = Packing()
"""JSON as it is."""


def read(reader: BodyReader, raw: Bytes, packing: Packing) -> Fields:
    """Find the fields that rules read, in any body.

    :raises BodyError: as :meth:`~routegen_router.body.BodyReader.read`, and ``invalid_content_encoding``.
    :raises TooLongError: it has more than ``packing.limit`` bytes when it is decoded.
    """
    if not packing.codings:
        return reader.read(raw)
    decoded = codings.decoded(raw, packing.codings, packing.limit)
    return msgspec.structs.replace(reader.read(decoded), decoded=decoded)


def found(reader: BodyReader, raw: Bytes, packing: Packing) -> Fields | Reject:
    """Like :func:`read`, with the refusal in place of an exception."""
    try:
        return read(reader, raw, packing)
    except BodyError as error:
        return error.reject
    except TooLongError:
        return too_large_decoded(packing.limit)
