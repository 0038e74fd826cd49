"""The rules: one module for each, and here the table of them all."""

from __future__ import annotations

from typing import Final

from .lookup import Lookup
from .prefer import Prefer
from .reject import NoRoute
from .rule import Bearing, Key, Place, Rule, Verb
from .split import Split

BUILT_IN: Final[tuple[type[Rule], ...]] = (Lookup, Prefer, Split, NoRoute)

__all__ = ["BUILT_IN", "Bearing", "Key", "Lookup", "NoRoute", "Place", "Prefer", "Rule", "Split", "Verb"]
