"""The report on a sweep: its curve with the sentences that say what it shows. Pure, and the same every time.

Text, JSON and HTML are made from a :class:`SweepReport` and compute nothing themselves. The JSON report is this class,
field by field; docs/bench-sweep.schema.json is generated from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from routegen.bench import wording
from routegen.bench.comparisons import Compared
from routegen.bench.curve import Curve, Saturation, curve
from routegen.bench.design import Comparison, Slo
from routegen.bench.metrics import BY_KEY
from routegen.bench.sweep import Kind, Swept

SCHEMA_VERSION: Final = 1
"""Raised when a field changes its meaning or goes away; new fields don't raise it."""


class SweepReport(Curve, frozen=True, kw_only=True):
    """Everything that is said about a sweep."""

    schema_version: int
    trustworthy: bool
    """No check of any step failed."""
    answers: tuple[str, ...]
    """A sentence for each comparison, each arm's saturation, and each arm's best goodput, where a limit was given."""


def build(swept: Swept) -> SweepReport:
    """The report on ``swept``."""
    found = curve(swept)
    return SweepReport(
        **{field: getattr(found, field) for field in Curve.__struct_fields__},
        schema_version=SCHEMA_VERSION,
        trustworthy=all(step.valid for step in found.steps),
        answers=(*_compared(found), *_saturated(found), *_best(found)),
    )


def at(kind: Kind, loads: list[float]) -> str:
    """``at 1, 2 and 4 at once``, ``at 0.5 requests/s``."""
    named = [f"{load:g}" for load in loads]
    listed = " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
    return f"at {listed} {'at once' if kind == 'concurrency' else 'requests/s'}"


def outcomes(found: Curve, comparison: Comparison) -> dict[str, list[float]]:
    """What was said -> at which loads, in the order of the loads."""
    said: dict[str, list[float]] = {}
    for load, step in zip(found.loads, found.steps, strict=True):
        for one in step.compared:
            if one.comparison == comparison:
                said.setdefault(one.primary.outcome, []).append(load)
    return said


def _compared(found: Curve) -> Iterator[str]:
    metric = BY_KEY[found.primary].title.lower()
    for comparison in found.steps[0].run.comparisons:
        if comparison.question == "control":
            continue
        said = outcomes(found, comparison)
        words = {
            "base better": f"{comparison.base} is better",
            "other better": f"{comparison.other} is better",
            "equivalent": "they are equivalent",
            "inconclusive": "no verdict",
            "no verdict": "no verdict, because a check failed,",
        }
        parts = [f"{words[outcome]} {at(found.kind, loads)}" for outcome, loads in said.items()]
        yield f"{comparison.other} beside {comparison.base}, {metric}: {'; '.join(parts) or 'nothing is measured'}."


def _saturated(found: Curve) -> Iterator[str]:
    for one in found.saturations:
        if one.throughput is not None:
            yield saturated(found, one)


def saturated(found: Curve, one: Saturation) -> str:
    """Where an arm gives no more, in a sentence."""
    assert one.throughput is not None
    given = wording.amount(BY_KEY["token_rate"], one.throughput.value)
    if not one.known:
        return f"{one.arm}: {given}; where it is saturated can't be said from one load."
    if one.load is not None:
        return f"{one.arm} is saturated from {at(found.kind, [one.load])[3:]} on, with {given}."
    assert one.highest is not None
    return f"{one.arm} is not saturated {at(found.kind, [one.highest])}, with {given}."


def _best(found: Curve) -> Iterator[str]:
    if found.steps[0].run.design.slo == Slo():
        return
    for arm in found.arms:
        known = [
            (point.figures["goodput"].value, point.load)
            for point in found.of(arm)
            if point.trustworthy and "goodput" in point.figures
        ]
        if known:
            value, load = max(known)
            yield f"{arm} gives the most goodput {at(found.kind, [load])}: {wording.amount(BY_KEY['goodput'], value)}."


def engines(report: SweepReport) -> list[tuple[float, Compared]]:
    """Every comparison of engines, with its load."""
    return [
        (load, one)
        for load, step in zip(report.loads, report.steps, strict=True)
        for one in step.compared
        if one.comparison.question == "engines"
    ]
