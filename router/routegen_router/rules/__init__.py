"""The rules: one module for each, and :mod:`~routegen_router.rules.table` of them all and of those of plugins."""

from __future__ import annotations

from .lookup import Lookup
from .prefer import Prefer
from .reject import NoRoute
from .rule import Bearing, Key, Place, Rule, Verb
from .split import Split
from .table import BUILT_IN

__all__ = ["BUILT_IN", "Bearing", "Key", "Lookup", "NoRoute", "Place", "Prefer", "Rule", "Split", "Verb"]
