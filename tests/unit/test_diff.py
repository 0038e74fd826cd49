"""``routegen diff``: what a change of routes.yaml leads elsewhere, counted, with an example that tells no prompt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from routegen.checks.diff import diff
from routegen.checks.requests import MOST_MADE_UP, made_up
from routegen.cli import cli
from routegen.compile import compile_text
from support.plans import plans

ROOT = Path(__file__).parents[2]
OLD = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: demo}
spec:
  backends:
    vllm: {endpoints: [10.0.0.1:8000], ownedBy: vllm, models: [m, "l-*"], poll: {enabled: false}}
    sglang: {endpoints: [10.0.0.2:8000], ownedBy: sglang, models: [m], poll: {enabled: false}}
  rules:
    - body: inference_server
    - {name: tenants, header: x-tenant, values: {"gold-*": sglang}, onUnknown: next}
    - split: {vllm: 50, sglang: 50}
"""


def run(folder: Path, new: str, *options: str, requests: list[object] | None = None, old: str = OLD) -> Result:
    (folder / "old.yaml").write_text(old)
    (folder / "new.yaml").write_text(new)
    arguments = ["diff", str(folder / "old.yaml"), str(folder / "new.yaml"), *options]
    if requests is not None:
        lines = [line if isinstance(line, str) else json.dumps(line) for line in requests]
        (folder / "requests.jsonl").write_text("\n".join(lines) + "\n")
        arguments += ["--requests", str(folder / "requests.jsonl")]
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def changes(done: Result) -> list[tuple[int, dict[str, float], dict[str, float]]]:
    told = json.loads(done.stdout)
    return [(one["count"], one["old"]["shares"], one["new"]["shares"]) for one in told["changes"]]


def test_the_same_file_differs_in_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, OLD)
    assert done.exit_code == 0
    assert done.stdout.startswith("requests (made up from both files)\n  0 of ")


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*/routes.yaml")), ids=lambda path: path.parent.name)
def test_no_example_differs_from_itself(path: Path) -> None:
    plan = compile_text(path.read_text(), str(path), deployed=False)
    found = diff(plan, plan, made_up([plan, plan]))
    assert found.empty
    assert found.requests > 5


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("vllm: 50", "vllm: 75", "  ~ split: weights"),
        ("onUnknown: next", "onUnknown: reject", "  ~ tenants: on_unknown"),
        ("    - body: inference_server\n", "", "  - body:inference_server"),
        ("    - split", "    - {name: first, prefer: [vllm]}\n    - split", "  + first"),
        ("10.0.0.2:8000", "10.0.0.9:8000", "  ~ sglang: where it is reached"),
        ("models: [m]", "models: [m, n]", "  ~ sglang: models"),
    ],
)
def test_what_came_went_and_changed_is_named(tmp_path: Path, old: str, new: str, line: str) -> None:
    done = run(tmp_path, OLD.replace(old, new))
    assert done.exit_code == 1
    assert line in done.stdout.splitlines()


def test_requests_that_go_elsewhere_are_counted_with_an_example(tmp_path: Path) -> None:
    new = OLD.replace('"gold-*": sglang', '"gold-*": vllm').replace("vllm: 50", "vllm: 150")
    requests: list[object] = [
        {"headers": {"x-tenant": "gold-1"}, "body": {"model": "m", "messages": [{"content": "a secret"}]}},
        {"headers": {"x-tenant": "gold-2", "authorization": "Bearer secret"}, "fields": {"model": "m"}},
        {"fields": {"model": "m"}},
        {"fields": {"model": "m", "inference_server": "vllm"}},
        {"method": "GET", "path": "/v1/models"},
        {"path": "/nowhere"},
    ]
    told = run(tmp_path, new, requests=requests)
    assert told.exit_code == 1
    assert "  3 of 6 are handled otherwise\n" in told.stdout
    assert "      2  sglang, by tenants  ->  vllm, by tenants\n" in told.stdout
    assert 'such as line 1: {"method": "POST", "path": "/v1/chat/completions", "headers": {"x-tenant": "gold-1"}' in (
        told.stdout
    )
    assert "secret" not in told.stdout
    assert changes(run(tmp_path, new, "--format", "json", requests=requests)) == [
        (2, {"sglang": 1.0}, {"vllm": 1.0}),
        (1, {"vllm": 0.5, "sglang": 0.5}, {"vllm": 0.75, "sglang": 0.25}),
    ]


def test_a_rule_of_another_name_is_told_and_counts_as_the_same(tmp_path: Path) -> None:
    done = run(tmp_path, OLD.replace("- split", "- name: evenly\n      split"), requests=[{"fields": {"model": "m"}}])
    assert done.exit_code == 1
    assert "  0 of 1 are handled otherwise\n" in done.stdout
    assert "by split  ->  " in done.stdout


def test_requests_are_made_up_for_conditions_models_and_values_of_both_files(tmp_path: Path) -> None:
    new = OLD.replace(
        "    - split", "    - {when: {header: {x-team: 'search-*'}, model: 'l-*'}, reject: No.}\n    - split"
    )
    done = run(tmp_path, new)
    assert "vllm, by split  ->  refused: no_route, by reject" in done.stdout
    assert '"x-team": "search-x"' in done.stdout


def test_engines_that_are_asked_are_taken_to_serve_what_requests_name(tmp_path: Path) -> None:
    asked = OLD.replace(', models: [m, "l-*"], poll: {enabled: false}', "")
    done = run(tmp_path, asked.replace("vllm: 50", "vllm: 0"), requests=[{"fields": {"model": "x"}}], old=asked)
    assert "  0 of 1 are handled otherwise\n" in done.stdout, "only vllm may serve it"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("nonsense", "requests.jsonl:2: is no request: JSON is malformed"),
        ({"bdy": {}}, "requests.jsonl:2: is no request: Object contains unknown field `bdy`"),
        ({"body": {}, "fields": {}}, "requests.jsonl:2: has body and fields; one of them is enough"),
    ],
)
def test_a_line_that_is_no_request_is_told(tmp_path: Path, line: object, problem: str) -> None:
    done = run(tmp_path, OLD, requests=[{}, line])
    assert (done.exit_code, done.stdout) == (2, "")
    assert problem in done.stderr


def test_what_cannot_be_read_is_exit_2(tmp_path: Path) -> None:
    assert run(tmp_path, OLD.replace("vllm: 50", "gold: 50")).exit_code == 2
    missing = run(tmp_path, OLD, "--requests", str(tmp_path / "none.jsonl"))
    assert missing.exit_code == 2
    assert missing.stderr.startswith(f"routegen: {tmp_path}/none.jsonl: no such file; it holds requests as JSON lines")


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_no_file_differs_from_itself_and_not_too_much_is_made_up(data: st.DataObject) -> None:
    plan = data.draw(plans())
    samples = list(made_up([plan, plan]))
    assert len(samples) <= MOST_MADE_UP
    assert diff(plan, plan, samples[:50]).empty
