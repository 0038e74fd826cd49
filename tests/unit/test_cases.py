"""``routegen test``: cases pass and fail for the right reason, in every format; mistakes in their file have lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import xmlschema
from click.testing import CliRunner, Result

from routegen.cli import cli

ROOT = Path(__file__).parents[2]
ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: demo}
spec:
  backends:
    vllm: {endpoints: [10.0.0.1:8000], ownedBy: vllm}
    sglang: {endpoints: [10.0.0.2:8000], ownedBy: sglang}
    fixed: {endpoints: [10.0.0.3:8000], models: [f], poll: {enabled: false}}
  rules:
    - body: inference_server
    - split: {vllm: 3, sglang: 1}
"""
HEAD = """\
apiVersion: routegen/v1alpha1
kind: RouteCases
engines:
  vllm: {models: [m]}
  sglang: {models: [m, s]}
cases:
"""


def check(folder: Path, cases: str, *options: str) -> Result:
    """Run cases, which begin on line 7."""
    (folder / "routes.yaml").write_text(ROUTES)
    (folder / "routes.cases.yaml").write_text(HEAD + cases)
    return CliRunner().invoke(cli, ["test", "-f", str(folder / "routes.yaml"), *options], catch_exceptions=False)


def case(expect: str, request: str = "{body: {model: m}}", more: str = "") -> str:
    return f"  - {{name: one, request: {request}, expect: {expect}{more}}}\n"


@pytest.mark.parametrize(
    ("text", "difference"),
    [
        (case("{shares: {vllm: 75, sglang: 25}, rule: split}"), None),
        (case("{shares: {vllm: 74.5, sglang: 25.5}}"), None),
        (case("{shares: {vllm: 50, sglang: 50}}"), "the shares are vllm 75 %, sglang 25 %, not vllm 50 %, sglang 50 %"),
        (case("{shares: {vllm: 74.5, sglang: 25.5}, within: 0.001}"), "(within 0.1 %)"),
        (case("{shares: {vllm: 1}}", "{body: {model: x}}"), "goes to no engine (model_not_found), not to any of vllm"),
        (case("{backend: vllm}"), "the choice is random (vllm 75 %, sglang 25 %), not always vllm"),
        (case("{backend: vllm}", more=", down: [sglang]"), None),
        (case("{backend: sglang}", "{body: {model: s}}"), None),
        (case("{backend: vllm}", "{body: {model: s}}"), "goes to sglang, not to vllm"),
        (case("{shares: {sglang: 1}}", "{body: {model: s}}"), None),
        (
            case("{rule: split}", "{body: {model: m, inference_server: vllm}}"),
            "decided by body:inference_server, not by",
        ),
        (case("{code: no_route}", "{body: {model: s}}"), "not refused, but goes to sglang, not refused with no_route"),
        (case("{code: no_route}", "{bodyText: '[]'}"), "refused with invalid_request_body, not refused with no_route"),
        (case("{code: invalid_json, status: 400}", "{bodyText: '{'}"), None),
        (case("{status: 200}", "{method: GET, path: /v1/models}"), None),
        (case("{status: 200}", "{body: {model: s}}"), "the gateway answers nothing of its own, not 200"),
        (case("{backend: fixed}", "{body: {model: f}}"), None),
        (case("{backend: vllm}", "{headers: {X-A: b}, body: {inference_server: vllm, n: null}}"), None),
    ],
)
def test_what_happens_is_compared_with_what_is_expected(tmp_path: Path, text: str, difference: str | None) -> None:
    done = check(tmp_path, text)
    assert done.exit_code == (0 if difference is None else 1), done.output
    if difference is None:
        assert done.stdout == "ok    one\n1 case, all passed\n"
    else:
        assert f"FAIL  {tmp_path}/routes.cases.yaml:7 one\n" in done.stdout
        assert difference in done.stdout
        assert done.stdout.endswith("1 case, 1 failed\n")


def test_an_engine_that_has_told_nothing_yet_is_not_guessed_at(tmp_path: Path) -> None:
    text = case("{code: registry_incomplete, status: 503}", "{body: {model: new}}")
    done = check(tmp_path, text)
    assert done.exit_code == 1
    (tmp_path / "other.yaml").write_text((HEAD + text).replace("  sglang: {models: [m, s]}\n", ""))
    command = ["test", "-f", str(tmp_path / "routes.yaml"), str(tmp_path / "other.yaml")]
    assert CliRunner().invoke(cli, command).exit_code == 0


def test_a_failure_shows_how_the_decision_came_about(tmp_path: Path) -> None:
    done = check(tmp_path, case("{backend: vllm}", "{body: {model: s}}"))
    assert "rules\n          model                  started  these serve" in done.stdout.replace(
        "        rules", "rules"
    )


def test_a_body_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text('{"model": "s"}')
    assert check(tmp_path, case("{backend: sglang}", "{bodyFile: body.json}")).exit_code == 0
    missing = check(tmp_path, case("{backend: sglang}", "{bodyFile: none.json}"))
    assert missing.exit_code == 2
    assert "routes.cases.yaml:7 $.cases[0].request.bodyFile: can't be read" in missing.stderr


BOTH = case("{backend: sglang}", "{body: {model: s}}") + case("{code: 'a<b'}", "{body: {model: s}}").replace(
    "one", "two"
)


def test_every_format_tells_the_same(tmp_path: Path) -> None:
    told = json.loads(check(tmp_path, BOTH, "-o", "json").stdout)
    assert told["summary"] == {"cases": 2, "failed": 1}
    assert [one["passed"] for one in told["cases"]] == [True, False]
    junit = check(tmp_path, BOTH, "-o", "junit")
    assert junit.exit_code == 1
    xmlschema.XMLSchema10(ROOT / "tests/audit/schemas/junit.xsd").validate(junit.stdout)
    assert 'tests="2" failures="1"' in junit.stdout
    github = check(tmp_path, BOTH, "-o", "github").stdout.splitlines()
    assert github[0].startswith(f"::error file={tmp_path}/routes.cases.yaml,title=case%3A two,line=8::")
    assert len(github) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (case("{}"), "7 $.cases[0].expect: expects nothing; add backend, shares, rule, code or status"),
        (case("{backend: gold}"), '7 $.cases[0].expect.backend: unknown backend "gold"; known: vllm, sglang, fixed'),
        (case("{shares: {gold: 1}}"), '7 $.cases[0].expect.shares.gold: unknown backend "gold"'),
        (case("{shares: {vllm: 0}}"), "7 $.cases[0].expect: needs a share above 0"),
        (case("{shares: {vllm: 1}, backend: vllm}"), "7 $.cases[0].expect: shares say where requests go"),
        (case("{backnd: vllm}"), '7 $.cases[0].expect.backnd: unknown key; did you mean "backend"?'),
        (case("{rule: 5}"), "7 $.cases[0].expect.rule: must be text, not a number; put it in quotes"),
        (case("{status: 200}", "{body: {}, bodyText: x}"), "7 $.cases[0].request: has several of body, bodyText"),
        (case("{status: 200}", more=", down: [fixed]"), '7 $.cases[0].down[0]: "fixed": the router doesn\'t ask it'),
        (case("{status: 200}", more=", down: [gold]"), '7 $.cases[0].down[0]: unknown backend "gold"'),
        (case("{status: 200}") * 2, '8 $.cases[1].name: "one" is also cases[0]'),
        ("  []\n", "6 $.cases: must not be empty"),
    ],
)
def test_a_mistake_in_the_file_has_its_line(tmp_path: Path, text: str, problem: str) -> None:
    done = check(tmp_path, text)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"routes.cases.yaml:{problem}" in done.stderr


@pytest.mark.parametrize("text", ["", "[]", "a: 1\n---\nb: 2\n", "\tx"])
def test_what_is_no_file_of_cases_is_refused(tmp_path: Path, text: str) -> None:
    check(tmp_path, "")
    (tmp_path / "cases.yaml").write_text(text)
    done = CliRunner().invoke(cli, ["test", "-f", str(tmp_path / "routes.yaml"), str(tmp_path / "cases.yaml")])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"{tmp_path}/cases.yaml")


def test_a_routes_yaml_in_place_of_a_file_of_cases_is_told_where_it_goes(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(ROUTES)
    done = CliRunner().invoke(cli, ["test", "-f", str(tmp_path / "routes.yaml"), str(tmp_path / "routes.yaml")])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "routes.yaml:2 $.kind: is a routes.yaml, which is given with -f; a file of cases has kind" in done.stderr


def test_without_a_file_of_cases_it_says_where_one_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(ROUTES)
    done = CliRunner().invoke(cli, ["test", "-f", str(tmp_path / "routes.yaml")])
    assert done.exit_code == 2
    hint = "a file of cases is written as docs/testing.md shows"
    assert done.stderr == f"routegen: {tmp_path}/routes.cases.yaml: no such file; {hint}\n"
    assert CliRunner().invoke(cli, ["test", "-f", "-"], input=ROUTES).exit_code == 2


@pytest.mark.parametrize("routes", sorted(ROOT.glob("examples/*/routes.yaml")), ids=lambda path: path.parent.name)
def test_every_example_has_cases_and_passes_them(routes: Path) -> None:
    done = CliRunner().invoke(cli, ["test", "-f", str(routes)])
    assert done.exit_code == 0, done.output


def test_the_starters_cases_are_those_of_the_example_that_it_is() -> None:
    starter = ROOT / "generator/routegen/starter/routes.cases.yaml"
    assert starter.read_text() == (ROOT / "examples/two-engines/routes.cases.yaml").read_text()


def test_explain_expects_a_backend(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(ROUTES)
    command = ["explain", "-f", str(tmp_path / "routes.yaml"), "--no-poll", "--body", '{"inference_server": "vllm"}']
    assert CliRunner().invoke(cli, [*command, "--expect", "vllm"]).exit_code == 0
    other = CliRunner().invoke(cli, [*command, "--expect", "sglang"])
    assert (other.exit_code, other.stderr) == (1, "routegen: goes to vllm, not to sglang\n")
    none = CliRunner().invoke(cli, [*command, "--expect", "vlm"])
    assert (none.exit_code, none.stdout) == (2, "")
    assert '--expect takes a backend, "vlm" is none; did you mean "vllm"? known: ' in none.stderr
