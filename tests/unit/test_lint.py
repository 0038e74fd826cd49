"""``routegen lint``: each rule fires where it should and not beside it; findings have lines, in every format."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import xmlschema
from click.testing import CliRunner, Result

from routegen.checks.lint import Finding, lint
from routegen.checks.lint_rules import RULES
from routegen.cli import cli
from routegen.compile import compile_text

ROOT = Path(__file__).parents[2]
HEAD = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: demo}
spec:
"""
KNOWN = """\
  models: {poll: {enabled: false}}
  backends:
    a: {endpoints: [10.0.0.1:80], ownedBy: vllm, models: [m, only-a]}
    b: {endpoints: [10.0.0.2:80], ownedBy: sglang, models: [m]}
"""
ASKED = """\
  backends:
    a: {endpoints: [10.0.0.1:80], ownedBy: vllm}
    b: {endpoints: [10.0.0.2:80], ownedBy: sglang}
"""
EVEN = "- split: {a: 1, b: 1}"
CASES = [
    # rule, what it finds, what is nearly the same and right
    ("LINT001", ["- prefer: [a]", "- {name: again, prefer: [a]}", EVEN], ["- prefer: [a]", "- prefer: [b]", EVEN]),
    (
        "LINT001",
        ["- {when: {model: m}, prefer: [a]}", "- {when: {model: m}, prefer: [a]}", EVEN],
        ["- {when: {model: m}, prefer: [a]}", "- {when: {model: only-a}, prefer: [a]}", EVEN],
    ),
    (
        "LINT002",
        ["- {body: t, values: {x: a}}", "- {body: t, values: {y: b}}", EVEN],
        ["- {body: t, values: {x: a}, onUnknown: next}", "- {body: t, values: {y: b}}", EVEN],
    ),
    (
        "LINT002",
        ["- header: x-t", "- {when: {model: m}, header: x-t, onMismatch: next}", EVEN],
        ["- {when: {model: m}, header: x-t}", "- header: x-t", EVEN],
    ),
    (
        "LINT003",
        ['- {body: t, values: {"v*": a, v1: b}}', EVEN],
        ['- {body: t, values: {v1: b, "v*": a}}', EVEN],
    ),
    (
        "LINT004",
        ['- {body: t, values: {x: a, "*": b}, onUnknown: next}', EVEN],
        ['- {body: t, values: {x: a, "x*": b}, onUnknown: next}', EVEN],
    ),
    ("LINT005", ["- body: model", EVEN], ["- {body: model, values: {m: a}, onUnknown: next}", EVEN]),
    ("LINT006", ["- header: Host", EVEN], ["- header: x-host", EVEN]),
    (
        "LINT006",
        ["- {when: {header: {connection: close}}, prefer: [a]}", EVEN],
        ["- {when: {header: {x-connection: close}}, prefer: [a]}", EVEN],
    ),
    (
        "LINT007",
        ['- {when: {body: {stream: "True"}}, prefer: [a]}', EVEN],
        ["- {when: {body: {stream: true}}, prefer: [a]}", EVEN],
    ),
    (
        "LINT008",
        ['- {when: {header: {x-t: "gold "}}, prefer: [a]}', EVEN],
        ['- {when: {header: {x-t: "gold *x"}}, prefer: [a]}', EVEN],
    ),
    (
        "LINT009",
        ['- {when: {header: {x-t: "*"}}, prefer: [a]}', EVEN],
        ["- {when: {header: {x-t: {present: true}}}, prefer: [a]}", EVEN],
    ),
    (
        "LINT010",
        ['- {when: {path: "/*"}, prefer: [a]}', EVEN],
        ["- {when: {path: /v1/chat/*}, prefer: [a]}", EVEN],
    ),
    ("LINT011", ["- {when: {model: gpt-5}, prefer: [a]}", EVEN], ['- {when: {model: "o*"}, prefer: [a]}', EVEN]),
    (
        "LINT012",
        ["- {when: {model: only-a}, prefer: [b]}", EVEN],
        ["- {when: {model: only-a}, prefer: [a, b]}", EVEN],
    ),
    ("LINT013", ["- body: inference_server"], ["- body: inference_server", "- reject: Name one."]),
    (
        "LINT013",
        ["- body: x", "- {when: {path: /v1/completions}, split: {a: 1, b: 1}}"],
        ["- body: x", "- split: {a: 1}"],
    ),
    ("LINT014", ["- body: inference_server"], ["- body: inference_server", "- reject: Name one."]),
    ("LINT015", ["- split: {a: 1, b: 0}", "- split: {b: 1}"], ["- split: {a: 1, b: 0.1}"]),
    (
        "LINT016",
        ["- {split: {a: 1}, stickyBy: {header: x-s}}", "- split: {b: 1}"],
        ["- {split: {a: 1, b: 1}, stickyBy: {header: x-s}}"],
    ),
    ("LINT017", ["- prefer: [vllm, b]", EVEN], ["- prefer: [vllm]", EVEN]),
    ("LINT018", ["- split: {a: 1}"], ["- body: inference_server", "- split: {a: 1}"]),
    (
        "LINT018",
        ["- {header: x-t, values: {x: a}}", "- split: {a: 1}"],
        ["- {header: x-t, values: {x: b}}", "- split: {a: 1}"],
    ),
    (
        "LINT019",
        ["- {when: {model: m}, split: {a: 1, b: 1}}", "- {when: {model: m}, prefer: [a]}", EVEN],
        ["- {when: {model: m}, split: {a: 1, b: 1}}", "- {when: {path: /v1/completions}, prefer: [a]}", EVEN],
    ),
    (
        "LINT019",
        ["- {when: {header: {x-t: x}}, reject: No.}", "- {when: {header: {x-t: x}, model: m}, prefer: [a]}", EVEN],
        ["- {when: {header: {x-t: x}, model: m}, reject: No.}", "- {when: {header: {x-t: x}}, prefer: [a]}", EVEN],
    ),
    (
        "LINT020",
        ["- {when: {model: m, body: {model: only-a}}, prefer: [a]}", EVEN],
        ['- {when: {model: m, body: {model: "m*"}}, prefer: [a]}', EVEN],
    ),
    (
        "LINT021",
        [f"{EVEN}\n  failover: {{enabled: false, statuses: [429]}}"],
        [f"{EVEN}\n  failover: {{enabled: true, statuses: [429], reset: true}}"],
    ),
    (
        "LINT021",
        [f"{EVEN}\n  failover: {{enabled: false, reset: true}}"],
        [f"{EVEN}\n  failover: {{enabled: false, statuses: [], reset: false}}"],
    ),
]


def found(rules: list[str], backends: str = KNOWN) -> list[str]:
    return [finding.rule.id for finding in findings(rules, backends)]


def findings(rules: list[str], backends: str = KNOWN) -> tuple[Finding, ...]:
    text = HEAD + backends + "  rules:\n" + "".join(f"    {rule}\n" for rule in rules)
    return lint(text, "routes.yaml", compile_text(text, "routes.yaml", deployed=False))


@pytest.mark.parametrize(("rule", "wrong", "right"), CASES)
def test_it_fires_and_its_near_miss_does_not(rule: str, wrong: list[str], right: list[str]) -> None:
    assert rule in found(wrong)
    assert rule not in found(right)


def test_every_rule_has_a_case_and_a_place_in_the_docs() -> None:
    ids = [rule.id for rule in RULES]
    assert {rule for rule, _, _ in CASES} == set(ids)
    assert len(CASES) >= 25
    page = (ROOT / "docs" / "lint.md").read_text()
    assert re.findall(r"^\| `(LINT\d+)` \|", page, re.MULTILINE) == ["LINT000", *ids]
    for rule in RULES:
        assert f"| `{rule.id}` | {rule.severity.word} | {rule.title} | {rule.why} |" in page


@pytest.mark.parametrize("rule", ["LINT011", "LINT012", "LINT013", "LINT018"])
def test_what_engines_may_still_tell_is_not_guessed_at(rule: str) -> None:
    for id_, wrong, _ in CASES:
        if id_ == rule:
            assert rule not in found(wrong, ASKED)


@pytest.mark.parametrize(("name", "hit"), [("a", True), ("vllm", False)])
def test_sticky_to_one_backend_is_found_whatever_engines_tell_but_an_owner_may_get_more(
    name: str, *, hit: bool
) -> None:
    assert ("LINT016" in found([f"- {{split: {{{name}: 1}}, stickyBy: {{header: x-s}}}}", EVEN], ASKED)) == hit


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*/routes.yaml")), ids=lambda path: path.parent.name)
def test_nothing_is_found_in_the_examples(path: Path) -> None:
    text = path.read_text()
    assert lint(text, str(path), compile_text(text, str(path), deployed=False)) == ()


def run(folder: Path, rules: list[str], *options: str) -> Result:
    file = folder / "routes.yaml"
    file.write_text(HEAD + KNOWN + "  rules:\n" + "".join(f"    {rule}\n" for rule in rules))
    return CliRunner().invoke(cli, ["lint", "-f", str(file), *options], catch_exceptions=False)


NAME = "the name of an engine"
TWO = ["- {body: model}", "- split: {a: 1, b: 0}", "- split: {b: 1}"]


def test_a_finding_has_its_line_its_reason_and_its_fix(tmp_path: Path) -> None:
    done = run(tmp_path, TWO)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[:3] == [
        f'{tmp_path}/routes.yaml:10 $.spec.rules[0]: warning LINT005: takes the value of "model" for {NAME}',
        "    A model's id names no engine; which engines serve it is known without a rule.",
        "    fix: remove the rule, or give it a table: values: {MODEL: NAME}",
    ]
    assert f"{tmp_path}/routes.yaml:11 $.spec.rules[1].split.b: info LINT015" in done.stdout
    assert done.stdout.splitlines()[-1] == "0 error, 1 warning, 1 info"


def test_each_setting_without_effect_is_found_where_it_stands() -> None:
    rules = [f"{EVEN}\n  failover:\n    enabled: false\n    statuses: [429]\n    reset: true"]
    off = [finding for finding in findings(rules) if finding.rule.id == "LINT021"]
    assert [(one.line, one.path) for one in off] == [(13, "$.spec.failover.statuses"), (14, "$.spec.failover.reset")]


@pytest.mark.parametrize(("grade", "code"), [("info", 1), ("warning", 1), ("error", 0), ("never", 0)])
def test_what_fails_is_for_the_caller_to_say(tmp_path: Path, grade: str, code: int) -> None:
    assert run(tmp_path, TWO, "--fail-on", grade).exit_code == code


@pytest.mark.parametrize("line", [0, 1])
def test_a_finding_is_accepted_with_a_reason_on_its_line_or_above(tmp_path: Path, line: int) -> None:
    rules = ["- split: {b: 0, a: 1}", "- split: {b: 1}"]
    comment = "# lint: ignore LINT015: b comes on Monday"
    rules = [f"{rules[0]} {comment}", rules[1]] if line else [comment, *rules]
    done = run(tmp_path, rules, "--fail-on", "info")
    assert (done.exit_code, done.stdout) == (0, "nothing found; 1 accepted with a reason\n")
    told = json.loads(run(tmp_path, rules, "-o", "json").stdout)
    assert [finding["accepted"] for finding in told["findings"]] == ["b comes on Monday"]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (["- split: {b: 0, a: 1} # lint: ignore LINT015", "- split: {b: 1}"], "LINT015 is ignored without a reason"),
        ([f"{EVEN} # lint: ignore LINT015: why"], "nothing here is found by LINT015"),
    ],
)
def test_a_suppression_that_does_nothing_is_found(tmp_path: Path, rules: list[str], message: str) -> None:
    done = run(tmp_path, rules)
    assert done.exit_code == 1
    assert f"routes.yaml:10: warning LINT000: {message}" in done.stdout


def test_every_format_tells_the_same(tmp_path: Path) -> None:
    told = json.loads(run(tmp_path, TWO, "-o", "json").stdout)
    assert [(one["rule"], one["line"]) for one in told["findings"]] == [("LINT005", 10), ("LINT015", 11)]
    junit = run(tmp_path, TWO, "-o", "junit").stdout
    xmlschema.XMLSchema10(ROOT / "tests/audit/schemas/junit.xsd").validate(junit)
    assert f'tests="{len(RULES)}" failures="2"' in junit
    log = json.loads(run(tmp_path, TWO, "-o", "sarif").stdout)
    jsonschema.validate(log, json.loads((ROOT / "tests/audit/schemas/sarif.json").read_text()))
    assert [result["ruleId"] for result in log["runs"][0]["results"]] == ["LINT005", "LINT015"]
    github = run(tmp_path, TWO, "-o", "github").stdout.splitlines()
    assert [line.split("::")[1].split(" ")[0] for line in github[:-1]] == ["warning", "notice"]
    assert github[0].startswith(f"::warning file={tmp_path}/routes.yaml,title=LINT005 The model read as")


def test_a_file_that_is_wrong_is_exit_2(tmp_path: Path) -> None:
    done = run(tmp_path, ["- split: {gold: 1}"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert 'unknown name "gold"' in done.stderr
