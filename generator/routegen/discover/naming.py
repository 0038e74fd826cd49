"""What the backends are called: by their owner where it is theirs alone, else by their object."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from .candidates import Candidate

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SHORT: Final = {"LLMInferenceService": "llm", "InferencePool": "pool", "Service": "svc"}


def names(taken: Sequence[Candidate]) -> list[str]:
    """A name for each, none twice, and none that is the owner of another."""
    owners = Counter(one.owner.name for one in taken if one.owner.name is not None)
    used: set[str] = set()
    chosen = []
    for one in taken:
        others = {name for name, count in owners.items() if name != one.owner.name or count > 1}
        name = next(wish for wish in _wishes(one, owners) if wish not in used and wish not in others)
        used.add(name)
        chosen.append(name)
    return chosen


def _wishes(one: Candidate, owners: Counter[str]) -> Iterator[str]:
    if one.owner.name is not None and owners[one.owner.name] == 1 and _LABEL.fullmatch(one.owner.name):
        yield one.owner.name
    plain = _as_label(one.thing.name)
    yield plain
    yield _as_label(f"{one.thing.namespace}-{one.thing.name}")
    number = 1
    while True:
        yield _as_label(f"{plain[:50]}-{_SHORT[one.thing.kind]}{number if number > 1 else ''}")
        number += 1


def _as_label(name: str) -> str:
    return re.sub(r"[^-a-z0-9]", "-", name.lower())[:63].strip("-")
