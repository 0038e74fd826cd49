"""The verb as a user calls it: input, choice of engines, exit codes, explanations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from routegen.audit.formats import FORMATS
from routegen.cli import cli

HERE = Path(__file__).parent
CASES = HERE / "cases"
CLEAN = CASES / "FAIR020" / "near-miss.yaml"
WARNING = CASES / "FAIR040" / "fires.yaml"
ERROR = CASES / "FAIR052" / "fires.yaml"
INFO = CASES / "FAIR029" / "fires.yaml"


def _run(*arguments: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["audit", *map(str, arguments)], input=stdin)


@pytest.mark.parametrize("format_", sorted(FORMATS))
@pytest.mark.parametrize(
    ("file", "fail_on", "code"),
    [
        (CLEAN, "info", 0),
        (INFO, "info", 1),
        (INFO, "warning", 0),
        (WARNING, "warning", 1),
        (WARNING, "error", 0),
        (ERROR, "error", 1),
        (ERROR, "never", 0),
    ],
)
def test_the_exit_code_follows_the_findings_and_not_the_format(
    format_: str, file: Path, fail_on: str, code: int
) -> None:
    assert _run(file, "-o", format_, "--fail-on", fail_on).exit_code == code


def test_warnings_fail_by_default() -> None:
    assert (_run(INFO).exit_code, _run(WARNING).exit_code) == (0, 1)


def test_a_clean_pair_is_said_to_be_clean() -> None:
    result = _run(CLEAN)
    assert result.output.endswith("\nNo findings.\n")
    assert "GPU            isolated" in result.output


@pytest.mark.parametrize("format_", sorted(FORMATS))
def test_input_that_cannot_be_used_is_two_with_empty_output(format_: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("kind: Pod\nspec: {containers: [}\n", encoding="utf-8")
    result = _run(broken, "-o", format_)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"{broken}:2: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give files"),
        (("x.yaml", "--cluster"), "give files"),
        (("x.yaml", "--context", "c"), "go with --cluster"),
        (("missing.yaml",), "routegen: missing.yaml: no such file; give manifests: files, folders, or -"),
        ((CASES / "FAIR025" / "missing",), "no such file; give manifests"),
        ((WARNING, "-o", "xml"), "is not one of"),
        ((WARNING, "--pair", "vllm"), "vllm is the only one that is named; name two, such as --pair vllm,sglang"),
        ((WARNING, "--pair", "vllm,"), "such as --pair vllm,sglang"),
        ((WARNING, "--pair", ","), "--pair takes names"),
        ((WARNING, "--pair", "vllm,nope"), '"nope"; known: vllm, sglang'),
        ((HERE / "guide" / "vllm.yaml",), "found: vllm-qwen2-5-0-5b"),
        ((HERE / "guide" / "node.yaml",), "found: none"),
        (("--explain", "FAIR777"), "known: FAIR001 to FAIR100"),
    ],
)
def test_misuse_is_two_and_says_what_would_be_right(arguments: tuple[str | Path, ...], message: str) -> None:
    result = _run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_standard_input_is_read_with_lists_and_several_documents() -> None:
    result = _run("-", "-o", "json", stdin=(HERE / "shapes/helm-list/all.yaml").read_text(encoding="utf-8"))
    report = json.loads(result.stdout)
    assert {side["name"] for side in (report["compared"][0]["first"], report["compared"][0]["second"])} == {
        "stack-vllm",
        "stack-sglang",
    }
    assert report["findings"][0]["evidence"][0]["file"] == "<stdin>"
    assert report["findings"][0]["evidence"][0]["path"].startswith("$.items[")


def test_a_template_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "deployment.yaml").write_text("kind: Pod\nmetadata: {{ .Values.name }}\n", encoding="utf-8")
    for path in (tmp_path, tmp_path / "deployment.yaml"):
        result = _run(path)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{tmp_path}/deployment.yaml:2: it looks like a template" in result.stderr
        assert "helm template" in result.stderr


def test_a_template_in_a_folder_doesnt_end_the_audit_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "engines.yaml").write_text(CLEAN.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "x.yaml").write_text("kind: Pod\nmetadata: {{ .Values.name }}\n", encoding="utf-8")
    for format_ in ("text", "json", "github", "sarif"):
        result = _run(tmp_path, "-o", format_)
        assert result.exit_code == 0
        assert "templates/x.yaml" in result.stdout
        assert "it looks like a template" in result.stdout
    (tmp_path / "templates" / "x.yaml").write_text("kind: Pod\nmetadata: [\n", encoding="utf-8")
    assert _run(tmp_path).exit_code == 2  # broken, and no template


def test_a_directory_is_searched_through_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "engines.yml").write_text(CLEAN.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "README.md").write_text("kind: [", encoding="utf-8")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.yaml").write_text("kind: [", encoding="utf-8")
    assert _run(tmp_path).exit_code == 0


def test_an_empty_directory_is_named(tmp_path: Path) -> None:
    result = _run(tmp_path)
    assert (result.exit_code, "no .yaml, .yml or .json" in result.stderr) == (2, True)


def _three(tmp_path: Path) -> Path:
    text = CLEAN.read_text(encoding="utf-8")
    pods = text.split("---\n")
    third = (
        pods[1].replace("name: sglang", "name: third").replace("--max-running-requests=64", "--max-running-requests=9")
    )
    file = tmp_path / "three.yaml"
    file.write_text("---\n".join([*pods, third]), encoding="utf-8")
    return file


def test_of_three_engines_the_first_is_compared_with_each_other(tmp_path: Path) -> None:
    report = json.loads(_run(_three(tmp_path), "-o", "json").stdout)
    pairs = [(pair["first"]["name"], pair["second"]["name"]) for pair in report["compared"]]
    assert pairs == [("vllm", "sglang"), ("vllm", "third")]
    assert {finding["rule"] for finding in report["findings"]} == {"FAIR063"}


def test_of_engines_for_several_models_those_with_one_model_are_compared(tmp_path: Path) -> None:
    file = _three(tmp_path)
    text = file.read_text(encoding="utf-8").replace("--model-path=/models/qwen", "--model-path=/models/llama", 1)
    file.write_text(text, encoding="utf-8")
    report = json.loads(_run(file, "-o", "json").stdout)
    assert [(pair["first"]["name"], pair["second"]["name"]) for pair in report["compared"]] == [("vllm", "third")]
    assert [engine["name"] for engine in report["notCompared"]] == ["sglang"]
    assert "Not compared: SGLang (Pod inference/sglang)" in _run(file).output


@pytest.mark.parametrize("pair", ["sglang,vllm", "inference/sglang,Pod/vllm", " sglang , vllm "])
def test_a_pair_is_chosen_by_name(pair: str, tmp_path: Path) -> None:
    report = json.loads(_run(_three(tmp_path), "--pair", pair, "-o", "json").stdout)
    assert [side["name"] for side in (report["compared"][0]["first"], report["compared"][0]["second"])] == [
        "sglang",
        "vllm",
    ]
    assert not report["findings"]


def test_a_workload_that_is_no_known_engine_can_be_named_and_then_nothing_is_taken_for_settled(tmp_path: Path) -> None:
    other = """---
kind: Deployment
metadata: {name: tgi, namespace: inference}
spec: {template: {spec: {nodeName: gpu-node, containers: [{name: tgi, image: "tgi:3.3.4"}]}}}
"""
    file = tmp_path / "engines.yaml"
    file.write_text(CLEAN.read_text(encoding="utf-8") + other, encoding="utf-8")
    report = json.loads(_run(file, "--pair", "vllm,tgi", "-o", "json").stdout)
    second = report["compared"][0]["second"]
    assert (second["object"], second["engine"], second["version"]) == ("Deployment inference/tgi", None, None)
    [finding] = [one for one in report["findings"] if one["rule"] == "FAIR073"]
    assert finding["verdict"] == "cannot tell"
    assert "dtype" in finding["message"]


ROUTES = """
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: compare, namespace: inference}
spec:
  backends:
    sglang: {llmInferenceService: sglang-qwen2-5-0-5b, ownedBy: sglang}
    vllm:   {llmInferenceService: vllm-qwen2-5-0-5b, ownedBy: vllm}
"""


def test_the_engines_behind_a_routes_yaml_are_compared_in_its_order(tmp_path: Path) -> None:
    routes = tmp_path / "routes.yaml"
    routes.write_text(ROUTES, encoding="utf-8")
    result = _run(HERE.parents[1] / "manifests" / "engines", "--routes", routes, "-o", "json")
    compared = json.loads(result.stdout)["compared"]
    assert [(one["first"]["engine"], one["second"]["engine"]) for one in compared] == [("sglang", "vllm")]


def test_plain_services_of_a_routes_yaml_are_followed_to_their_pods(tmp_path: Path) -> None:
    routes = tmp_path / "routes.yaml"
    service = "{{service: {{name: {0}, port: 8000}}, ownedBy: {0}}}"
    spec = f"  backends:\n    a: {service.format('vllm')}\n    b: {service.format('sglang')}\n"
    routes.write_text(ROUTES.partition("  backends:")[0] + spec, encoding="utf-8")
    services = "".join(
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: inference}}\n"
        f"spec: {{selector: {{app: {name}}}, ports: [{{port: 8000}}]}}\n"
        for name in ("vllm", "sglang")
    )
    pods = tmp_path / "pods.yaml"
    pods.write_text(CLEAN.read_text(encoding="utf-8") + services, encoding="utf-8")
    assert _run(pods, "--routes", routes).exit_code == 0
    pods.write_text(CLEAN.read_text(encoding="utf-8"), encoding="utf-8")
    result = _run(pods, "--routes", routes)
    assert (result.exit_code, 'backend "a" leads to no engine' in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("vllm", "sglang", "differs"),
    [
        ("", "", True),
        ("models: {qwen: qwen}", "models: {qwen: qwen-sglang}", False),
        ("models: {q: qwen}", "models: {q: qwen-sglang}", False),
        ("models: {q: qwen}", "", True),
        ("models: {qwen-sglang: qwen}", "", False),
    ],
)
def test_names_are_those_that_a_routes_yaml_gives_clients(
    vllm: str, sglang: str, differs: bool, tmp_path: Path
) -> None:
    backends = "".join(
        f"    {name}: {{service: {{name: {name}, port: 8000}}, ownedBy: {name}, {models}}}\n"
        for name, models in (("vllm", vllm), ("sglang", sglang))
    )
    services = "".join(
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: inference}}\n"
        f"spec: {{selector: {{app: {name}}}, ports: [{{port: 8000}}]}}\n"
        for name in ("vllm", "sglang")
    )
    routes, pods = tmp_path / "routes.yaml", tmp_path / "pods.yaml"
    routes.write_text(ROUTES.partition("  backends:")[0] + "  backends:\n" + backends, encoding="utf-8")
    case = HERE / "cases" / "FAIR059" / "fires.yaml"
    pods.write_text(case.read_text(encoding="utf-8") + services, encoding="utf-8")
    found = json.loads(_run(pods, "--routes", routes, "-o", "json").stdout)
    assert ("FAIR059" in json.dumps(found["findings"])) is differs


def test_a_broken_routes_yaml_is_two_with_its_lines(tmp_path: Path) -> None:
    routes = tmp_path / "routes.yaml"
    routes.write_text(ROUTES.replace("ownedBy: vllm", "owner: vllm"), encoding="utf-8")
    result = _run(CLEAN, "--routes", routes)
    assert result.exit_code == 2
    assert f"{routes}:8 $.spec.backends.vllm" in result.stderr


def test_explain_tells_one_rule_in_full() -> None:
    result = _run("--explain", "fair012")
    assert result.exit_code == 0
    assert result.output.startswith("FAIR012 ")
    assert "PCI_BUS_ID" in result.output


def test_no_secret_value_reaches_the_output(tmp_path: Path) -> None:
    text = CLEAN.read_text(encoding="utf-8").replace(
        "readinessProbe:", "env: [{name: HF_TOKEN, value: hf_sEcReT}]\n      x:"
    )
    file = tmp_path / "secret.yaml"
    file.write_text(text.replace("--port=8000", "--port=8000, --api-key=sEcReT"), encoding="utf-8")
    for format_ in FORMATS:
        result = _run(file, "-o", format_)
        assert "FAIR080" in result.stdout
        assert "sEcReT" not in result.output


@pytest.mark.parametrize("names", ["vllm,inference/vllm", "vllm,sglang,Pod/vllm", "vllm, vllm"])
def test_one_engine_under_two_names_is_no_comparison(names: str) -> None:
    result = _run(CLEAN, "--pair", names)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "are one engine, Pod inference/vllm" in result.stderr


def test_a_workload_that_is_no_known_engine_is_not_compared_with_itself(tmp_path: Path) -> None:
    pod = "kind: Pod\nmetadata: {name: tgi, namespace: x}\nspec: {containers: [{name: a, image: tgi}]}\n"
    file = tmp_path / "tgi.yaml"
    file.write_text(pod, encoding="utf-8")
    result = _run(file, "--pair", "tgi,Pod/tgi")
    assert (result.exit_code, "are one engine, Pod x/tgi" in result.stderr) == (2, True)


def test_a_file_that_is_given_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "vllm.yaml").write_text(CLEAN.read_text(encoding="utf-8").split("---\n")[0], encoding="utf-8")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "vllm.yaml")
    result = _run(tmp_path, tmp_path / "vllm.yaml", f"{tmp_path}/../{tmp_path.name}/vllm.yaml")
    assert (result.exit_code, "a comparison needs two engines, found: vllm;" in result.stderr) == (2, True)


def test_two_backends_of_a_routes_yaml_that_lead_to_one_engine_are_refused(tmp_path: Path) -> None:
    routes, pods = tmp_path / "routes.yaml", tmp_path / "pods.yaml"
    backends = "".join(f"    {name}: {{service: {{name: {name}, port: 8000}}}}\n" for name in ("a", "b", "c"))
    routes.write_text(ROUTES.partition("  backends:")[0] + "  backends:\n" + backends, encoding="utf-8")
    services = "".join(
        f"---\nkind: Service\nmetadata: {{name: {name}, namespace: inference}}\nspec: {{selector: {{app: {app}}}}}\n"
        for name, app in (("a", "vllm"), ("b", "sglang"), ("c", "vllm"))
    )
    pods.write_text(CLEAN.read_text(encoding="utf-8") + services, encoding="utf-8")
    result = _run(pods, "--routes", routes)
    assert (result.exit_code, result.stdout) == (2, "")
    assert 'the backends "a" and "c" lead to one engine, vllm' in result.stderr
