"""The report: an analysis with everything that a reader wants to see beside it. Pure, and the same every time.

Text, JSON and HTML are made from a :class:`Report` and compute nothing themselves. The JSON report is this class,
field by field; docs/bench-report.schema.json is generated from it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from routegen.bench import wording
from routegen.bench.analysis import Analysis, analyse, cells_of
from routegen.bench.metrics import BY_KEY, METRICS
from routegen.bench.records import Recorded

from .parity import Parity, parity
from .shapes import Distribution, Timeline, distributions, timeline
from .usage import Resources, resources

SCHEMA_VERSION: Final = 1
"""Raised when a field changes its meaning or goes away; new fields don't raise it."""


class Formula(msgspec.Struct, frozen=True, kw_only=True):
    """How a metric is defined; docs/bench.md explains each."""

    id: str
    """Such as ``M01``; a metric whose formula changes gets another."""
    metric: str
    """Its key everywhere else in the report."""
    title: str
    unit: str
    """``s``, ``1/s``, ``tokens/s`` or ``share`` (0.05 is 5 %)."""
    better: str
    """``lower`` or ``higher``."""
    formula: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison's result in words."""

    plain: str
    """One sentence for everybody."""
    detail: str
    """The figures behind it."""
    outlook: str = ""
    """What more blocks would tell, where there is no verdict yet."""


class Report(Analysis, frozen=True, kw_only=True):
    """Everything that is said about a run."""

    schema_version: int
    trustworthy: bool
    """No check failed. Where one did, the figures must not be used."""
    answers: tuple[Answer, ...]
    """One for each of ``compared``, in its order."""
    distributions: tuple[Distribution, ...]
    timeline: Timeline
    resources: Resources
    parity: Parity
    formulas: tuple[Formula, ...]


def build(recorded: Recorded) -> Report:
    """The report on ``recorded``."""
    analysis = analyse(recorded)
    cells = cells_of(recorded)
    return Report(
        **{field: getattr(analysis, field) for field in Analysis.__struct_fields__},
        schema_version=SCHEMA_VERSION,
        trustworthy=analysis.valid,
        answers=tuple(
            Answer(
                plain=wording.plain(analysis, compared),
                detail=wording.headline(analysis, compared),
                outlook=wording.outlook(analysis, compared) if compared.primary.outcome == "inconclusive" else "",
            )
            for compared in analysis.compared
        ),
        distributions=tuple(distributions(recorded.run, cells)),
        timeline=timeline(recorded, cells),
        resources=resources(recorded),
        parity=parity(analysis),
        formulas=tuple(
            Formula(
                id=metric.id,
                metric=metric.key,
                title=metric.title,
                unit=metric.unit,
                better=metric.better,
                formula=metric.formula,
            )
            for metric in dict.fromkeys((*METRICS, BY_KEY[recorded.run.design.primary]))
        ),
    )
