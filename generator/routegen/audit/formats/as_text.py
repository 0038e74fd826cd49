"""The report for people."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Sequence

from routegen.audit.findings import Finding, Severity
from routegen.audit.report import Compared, Report

_WIDTH = 100


def render(report: Report) -> str:
    """The table, the findings, what is suppressed, and a summary."""
    parts = [_compared(compared) for compared in report.compared]
    for _, group in itertools.groupby(report.findings, lambda one: (one.rule.id, one.severity, one.unknown)):
        parts.append("\n".join(_lines(tuple(group))))
    if report.suppressed:
        lines = [
            f"  {one.finding.rule.id} {one.finding.message}\n    reason: {one.reason}" for one in report.suppressed
        ]
        parts.append("Suppressed:\n" + "\n".join(lines))
    if report.left_out:
        parts.append("Not compared: " + ", ".join(engine.title for engine in report.left_out))
    if report.skipped:
        over = [f"  {one.what}: {one.reason}" for one in report.skipped]
        parts.append("Passed over:\n" + "\n".join(over))
    parts.append(summary(report))
    return "\n\n".join(parts) + "\n"


def summary(report: Report) -> str:
    """The last line."""
    if not report.findings:
        ending = f", {len(report.suppressed)} suppressed" if report.suppressed else ""
        return f"No findings{ending}."
    counts = [_plural(report.count(severity), severity) for severity in sorted(Severity, reverse=True)]
    unknown = sum(finding.unknown for finding in report.findings)
    text = ", ".join(count for count in counts if count)
    text += f" ({unknown} because the input doesn't tell)" if unknown else ""
    return text + (f"; {len(report.suppressed)} suppressed" if report.suppressed else "") + "."


def _plural(count: int, severity: Severity) -> str:
    if not count:
        return ""
    return f"{count} {severity.word}{'s' if count > 1 and severity is not Severity.INFO else ''}"


def _compared(compared: Compared) -> str:
    pair = compared.pair
    lines = [pair.first.read, pair.second.read, ""]
    width = max(len(row.state) for row in compared.rows)
    for row in compared.rows:
        head = f"  {row.resource:<13}  {row.state:<{width}}  "
        lines += textwrap.wrap(row.why, _WIDTH, initial_indent=head, subsequent_indent=" " * len(head))
    return "\n".join(lines)


def _lines(findings: Sequence[Finding]) -> Iterator[str]:
    """The findings of one rule: what is common to them is said once."""
    first = findings[0]
    for finding in findings:
        sign = f"{first.severity.word.upper()} {first.rule.id} "
        yield from textwrap.wrap(sign + finding.message, _WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    yield from dict.fromkeys(f"  {fact.place}: {fact.shown}" for finding in findings for fact in finding.facts)
    yield from textwrap.wrap(first.rule.why, _WIDTH, initial_indent="  why: ", subsequent_indent="       ")
    yield "  fix:"
    fixes = dict.fromkeys(finding.fix for finding in findings)
    yield textwrap.indent("\n---\n".join(fixes), "    ")  # each may set the same keys
