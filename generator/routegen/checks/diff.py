"""What a change of routes.yaml changes: its settings, backends and rules, and which requests go elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from routegen.checks import diff_settings
from routegen.checks.requests import UNLISTED, Sample
from routegen.explain import knowledge
from routegen.explain.knowledge import Knowledge
from routegen.explain.report import Report, checked_config, explain
from routegen.plan import Plan
from routegen_router.models import Answer

_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a request, as far as two files can differ in it."""

    shares: tuple[tuple[str, float], ...]
    """Backend -> its part of requests like this one; empty where the gateway answers itself."""
    rule: str | None
    code: str | None
    status: int | None

    def __str__(self) -> str:
        """In words: ``vllm 50 %, sglang 50 %, by split`` or ``refused: no_route``."""
        if self.code is not None:
            return f"refused: {self.code}" + (f", by {self.rule}" if self.rule else "")
        if not self.shares:
            return f"answered by the router ({self.status})"
        if len(self.shares) == 1:
            where = self.shares[0][0]
        else:
            where = ", ".join(f"{name} {share * 100:.4g} %" for name, share in self.shares)
        return f"{where}, by {self.rule}"


@dataclass(slots=True)
class Group:
    """Requests that change in the same way."""

    old: Outcome
    new: Outcome
    example: Sample
    count: int = 0

    @property
    def elsewhere(self) -> bool:
        """Whether they are handled otherwise, not just by a rule of another name."""
        return (self.old.shares, self.old.code) != (self.new.shares, self.new.code)


@dataclass(slots=True)
class Difference:
    """What differs between two files."""

    settings: tuple[str, ...]
    """A line for each that differs."""
    backends: tuple[str, ...]
    """A line for each that came, went or changed."""
    rules: tuple[str, ...]
    requests: int = 0
    """How many were compared."""
    groups: list[Group] = field(default_factory=list)
    """Most requests first."""

    @property
    def changed(self) -> int:
        """How many requests are handled otherwise."""
        return sum(group.count for group in self.groups if group.elsewhere)

    @property
    def empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.settings or self.backends or self.rules or self.groups)


def diff(old: Plan, new: Plan, samples: Iterable[Sample]) -> Difference:
    """Compare two files, and what each does with every request."""
    samples = list(samples)
    models = _models(samples)
    known = {id(plan): _assumed(plan, models) for plan in (old, new)}
    found = Difference(
        tuple(diff_settings.settings(old, new)),
        tuple(diff_settings.backends(old, new)),
        tuple(diff_settings.rules(old.rules, new.rules)),
        len(samples),
    )
    groups: dict[tuple[Outcome, Outcome], Group] = {}
    for sample in samples:
        before, after = (_outcome(explain(plan, known[id(plan)], sample.request, lambda: 0.0)) for plan in (old, new))
        if before != after:
            groups.setdefault((before, after), Group(before, after, sample)).count += 1
    found.groups = sorted(groups.values(), key=lambda group: (not group.elsewhere, -group.count))
    return found


def _outcome(report: Report) -> Outcome:
    # The same shares of other weights, 1:2 and 0.1:0.2, differ in their last digits.
    shares = {name: round(share, _DIGITS) for name, share in report.shares.items() if share}
    if report.backend is not None and len(shares) < 2:  # noqa: PLR2004 - one isn't random
        shares = {report.backend: 1.0}
    return Outcome(tuple(sorted(shares.items())), report.rule, report.code, report.reply.status)


def _models(samples: Iterable[Sample]) -> list[str]:
    """The models that requests name."""
    found: dict[str, None] = {}
    for sample in samples:
        try:
            document = json.loads(sample.request.body or b"{}")
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict) and isinstance(document.get("model"), str):
            found[document["model"]] = None
    return [model for model in found if model != UNLISTED]


def _assumed(plan: Plan, models: Sequence[str]) -> Knowledge:
    """Engines that are asked for their models serve all that requests name, unless routes.yaml lists theirs."""
    config = checked_config(plan)
    answers = {
        backend.name: Answer({} if backend.models else dict.fromkeys(models, 0), backend.owner, 0.0)
        for backend in config.backends
        if backend.poll is not None
    }
    return knowledge.assumed(config, answers, ())
