"""Each format against its schema, for every case: clean, findings, what can't be told, suppressed."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import xmlschema

from routegen.audit.findings import Severity
from routegen.audit.formats import FORMATS
from routegen.audit.reading import parse_manifests, read_manifests
from routegen.audit.report import Report, audit
from routegen.audit.rules import RULES

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
FILES = sorted([*(HERE / "cases").glob("*/*.yaml"), HERE / "guide"])


@cache
def _report(file: Path) -> Report:
    return audit(read_manifests([str(file)]))


def _schema(file: Path) -> Any:
    schema = json.loads(file.read_text(encoding="utf-8"))
    checker = jsonschema.validators.validator_for(schema)
    checker.check_schema(schema)
    return checker(schema, format_checker=checker.FORMAT_CHECKER)


def test_every_report_is_valid_sarif() -> None:
    validator = _schema(HERE / "schemas" / "sarif.json")
    for file in FILES:
        log = json.loads(FORMATS["sarif"](_report(file)))
        if file.name != "guide":
            del log["runs"][0]["tool"]["driver"]["rules"]  # the same in all: looking at them once is enough
        validator.validate(log)


def test_every_report_is_valid_json_by_its_documented_schema() -> None:
    validator = _schema(DOCS / "audit-report.schema.json")
    for file in FILES:
        validator.validate(json.loads(FORMATS["json"](_report(file))))


def test_every_report_is_valid_junit() -> None:
    schema = xmlschema.XMLSchema10(HERE / "schemas" / "junit.xsd")
    for file in FILES:
        schema.validate(FORMATS["junit"](_report(file)))


def test_the_schemas_refuse_what_is_no_report() -> None:
    report = json.loads(FORMATS["json"](_report(HERE / "guide")))
    report["findings"][0]["severity"] = "catastrophe"
    assert not _schema(DOCS / "audit-report.schema.json").is_valid(report)
    sarif = json.loads(FORMATS["sarif"](_report(HERE / "guide")))
    del sarif["runs"][0]["results"][0]["message"]
    assert not _schema(HERE / "schemas" / "sarif.json").is_valid(sarif)
    junit = FORMATS["junit"](_report(HERE / "guide")).replace("<testcase", "<testcass")
    assert not xmlschema.XMLSchema10(HERE / "schemas" / "junit.xsd").is_valid(junit.replace("</testcase", "</testcass"))


def test_sarif_rules_are_found_by_their_index() -> None:
    run = json.loads(FORMATS["sarif"](_report(HERE / "guide")))["runs"][0]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_suppressed_finding_is_in_every_format_with_its_reason() -> None:
    report = _report(HERE / "cases" / "FAIR099" / "near-miss.yaml")
    assert not report.findings
    for name, render in FORMATS.items():
        text = render(report)
        assert "FAIR068" in text, name
        assert "the log is what we measure" in text, name


def test_junit_counts_what_it_lists() -> None:
    root = ET.fromstring(FORMATS["junit"](_report(HERE / "guide")))
    assert int(root.attrib["tests"]) == len(root.findall("*/testcase")) == len(RULES)
    assert int(root.attrib["failures"]) == len(root.findall("*/testcase/failure"))
    for suite in root:
        assert int(suite.attrib["failures"]) == len(suite.findall("testcase/failure"))


def test_github_lines_are_one_a_finding_and_escape_what_would_end_them() -> None:
    lines = [line for line in FORMATS["github"](_report(HERE / "guide")).splitlines() if line.startswith("::")]
    report = _report(HERE / "guide")
    assert len(lines) == len(report.findings)
    assert lines[0].startswith("::error file=")
    assert ",title=FAIR096 " in lines[0]
    assert ",line=8::" in lines[0]
    commands = [line.split(" ", 1)[0] for line in lines]
    assert commands.count("::notice") == report.count(Severity.INFO)
    assert all("%0A" in line for line in lines)


@pytest.mark.parametrize("format_", sorted(FORMATS))
def test_hostile_text_stays_text_in_every_format(format_: str) -> None:
    text = """
apiVersion: v1
kind: Pod
metadata:
  name: "a]]><b>\\u0007\\n::error::x"
  annotations: {ignore.routegen/FAIR071: "]]> \\u0001 <x/> % \\r\\n::error::"}
spec: {containers: [{name: e, image: "vllm/vllm-openai:<&>", args: ["--model=</testcase>::%0A", "--dtype=\\u0000"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b}
spec: {containers: [{name: e, image: "vllm/vllm-openai:v0.11.0", args: ["--model=x"]}]}
"""
    manifests, problems = parse_manifests(text, "a b%,:.yaml")
    assert not problems
    output = FORMATS[format_](audit(manifests))
    if format_ == "junit":
        xmlschema.XMLSchema10(HERE / "schemas" / "junit.xsd").validate(output)
    elif format_ in {"json", "sarif"}:
        json.loads(output)
    elif format_ == "github":
        commands = [line for line in output.splitlines() if line.startswith("::")]
        assert all(line.startswith(("::error file=", "::warning file=", "::notice file=")) for line in commands)


def test_equal_input_gives_equal_bytes() -> None:
    for render in FORMATS.values():
        one, two = (render(audit(read_manifests([str(HERE / "guide")]))) for _ in range(2))
        assert one == two
