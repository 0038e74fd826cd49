"""What a scenario says of the gateway, and what was seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """One sentence, and whether this run bears it out; ``None``: it is a figure, and nothing is claimed."""

    what: str
    shown: str
    """The figures."""
    holds: bool | None


def p99(seconds: list[float]) -> float:
    """The time that 99 of 100 don't exceed."""
    return sorted(seconds)[int(len(seconds) * 0.99)]
