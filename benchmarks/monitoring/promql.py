"""What a query speaks of: as much of PromQL as the rules and the dashboard use."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_SELECTOR: Final = re.compile(r"\b(up|routegen_\w+|envoy_\w+|process_\w+)\b(?:\{([^}]*)\})?")
_LISTED: Final = re.compile(r"\b(?:by|on|ignoring|group_left) \(([^)]*)\)")
_MATCHER: Final = re.compile(r'(\w+)(=~|=)"([^"]*)"')
_TEXT: Final = re.compile(r'"[^"]*"')


class Matcher(NamedTuple):
    """A label that must have a value."""

    label: str
    regular: bool
    """Whether the value is a regular expression."""
    value: str


class Selector(NamedTuple):
    """A metric and what is asked of its labels."""

    name: str
    matchers: tuple[Matcher, ...]


def selectors(query: str) -> list[Selector]:
    """All of them, in order."""
    bare = _LISTED.sub(" ", query)
    found = []
    for name, inside in _SELECTOR.findall(re.sub(r'label_replace\(|, *"[^"]*"', "", bare)):
        found.append(Selector(name, tuple(Matcher(a, b == "=~", c) for a, b, c in _MATCHER.findall(inside))))
    return found


def names(query: str) -> frozenset[str]:
    """The metrics that it reads."""
    return frozenset(selector.name for selector in selectors(query))


def grouped(query: str) -> frozenset[str]:
    """The labels that it groups or joins by."""
    return frozenset(label.strip() for listed in _LISTED.findall(query) for label in listed.split(",") if label.strip())
