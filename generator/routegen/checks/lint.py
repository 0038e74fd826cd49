"""Lints a routes.yaml: what is legal and almost surely not meant, by line, unless accepted with a reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from routegen.checks.hits import LintRule, Routes
from routegen.checks.lint_rules import RULES
from routegen.common.positions import read_documents, render_path
from routegen.common.severity import Severity
from routegen.explain.report import checked_config
from routegen.plan import Plan

_COMMENT: Final = re.compile(r"#\s*lint:\s*ignore\s+(?P<id>\w+)(?:\s*:\s*(?P<reason>\S.*))?\s*$")
"""``# lint: ignore LINT015: the canary is not there yet``, on the line of a finding or on the one above."""
UNKNOWN: Final = LintRule(
    "LINT000",
    "A suppression that does nothing",
    Severity.WARNING,
    "A comment that silences nothing misleads.",
    lambda _: (),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is hardly meant."""

    rule: LintRule
    file: str
    line: int
    path: str
    message: str
    fix: str
    reason: str | None = None
    """Why it is accepted; ``None``: it isn't."""


@dataclass(frozen=True, slots=True)
class _Ignore:
    line: int
    id: str
    reason: str | None


def lint(text: str, file: str, plan: Plan) -> tuple[Finding, ...]:
    """All findings in the order of the file, accepted ones too.

    :param text: of a routes.yaml that compiles to ``plan``.
    """
    (document, *_), _ = read_documents(text, file, leading_zeros=False)
    routes = Routes(plan, checked_config(plan))
    ignores = list(_ignores(text))
    used: set[_Ignore] = set()
    findings = []
    for rule in RULES:
        for hit in rule.check(routes):
            line = document.line(hit.path)
            ignore = next((one for one in ignores if one.id == rule.id and line in {one.line, one.line + 1}), None)
            if ignore is not None:
                used.add(ignore)
            reason = ignore.reason if ignore is not None else None
            findings.append(Finding(rule, file, line, render_path(hit.path), hit.message, hit.fix, reason))
    for ignore in ignores:
        if ignore.reason is None:
            message, fix = f"{ignore.id} is ignored without a reason", f"write # lint: ignore {ignore.id}: WHY"
            findings.append(Finding(UNKNOWN, file, ignore.line, "", message, fix))
        elif ignore not in used:
            message, fix = f"nothing here is found by {ignore.id}", "remove the comment"
            findings.append(Finding(UNKNOWN, file, ignore.line, "", message, fix))
    return tuple(sorted(findings, key=lambda finding: (finding.line, finding.rule.id, finding.path, finding.message)))


def _ignores(text: str) -> Iterator[_Ignore]:
    for number, line in enumerate(text.splitlines(), 1):
        found = _COMMENT.search(line)
        if found is not None:
            yield _Ignore(number, found["id"].upper(), found["reason"])
