"""What differs and nobody has looked at: the audit knows what it doesn't know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from routegen.audit.facts import compare
from routegen.audit.findings import Hit, Severity, rule
from routegen.audit.pairs import Pair
from routegen.audit.unread import Setting, unread


@rule(
    "FAIR076",
    "engine",
    Severity.WARNING,
    title="Something differs that the audit doesn't understand",
    why="Nobody has looked at it: it may change nothing, or decide the comparison.",
)
def not_compared(pair: Pair) -> Iterator[Hit]:
    """An option, an environment variable, a field of the pod or its container differs, and no rule reads it.

    What is known to make no difference is left out: credentials, names of pods, how the log is written, and the like
    ([the list](../generator/routegen/audit/settings.toml) has the reasons). Set it equally in both, or accept it with
    the reason why it doesn't matter.
    """
    settings = dict.fromkeys(setting for engine, other in pair.each() for setting in unread(engine, other))
    for setting in settings:
        facts = (setting.of(pair.first), setting.of(pair.second))
        if compare(*facts) == "same" or any(fact.whole for fact in facts) or _said_by_another(setting, pair):
            continue
        values = "; ".join(f"{one.name}: {fact.shown}" for (one, _), fact in zip(pair.each(), facts, strict=True))
        blamed = facts if facts[0].state != "default" else facts[::-1]
        fix = f"# the same {setting.name} in both, or in none"
        yield Hit(f"not compared: {setting.name} ({values})", blamed, fix, unknown=True)


def _said_by_another(setting: Setting, pair: Pair) -> bool:
    """Whether it is a detail of something that only one engine does, such as the number of speculative tokens."""
    return any(whole and compare(*pair.option(whole)) != "same" for whole in setting.part_of(pair.first, pair.second))


@rule(
    "FAIR078",
    "engine",
    Severity.ERROR,
    title="An engine doesn't start with its arguments",
    why="What doesn't start can't be compared; what is running has other arguments than the manifest.",
)
def refused(pair: Pair) -> Iterator[Hit]:
    """An abbreviated option could mean several, which `argparse` refuses: SGLang's `--pp`, for one.

    Only for the versions in the engines' tables, where the parser's options are known. In other versions what an
    abbreviation means can't be told.
    """
    for engine, _ in pair.each():
        for fact in engine.refused():
            message = f"{engine.name}: {fact.note}"
            yield Hit(message, (replace(fact, note=""),), "# write the option's name out")


RULES = (not_compared, refused)
