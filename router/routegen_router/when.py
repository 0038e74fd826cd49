"""Conditions: the tests of ``when`` that any rule may have."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from .request import MODEL, Facts, Measure, Source

_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?", re.ASCII)
"""A number as JSON writes it (RFC 8259, section 6), leading zeros aside."""


class Bounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What a number must be; all that are given must hold."""

    above: float | None = None
    below: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    def hold(self, number: float) -> bool:
        """Whether ``number`` lies within."""
        return not (
            (self.above is not None and number <= self.above)
            or (self.below is not None and number >= self.below)
            or (self.at_least is not None and number < self.at_least)
            or (self.at_most is not None and number > self.at_most)
        )

    def empty(self) -> bool:
        """Whether no number lies within."""
        least = max(number for number in (self.above, self.at_least, -float("inf")) if number is not None)
        most = min(number for number in (self.below, self.at_most, float("inf")) if number is not None)
        return least > most or (least == most and not self.hold(least))

    def __str__(self) -> str:
        """In words: ``above 4 and at most 8``."""
        given = {"above": self.above, "below": self.below, "at least": self.at_least, "at most": self.at_most}
        return " and ".join(f"{word} {number:.15g}" for word, number in given.items() if number is not None)


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One test of ``when``: what it looks at, and exactly one of ``pattern``, ``bounds`` and ``present``.

    It looks at the value at ``source``, or at the path, the model, or the body's size in bytes.
    """

    pattern: str | UnsetType = UNSET
    """Exact text or a glob, case-sensitive; ``*``, ``?`` and ``[…]`` as in :func:`fnmatch.fnmatchcase`."""
    source: Source | None = None
    attribute: Literal["model", "path", "size"] | None = None
    measure: Literal["items", "characters"] | UnsetType = UNSET
    """What of the field is held to the bounds; else the number that it is."""
    bounds: Bounds | UnsetType = UNSET
    present: bool | UnsetType = UNSET
    """Whether it must be there, or must not; JSON ``null`` is absent."""

    def __str__(self) -> str:
        """As a trace tells it: ``header: x-tenant: gold-*``."""
        if self.present is not UNSET:
            test = f"present: {'true' if self.present else 'false'}"
        elif self.bounds is not UNSET:
            test = f"{self.measure} {self.bounds}" if self.measure else str(self.bounds)
        else:
            test = str(self.pattern)
        return f"{self.source or self.attribute}: {test}"

    @property
    def measured(self) -> Measure | None:
        """What has to be measured in the body for it."""
        if self.source is None or self.source.body is None:
            return None
        if self.present is not UNSET:
            return self.source.body, "present"
        return (self.source.body, self.measure) if self.measure is not UNSET else None

    def holds(self, facts: Facts) -> bool:
        """Whether a request passes. What is absent passes ``present: false`` alone."""
        if self.pattern is not UNSET:
            value = self._value(facts)
            return value is not None and fnmatchcase(value, self.pattern)
        if self.present is not UNSET:
            measured = self.measured
            there = facts.read(self.source) is not None if measured is None and self.source else measured in facts.sizes
            return there == self.present
        number = self._number(facts)
        return number is not None and self.bounds is not UNSET and self.bounds.hold(number)

    def _value(self, facts: Facts) -> str | None:
        if self.source is not None:
            return facts.read(self.source)
        if self.attribute == "path":
            return facts.path
        return facts.model if facts.model is not None else facts.fields.get(MODEL)  # which refuses an unread body

    def _number(self, facts: Facts) -> float | None:
        if self.attribute == "size":
            return facts.size
        if self.measured is not None:
            return facts.sizes.get(self.measured)
        value = self._value(facts)
        return float(value) if value is not None and _NUMBER.fullmatch(value) else None
