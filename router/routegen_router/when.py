"""Conditions: the tests of ``when`` that any rule may have."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from .request import Facts, Source


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One test of ``when``: the value at ``source`` (or the path, or the model) matches ``pattern``."""

    pattern: str
    """Exact text or a glob, case-sensitive; ``*``, ``?`` and ``[…]`` as in :func:`fnmatch.fnmatchcase`."""
    source: Source | None = None
    attribute: Literal["model", "path"] | None = None

    def __str__(self) -> str:
        """As a trace tells it: ``header: x-tenant: gold-*``."""
        return f"{self.source or self.attribute}: {self.pattern}"

    def holds(self, facts: Facts) -> bool:
        """Whether a request passes; what is absent never does."""
        if self.source is not None:
            value = facts.read(self.source)
        else:
            value = facts.model if self.attribute == "model" else facts.path
        return value is not None and fnmatchcase(value, self.pattern)
