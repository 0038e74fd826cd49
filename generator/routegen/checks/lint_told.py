"""Findings of the lint, as people and CI systems read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from routegen.checks.lint import UNKNOWN, Finding
from routegen.checks.lint_rules import RULES
from routegen.common import sarif
from routegen.common.ci import github, github_plain, xml_attribute, xml_text
from routegen.common.severity import Severity

_COMMANDS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def text(findings: Sequence[Finding]) -> str:
    """Each finding with its place, its reason and what would be right."""
    lines = []
    for finding in findings:
        if finding.reason is not None:
            continue
        where = f"{finding.file}:{finding.line}" + (f" {finding.path}" if finding.path else "")
        lines.append(f"{where}: {finding.rule.severity.word} {finding.rule.id}: {finding.message}")
        lines += [f"    {finding.rule.why}", f"    fix: {finding.fix}"]
    return "\n".join([*lines, summary(findings)]) + "\n"


def summary(findings: Sequence[Finding]) -> str:
    """How many, in a line."""
    left = [finding for finding in findings if finding.reason is None]
    counts = [f"{sum(one.rule.severity is severity for one in left)} {severity.word}" for severity in Severity]
    accepted = len(findings) - len(left)
    told = ", ".join(reversed(counts)) if left else "nothing found"
    return told + (f"; {accepted} accepted with a reason" if accepted else "")


def as_json(findings: Sequence[Finding]) -> str:
    """One JSON object."""
    document = {"schemaVersion": 1, "findings": [_json(finding) for finding in findings]}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def junit(findings: Sequence[Finding]) -> str:
    """JUnit XML, in the form that Maven Surefire writes and Jenkins reads: a case a rule."""
    cases = []
    failed = 0
    for rule in RULES:
        own = [finding for finding in findings if finding.rule is rule and finding.reason is None]
        head = f'    <testcase classname="routegen.lint" name={xml_attribute(f"{rule.id} {rule.title}")} time="0"'
        if not own:
            cases.append(f"{head}/>\n")
            continue
        failed += 1
        message = xml_attribute("; ".join(finding.message for finding in own))
        body = xml_text("\n".join(f"{one.file}:{one.line} {one.path}: {one.message}\nfix: {one.fix}" for one in own))
        failure = f"<failure type={xml_attribute(rule.severity.word)} message={message}>{body}</failure>"
        cases.append(f"{head}>\n      {failure}\n    </testcase>\n")
    counts = f'tests="{len(RULES)}" failures="{failed}" errors="0"'
    suite = f'  <testsuite name="routegen.lint" {counts} skipped="0" time="0">\n{"".join(cases)}  </testsuite>\n'
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="routegen lint" {counts} time="0">\n'
    return head + suite + "</testsuites>\n"


def as_github(findings: Sequence[Finding]) -> str:
    """GitHub Actions workflow commands."""
    lines = [
        github(
            _COMMANDS[finding.rule.severity],
            f"{finding.message}\n{finding.rule.why}\nfix: {finding.fix}",
            file=finding.file,
            title=f"{finding.rule.id} {finding.rule.title}",
            line=str(finding.line),
        )
        for finding in findings
        if finding.reason is None
    ]
    return "\n".join([*lines, github_plain(summary(findings))]) + "\n"


def as_sarif(findings: Sequence[Finding]) -> str:
    """SARIF 2.1.0, for code scanning; accepted findings are suppressed results."""
    rules = [UNKNOWN, *RULES]
    told = [
        {
            "id": rule.id,
            "shortDescription": {"text": rule.title},
            "fullDescription": {"text": rule.why},
            "defaultConfiguration": {"level": sarif.LEVELS[rule.severity]},
        }
        for rule in rules
    ]
    results = [
        {
            "ruleId": finding.rule.id,
            "ruleIndex": rules.index(finding.rule),
            "level": sarif.LEVELS[finding.rule.severity],
            "message": {"text": f"{finding.message}\n{finding.rule.why}\nFix: {finding.fix}"},
            "locations": [{"physicalLocation": sarif.place(finding.file, finding.line)}],
            **(sarif.accepted(finding.reason) if finding.reason is not None else {}),
        }
        for finding in findings
    ]
    return sarif.log("routegen lint", told, results, {})


FORMATS: Final[Mapping[str, Callable[[Sequence[Finding]], str]]] = {
    "text": text,
    "json": as_json,
    "sarif": as_sarif,
    "junit": junit,
    "github": as_github,
}
"""What ``-o`` takes."""


def _json(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule.id,
        "title": finding.rule.title,
        "severity": finding.rule.severity.word,
        "file": finding.file,
        "line": finding.line,
        "path": finding.path,
        "message": finding.message,
        "why": finding.rule.why,
        "fix": finding.fix,
        "accepted": finding.reason,
    }
