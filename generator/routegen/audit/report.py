"""The whole audit: pairs in, a report out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from routegen.audit.engine import Engine
from routegen.audit.facts import Place
from routegen.audit.findings import Finding, Severity
from routegen.audit.pairs import Pair, behind_routes, choose, renamed
from routegen.audit.reading import Manifest
from routegen.audit.rules import RULES
from routegen.audit.suppress import Suppressed, reason
from routegen.audit.table import Row, table
from routegen.audit.workloads import Skipped, look
from routegen.common.problems import Problem, UserError
from routegen.plan import Plan


@dataclass(frozen=True)
class Compared:
    """One pair and its table."""

    pair: Pair
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Report:
    """What the audit says."""

    compared: tuple[Compared, ...]
    findings: tuple[Finding, ...]
    """The gravest first."""
    suppressed: tuple[Suppressed, ...]
    left_out: tuple[Engine, ...] = ()
    """Engines of the input that were compared with no other."""
    skipped: tuple[Skipped, ...] = ()
    """What was passed over: workloads without an engine, templates."""

    def count(self, severity: Severity) -> int:
        """How many findings there are of one severity."""
        return sum(finding.severity is severity for finding in self.findings)

    def fails(self, threshold: Severity) -> bool:
        """Whether there is a finding at or above ``threshold``."""
        return any(finding.severity >= threshold for finding in self.findings)


def audit(
    world: Sequence[Manifest],
    *,
    names: Sequence[str] = (),
    plan: Plan | None = None,
    templates: Sequence[Problem] = (),
) -> Report:
    """Compare the engines among ``world``: those called ``names``, those behind ``plan``, else all.

    :param templates: files that were passed over.
    :raises UserError: there are fewer than two engines to compare.
    """
    found = look(world)
    files = [
        Skipped(f"{one.file}:{one.line}", Place(one.file, one.file, one.line, "$"), one.message) for one in templates
    ]
    skipped = (*found.skipped, *files)
    if plan is not None and not names:
        names = behind_routes(plan, found.engines, world)
    try:
        pairs = choose(found.engines, world, names)
    except UserError as error:
        over = "; ".join(f"{one.what}: {one.reason}" for one in skipped)
        raise UserError(f"{error}{f'. Passed over: {over}' if over else ''}") from error
    if plan is not None:
        renames = renamed(plan, found.engines, world)
        pairs = [replace(pair, renames=renames) for pair in pairs]
    compared = {engine.name for pair in pairs for engine in (pair.first, pair.second)}
    left_out = tuple(engine for engine in found.engines if engine.name not in compared)
    return replace(report(pairs), left_out=left_out, skipped=skipped)


def report(pairs: Iterable[Pair]) -> Report:
    """Every rule over every pair."""
    pairs = tuple(pairs)
    findings: dict[tuple[str, str, str, str], Finding] = {}
    suppressed: dict[tuple[str, str, str, str], Suppressed] = {}
    for pair in pairs:
        for rule in RULES:
            for finding in rule.findings(pair):
                why = reason(finding, (pair.first, pair.second))
                if why is None:
                    findings.setdefault(finding.key, finding)
                else:
                    suppressed.setdefault(finding.key, Suppressed(finding, why))
    return Report(
        compared=tuple(Compared(pair, table(pair)) for pair in pairs),
        findings=tuple(sorted(findings.values(), key=_gravity)),
        suppressed=tuple(suppressed.values()),
    )


def _gravity(finding: Finding) -> tuple[int, bool, str, str, int]:
    place = finding.place
    return (-finding.severity, finding.unknown, finding.rule.id, place.file, place.line)
