"""What the values of single options mean. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from .client import FIELDS
from .design import Slo


class UsageError(Exception):
    """Options that make no sense together; exit code 2."""


def slo(limits: Sequence[tuple[str, str]]) -> Slo:
    """The limits of ``--slo NAME=SECONDS``.

    :raises UsageError: a name is none, or a value no time.
    """
    found: dict[str, float] = {}
    for name, text in limits:
        try:
            found[name] = float(text)
        except ValueError:
            raise UsageError(f'--slo {name}={text}: "{text}" is not a number of seconds') from None
        if name not in Slo.__struct_fields__ or not 0 < found[name] < math.inf:
            raise UsageError(f"--slo {name}={text}: give ttft, tpot or e2e a number of seconds above 0")
    return Slo(**found)


_decode_json: Final = msgspec.json.Decoder().decode


def sampling(values: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Values as JSON where they are JSON, else as text."""
    found: dict[str, Any] = {}
    for name, text in values:
        if name in FIELDS:
            raise UsageError(f'--sampling {name}: the bench sets "{name}" itself')
        try:
            found[name] = _decode_json(text)
        except msgspec.MsgspecError:
            if text[:1] in "[{":
                raise UsageError(f"--sampling {name}={text}: starts like JSON and isn't") from None
            found[name] = text
    return found
