"""Where a request stands when a rule's turn comes, and what a rule may make of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Final

import msgspec

from .models import Snapshot
from .refusals import Reject
from .request import Facts

IS_NAME: Final = object()
"""Marks text as a name."""
Name = Annotated[str, IS_NAME]
"""A name that rules use: a backend's own, or an owner's. A rule's fields of this type are checked in routes.yaml."""
Why = Callable[[], str]
"""A reason, put into words only where a trace is wanted."""
Draw = Callable[[], float]
"""Gives a random number in [0, 1)."""
Shares = Callable[[], Mapping[str, float]]


def _no_shares() -> Mapping[str, float]:
    return {}


class Pass(msgspec.Struct, frozen=True, gc=False):
    """The rule has nothing to say about this request."""

    why: Why


class Narrow(msgspec.Struct, frozen=True, gc=False):
    """Only these can still take the request; at least one of them is a candidate."""

    left: tuple[str, ...]
    why: Why


class Decide(msgspec.Struct, frozen=True, gc=False):
    """The request goes to this candidate."""

    backend: str
    why: Why
    shares: Shares = _no_shares
    """Where the choice was random: backend -> its share of requests like this one, all together 1."""


class Refuse(msgspec.Struct, frozen=True, gc=False):
    """The client is told no."""

    reject: Reject


Outcome = Pass | Narrow | Decide | Refuse


class Standing:
    """All that a rule may ask: the request, the candidates, and what is known of the engines."""

    __slots__ = ("candidates", "draw", "facts", "view")

    def __init__(self, facts: Facts, view: Snapshot, draw: Draw) -> None:
        self.facts, self.view, self.draw = facts, view, draw
        self.candidates: tuple[str, ...] = view.names
        """The backends still possible, in the configured order."""

    def bearing(self, name: Name) -> tuple[str, ...]:
        """The backends that ``name`` stands for; none where nobody bears it."""
        return self.view.bearing(name)

    def alive(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Those of ``names`` whose engines answer, or all where none does."""
        alive = self.view.alive
        return tuple([name for name in names if name in alive]) or names
