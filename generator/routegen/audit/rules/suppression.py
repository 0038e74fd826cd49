"""Suppressions that don't work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from routegen.audit.findings import Hit, Rule, Severity, rule
from routegen.audit.pairs import Pair
from routegen.audit.suppress import PREFIX, silenced

_ID = "FAIR099"


def rules(others: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rule about suppressions of ``others``, and of itself."""
    known = {_ID, *(other.id for other in others)}

    @rule(
        _ID,
        "suppression",
        Severity.WARNING,
        title="A suppression has no reason, or names no rule",
        why="A silenced finding without a reason can't be reviewed, and a misspelt one silences nothing.",
    )
    def bad_suppression(pair: Pair) -> Iterator[Hit]:
        """An annotation `ignore.routegen/FAIRnnn` with an empty value (silences nothing), or with the id of no rule."""
        for engine, _ in pair.each():
            for id_, reason, fact in silenced(engine):
                fix = f'annotations: {{{PREFIX}{id_}: "why this doesn\'t matter here"}}'
                if id_ not in known:
                    yield Hit(f'"{id_}" is no rule; ids look like FAIR071', (fact,), f"# remove {PREFIX}{id_}")
                elif not reason:
                    yield Hit(f"the suppression of {id_} gives no reason, so it doesn't count", (fact,), fix)

    return (bad_suppression,)
