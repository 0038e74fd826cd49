"""Kubernetes' quantities of resources as numbers."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_UNITS: Final = {"": Decimal(1), "m": Decimal("0.001")} | {
    unit: Decimal(base) ** power
    for base, units in ((1000, "k M G T"), (1024, "Ki Mi Gi Ti"))
    for power, unit in enumerate(units.split(), start=1)
}


def amount(quantity: str) -> Decimal:
    """A quantity as a number: ``250m`` is 0.25."""
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", quantity)
    assert match is not None, "the spec has checked it"
    return Decimal(match[1]) * _UNITS[match[2]]
