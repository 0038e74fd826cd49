"""The report as GitHub Actions workflow commands, which annotate the changed files."""

from __future__ import annotations

from routegen.audit.findings import Finding, Severity
from routegen.audit.formats.as_text import summary
from routegen.audit.report import Report
from routegen.common.ci import github, github_plain

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(report: Report) -> str:
    """One line a finding, then the table and the summary as plain lines of the log."""
    lines = [_line(finding) for finding in report.findings]
    for compared in report.compared:
        lines.append(github_plain(f"{compared.pair.first.read} and {compared.pair.second.read}:"))
        lines += [github_plain(f"- {row.resource}: {row.state} ({row.why})") for row in compared.rows]
    lines += [github_plain(f"passed over {one.what}: {one.reason}") for one in report.skipped]
    lines += [github_plain(f"suppressed {one.finding.rule.id}: {one.reason}") for one in report.suppressed]
    return "\n".join([*lines, summary(report)]) + "\n"


def _line(finding: Finding) -> str:
    place = finding.place
    properties = {"file": place.file, "title": f"{finding.rule.id} {finding.rule.title}"}
    if place.line:
        properties["line"] = str(place.line)
    values = "\n".join(f"{fact.place}: {fact.shown}" for fact in finding.facts)
    text = f"{finding.message}\n{values}\n{finding.rule.why}\nfix:\n{finding.fix}"
    return github(_COMMANDS[finding.severity], text, **properties)
