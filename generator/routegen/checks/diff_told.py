"""A difference for people, and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from routegen.checks.diff import Difference, Group, Outcome
from routegen.checks.requests import shown
from routegen.plan import Plan


def text(found: Difference, plans: Sequence[Plan], origin: str) -> str:
    """What came, went and changed, then the requests that go elsewhere, one example each.

    :param origin: where the requests come from, in words.
    """
    return "".join(f"{line}\n" for line in _lines(found, plans, origin))


def as_json(found: Difference, plans: Sequence[Plan], origin: str) -> str:
    """One JSON object."""
    document = {
        "schemaVersion": 1,
        "settings": found.settings,
        "backends": found.backends,
        "rules": found.rules,
        "requests": {"origin": origin, "compared": found.requests, "changed": found.changed},
        "changes": [_json(group, plans) for group in found.groups],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _lines(found: Difference, plans: Sequence[Plan], origin: str) -> Iterator[str]:
    for title, lines in (("settings", found.settings), ("backends", found.backends), ("rules", found.rules)):
        if lines:
            yield title
            yield from (f"  {line}" for line in lines)
    yield f"requests ({origin})"
    yield f"  {found.changed} of {found.requests} are handled otherwise"
    for group in found.groups:
        yield f"  {group.count:>5}  {group.old}  ->  {group.new}"
        where = f"{group.example.origin}: " if group.example.origin else ""
        yield f"         such as {where}{json.dumps(shown(group.example.request, plans), ensure_ascii=False)}"


def _json(group: Group, plans: Sequence[Plan]) -> dict[str, Any]:
    return {
        "count": group.count,
        "elsewhere": group.elsewhere,
        "old": _outcome(group.old),
        "new": _outcome(group.new),
        "example": shown(group.example.request, plans),
        "exampleFrom": group.example.origin or None,
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "shares": dict(outcome.shares),
        "rule": outcome.rule,
        "code": outcome.code,
        "status": outcome.status,
    }
