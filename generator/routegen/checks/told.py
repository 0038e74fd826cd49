"""Results of cases, as people and CI systems read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from routegen.checks.run import Result
from routegen.common.ci import github, github_plain, xml_attribute, xml_text
from routegen.explain.text import as_text


def text(results: Sequence[Result]) -> str:
    """A line a case; for one that failed what differs, and how the decision came about."""
    return "\n".join([*_lines(results), _summary(results)]) + "\n"


def as_json(results: Sequence[Result]) -> str:
    """One JSON object: the cases and a summary."""
    cases = [
        {
            "name": result.name,
            "file": result.file,
            "line": result.line,
            "passed": result.passed,
            "differences": result.differences,
            "backend": result.report.backend,
            "rule": result.report.rule,
            "code": result.report.code,
            "shares": result.report.shares,
        }
        for result in results
    ]
    failed = sum(not result.passed for result in results)
    document = {"schemaVersion": 1, "cases": cases, "summary": {"cases": len(results), "failed": failed}}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def junit(results: Sequence[Result]) -> str:
    """JUnit XML, in the form that Maven Surefire writes and Jenkins reads: a suite a file."""
    suites = []
    for file in dict.fromkeys(result.file for result in results):
        own = [result for result in results if result.file == file]
        failures = sum(not result.passed for result in own)
        counts = f'tests="{len(own)}" failures="{failures}" errors="0" skipped="0" time="0"'
        cases = "".join(_junit_case(result) for result in own)
        suites.append(f"  <testsuite name={xml_attribute(file)} {counts}>\n{cases}  </testsuite>\n")
    failures = sum(not result.passed for result in results)
    counts = f'tests="{len(results)}" failures="{failures}" errors="0" time="0"'
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="routegen test" {counts}>\n'
    return head + "".join(suites) + "</testsuites>\n"


def as_github(results: Sequence[Result]) -> str:
    """GitHub Actions workflow commands: an error at the line of each case that failed."""
    lines = [
        github(
            "error",
            "\n".join([*result.differences, "", as_text(result.report)]),
            file=result.file,
            title=f"case: {result.name}",
            line=str(result.line),
        )
        for result in results
        if not result.passed
    ]
    return "\n".join([*lines, github_plain(_summary(results))]) + "\n"


FORMATS: Final[Mapping[str, Callable[[Sequence[Result]], str]]] = {
    "text": text,
    "json": as_json,
    "junit": junit,
    "github": as_github,
}
"""What ``-o`` takes."""


def _lines(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        if result.passed:
            yield f"ok    {result.name}"
            continue
        yield f"FAIL  {result.file}:{result.line} {result.name}"
        yield from (f"      {difference}" for difference in result.differences)
        yield from (f"        {line}".rstrip() for line in as_text(result.report).splitlines())


def _summary(results: Sequence[Result]) -> str:
    failed = sum(not result.passed for result in results)
    cases = f"{len(results)} case{'' if len(results) == 1 else 's'}"
    return f"{cases}, {failed} failed" if failed else f"{cases}, all passed"


def _junit_case(result: Result) -> str:
    classname = xml_attribute("routegen.test")
    head = f'    <testcase classname={classname} name={xml_attribute(result.name)} time="0"'
    if result.passed:
        return f"{head}/>\n"
    message = xml_attribute("; ".join(result.differences))
    body = xml_text(f"{result.file}:{result.line}\n{as_text(result.report)}")
    return f'{head}>\n      <failure type="difference" message={message}>{body}</failure>\n    </testcase>\n'
