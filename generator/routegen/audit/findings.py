"""The words of the audit: a fact, the evidence, a finding, a rule."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from routegen.audit.pairs import Pair


class Severity(enum.IntEnum):
    """How much a finding matters; ordered, so that ``--fail-on`` is a comparison."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    @property
    def word(self) -> str:
        """As users write and read it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, or would stand."""

    object: str
    """Such as ``Deployment inference/vllm``."""
    file: str
    line: int
    """From 1; 0 where no line is to blame (objects of a live cluster)."""
    path: str
    """Such as ``$.spec.template.spec.containers[0].args[2]``."""

    def __str__(self) -> str:
        """As users see it: ``vllm.yaml:12 $.spec.replicas``."""
        return f"{self.file}:{self.line} {self.path}" if self.line else f"{self.file} {self.path}"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing about one engine: set, left to a default, or not to be told from the input."""

    state: Literal["set", "default", "unknown"]
    value: Any
    """Comparable with the other engine's; ``None`` means "not there" and is a value like any other."""
    place: Place
    note: str = ""
    """Where a default comes from, or why nothing can be told."""
    token: str = ""
    """What an unknown default depends on. Two unknown facts with one token are the same unknown value."""
    text: str = ""
    """How the value is written, where that reads better than the value."""
    whole: bool = False
    """The engine's command or environment as a whole can't be read; one finding says so for all its facts."""

    @property
    def known(self) -> bool:
        """Whether there is a value to reason about."""
        return self.state != "unknown"

    @property
    def shown(self) -> str:
        """For people."""
        if self.state == "unknown":
            return f"cannot tell: {self.note}"
        if self.value is None or isinstance(self.value, bool):
            text = {None: "not set", True: "on", False: "off"}[self.value]
        else:
            text = self.text or str(self.value) or '""'
        return f"{text} ({self.note})" if self.note else text


def compare(first: Fact, second: Fact) -> Literal["same", "different", "unknown"]:
    """Whether two facts agree; "unknown" wherever that can't be told."""
    if first.known and second.known:
        return "same" if first.value == second.value else "different"
    if not first.known and not second.known and first.token and first.token == second.token:
        return "same"
    return "unknown"


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
