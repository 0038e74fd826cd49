"""The report as JUnit XML, in the form that Maven Surefire writes and Jenkins reads."""

from __future__ import annotations

from routegen.audit.findings import Finding, Rule
from routegen.audit.report import Report
from routegen.audit.rules import RULES
from routegen.common.ci import xml_attribute, xml_text


def render(report: Report) -> str:
    """One test case a rule: it fails where it has findings, and is skipped where all of them are suppressed."""
    findings: dict[str, list[Finding]] = {}
    for finding in report.findings:
        findings.setdefault(finding.rule.id, []).append(finding)
    reasons = {one.finding.rule.id: one.reason for one in report.suppressed}
    groups = dict.fromkeys(rule.group for rule in RULES)
    suites = []
    for group in groups:
        rules = [rule for rule in RULES if rule.group == group]
        failures = sum(rule.id in findings for rule in rules)
        skipped = sum(rule.id in reasons and rule.id not in findings for rule in rules)
        cases = "".join(_case(rule, findings.get(rule.id, []), reasons.get(rule.id)) for rule in rules)
        counts = f'tests="{len(rules)}" failures="{failures}" errors="0" skipped="{skipped}" time="0"'
        suites.append(f"  <testsuite name={xml_attribute(group)} {counts}>\n{cases}  </testsuite>\n")

    counts = f'tests="{len(RULES)}" failures="{len(findings)}" errors="0" time="0"'
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="routegen audit" {counts}>\n'
    return head + "".join(suites) + "</testsuites>\n"


def _case(rule: Rule, findings: list[Finding], suppressed: str | None) -> str:
    classname = xml_attribute(f"routegen.audit.{rule.group.replace(' ', '_')}")
    head = f'    <testcase classname={classname} name={xml_attribute(f"{rule.id} {rule.title}")} time="0"'
    if findings:
        worst = max(findings, key=lambda finding: finding.severity)
        message = xml_attribute("; ".join(finding.message for finding in findings))
        body = xml_text("\n\n".join(_description(finding) for finding in findings))
        failure = f"      <failure type={xml_attribute(worst.severity.word)} message={message}>{body}</failure>\n"
        return f"{head}>\n{failure}    </testcase>\n"
    if suppressed is not None:
        return f"{head}>\n      <skipped message={xml_attribute('suppressed: ' + suppressed)}/>\n    </testcase>\n"
    return f"{head}/>\n"


def _description(finding: Finding) -> str:
    places = "\n".join(f"{fact.place.object} {fact.place}: {fact.shown}" for fact in finding.facts)
    return f"{finding.severity.word}: {finding.message}\n{places}\n{finding.rule.why}\nfix:\n{finding.fix}"
