"""The words of the audit: what a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from routegen.audit.facts import Fact, Place
from routegen.audit.pairs import Pair
from routegen.common.severity import Severity

__all__ = ["Finding", "Hit", "Rule", "Severity", "rule"]


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule's check yields: one thing that it found."""

    message: str
    """What is the case, in one sentence."""
    facts: tuple[Fact, ...]
    """The evidence; the first is to blame, the others are what it is compared with."""
    fix: str
    """YAML (or a line of advice in a YAML comment) that would put it right."""
    unknown: bool = False
    """Nothing is proven wrong, but nothing is proven right either."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that makes a comparison unfair."""

    id: str
    group: str
    title: str
    severity: Severity
    why: str
    """Why it matters, in one sentence."""
    docs: str
    """How it decides, and where the knowledge comes from; the page in docs/ is made of these."""
    check: Callable[[Pair], Iterable[Hit]] = field(repr=False)

    def findings(self, pair: Pair) -> Iterator[Finding]:
        """What this rule says of one pair."""
        for hit in self.check(pair):
            yield Finding(self, _severity(self, hit), hit.unknown, hit.message, hit.facts, hit.fix)


def rule(
    id: str,  # noqa: A002 - the word that users know it by
    group: str,
    severity: Severity,
    *,
    title: str,
    why: str,
) -> Callable[[Callable[[Pair], Iterable[Hit]]], Rule]:
    """Make a rule of a check; the check's docstring is the rule's documentation."""

    def make(check: Callable[[Pair], Iterable[Hit]]) -> Rule:
        paragraphs = (check.__doc__ or "").strip().split("\n\n")
        docs = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        return Rule(id, group, title, severity, why, docs, check)

    return make


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that speaks up about this input."""

    rule: Rule
    severity: Severity
    unknown: bool
    message: str
    facts: tuple[Fact, ...]
    fix: str

    @property
    def place(self) -> Place:
        """Where to look first."""
        return self.facts[0].place

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Equal for findings that say the same thing; one engine may be part of several pairs."""
        return (self.rule.id, self.place.object, self.place.path, self.message)


def _severity(rule_: Rule, hit: Hit) -> Severity:
    """What can't be told is at most a warning; where only an engine's own default is in doubt, information."""
    if not hit.unknown:
        return rule_.severity
    in_doubt = [fact for fact in hit.facts if not fact.known]
    if in_doubt and all(fact.token for fact in in_doubt):
        return Severity.INFO
    return min(rule_.severity, Severity.WARNING)
