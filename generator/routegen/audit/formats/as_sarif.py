"""The report as SARIF 2.1.0 (OASIS), for code scanning."""

from __future__ import annotations

from typing import Any

from routegen.audit.facts import Fact
from routegen.audit.findings import Finding, Rule
from routegen.audit.report import Report
from routegen.audit.rules import RULES
from routegen.common import sarif


def render(report: Report) -> str:
    """One run with every rule; suppressed findings are results with a ``suppressions`` entry (SARIF, 3.27.23)."""
    results = [_result(finding) for finding in report.findings]
    results += [{**_result(one.finding), **sarif.accepted(one.reason)} for one in report.suppressed]
    tables = [
        {
            "first": compared.pair.first.read,
            "second": compared.pair.second.read,
            "resources": {row.resource: row.state for row in compared.rows},
        }
        for compared in report.compared
    ]
    properties = {"compared": tables, "skipped": [f"{one.what}: {one.reason}" for one in report.skipped]}
    return sarif.log("routegen audit", [_rule(rule) for rule in RULES], results, properties)


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.docs},
        "defaultConfiguration": {"level": sarif.LEVELS[rule.severity]},
        "properties": {"group": rule.group},
    }


def _result(finding: Finding) -> dict[str, Any]:
    values = "\n".join(f"{fact.place.object}: {fact.shown}" for fact in finding.facts)
    result: dict[str, Any] = {
        "ruleId": finding.rule.id,
        "ruleIndex": RULES.index(finding.rule),
        "level": sarif.LEVELS[finding.severity],
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
    return {
        "physicalLocation": sarif.place(place.file, place.line),
        "logicalLocations": [{"fullyQualifiedName": f"{place.object} {place.path}", "kind": "object"}],
        "message": {"text": fact.shown},
    }
