"""How much a finding matters."""

from __future__ import annotations

import enum


class Severity(enum.IntEnum):
    """Ordered, so that ``--fail-on`` is a comparison."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    @property
    def word(self) -> str:
        """As users write and read it."""
        return self.name.lower()
