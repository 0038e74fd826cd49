"""The report for programs; docs/audit-report.schema.json describes it."""

from __future__ import annotations

import json
from typing import Any

from routegen.audit.engine import Engine
from routegen.audit.facts import Place
from routegen.audit.findings import Finding, Severity
from routegen.audit.report import Compared, Report

SCHEMA_VERSION = 1
"""Raised when a field changes its meaning or goes away; new fields don't raise it."""


def render(report: Report) -> str:
    """One JSON object, indented."""
    document = {
        "schemaVersion": SCHEMA_VERSION,
        "compared": [_compared(compared) for compared in report.compared],
        "notCompared": [_engine(engine) for engine in report.left_out],
        "skipped": [{**_place(one.place), "object": one.what, "reason": one.reason} for one in report.skipped],
        "findings": [_finding(finding) for finding in report.findings],
        "suppressed": [{**_finding(one.finding), "reason": one.reason} for one in report.suppressed],
        "summary": {
            **{severity.word: report.count(severity) for severity in sorted(Severity, reverse=True)},
            "cannotTell": sum(finding.unknown for finding in report.findings),
            "suppressed": len(report.suppressed),
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _compared(compared: Compared) -> dict[str, Any]:
    return {
        "first": _engine(compared.pair.first),
        "second": _engine(compared.pair.second),
        "resources": [{"resource": row.resource, "state": row.state, "why": row.why} for row in compared.rows],
    }


def _engine(engine: Engine) -> dict[str, Any]:
    return {
        "name": engine.name,
        "object": engine.manifest.title,
        "engine": engine.line.kind.name if engine.line.kind else None,
        "version": ".".join(map(str, engine.version)) if engine.version else None,
        "image": engine.get("image") if isinstance(engine.get("image"), str) else None,
        "file": (place := engine.manifest.written.place("kind")).file,
        "line": place.line or None,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule.id,
        "title": finding.rule.title,
        "severity": finding.severity.word,
        "verdict": "cannot tell" if finding.unknown else "unfair",
        "message": finding.message,
        "why": finding.rule.why,
        "evidence": [{**_place(fact.place), "value": fact.shown} for fact in finding.facts],
        "fix": finding.fix,
    }


def _place(place: Place) -> dict[str, Any]:
    return {"object": place.object, "file": place.file, "line": place.line or None, "path": place.path}
