"""Kubernetes quantities as exact numbers.

The notation is that of ``k8s.io/apimachinery/pkg/api/resource``: a decimal number with a suffix of ``n u m k M G T P
E``, of ``Ki Mi Gi Ti Pi Ei``, or an exponent.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

_QUANTITY = re.compile(r"([+-]?(?:\d{1,30}\.?\d{0,30}|\.\d{1,30}))([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,2})?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def quantity(value: Any) -> Fraction | None:
    """The number that ``500m``, ``1.5``, ``1e3`` or ``8Gi`` stands for; ``None`` where it is no quantity."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    match = _QUANTITY.fullmatch(str(value).strip())
    if match is None:
        return None
    number, suffix = Fraction(match[1]), match[2] or ""
    if suffix in _DECIMAL:
        return number * _power(10, _DECIMAL[suffix])
    if suffix in _BINARY:
        return number * _power(1024, _BINARY[suffix])
    return number * _power(10, int(suffix[1:]))


def _power(base: int, exponent: int) -> Fraction:
    return Fraction(base**exponent) if exponent >= 0 else Fraction(1, base**-exponent)
