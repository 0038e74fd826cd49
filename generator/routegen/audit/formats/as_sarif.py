"""The report as SARIF 2.1.0 (OASIS), for code scanning."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from routegen import __version__
from routegen.audit.facts import Fact
from routegen.audit.findings import Finding, Rule, Severity
from routegen.audit.report import Report
from routegen.audit.rules import RULES

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render(report: Report) -> str:
    """One run with every rule; suppressed findings are results with a ``suppressions`` entry (SARIF, 3.27.23)."""
    results = [_result(finding) for finding in report.findings]
    for one in report.suppressed:
        suppression = {"kind": "inSource", "justification": one.reason}
        results.append({**_result(one.finding), "suppressions": [suppression]})
    tables = [
        {
            "first": compared.pair.first.read,
            "second": compared.pair.second.read,
            "resources": {row.resource: row.state for row in compared.rows},
        }
        for compared in report.compared
    ]
    driver = {"name": "routegen audit", "version": __version__, "rules": [_rule(rule) for rule in RULES]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True}],
        "results": results,
        "properties": {"compared": tables, "skipped": [f"{one.what}: {one.reason}" for one in report.skipped]},
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.docs},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"group": rule.group},
    }


def _result(finding: Finding) -> dict[str, Any]:
    values = "\n".join(f"{fact.place.object}: {fact.shown}" for fact in finding.facts)
    result: dict[str, Any] = {
        "ruleId": finding.rule.id,
        "ruleIndex": RULES.index(finding.rule),
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.message}\n{values}\n{finding.rule.why}\nFix:\n{finding.fix}"},
        "locations": [_location(finding.facts[0])],
        "properties": {"verdict": "cannot tell" if finding.unknown else "unfair"},
    }
    related = [{**_location(fact), "id": index} for index, fact in enumerate(finding.facts[1:], 1)]
    if related:
        result["relatedLocations"] = related
    return result


def _location(fact: Fact) -> dict[str, Any]:
    place = fact.place
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(place.file, safe="/._-~")}}
    if place.line:
        physical["region"] = {"startLine": place.line}
    return {
        "physicalLocation": physical,
        "logicalLocations": [{"fullyQualifiedName": f"{place.object} {place.path}", "kind": "object"}],
        "message": {"text": fact.shown},
    }
