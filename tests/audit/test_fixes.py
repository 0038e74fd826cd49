"""The fixes: what a finding advises has to do what it says, for these engines and not for an example."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from routegen.audit.reading import read_manifests
from routegen.audit.report import audit
from routegen.cli import cli

HERE = Path(__file__).parent
CLEAN = HERE / "cases" / "FAIR020" / "near-miss.yaml"


def _fixes(tmp_path: Path, changes: dict[str, str]) -> dict[str, str]:
    """The fix of each finding on the clean pair with these texts exchanged."""
    text = CLEAN.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    file = tmp_path / "pair.yaml"
    file.write_text(text, encoding="utf-8")
    return {finding.rule.id: finding.fix for finding in audit(read_manifests([str(file)])).findings}


def test_resources_are_the_larger_of_what_the_engines_have(tmp_path: Path) -> None:
    fixes = _fixes(tmp_path, {"limits: {cpu: '4', memory: 8Gi": "limits: {cpu: '16', memory: 64Gi"})
    both = {"cpu": "16", "memory": "64Gi"}
    assert yaml.safe_load(fixes["FAIR021"]) == {"resources": {"requests": both, "limits": both}}


@pytest.mark.parametrize(
    ("flag", "rule"),
    [
        ("--kv-transfer-config={}", "FAIR019"),
        ("--speculative-config={}", "FAIR067"),
        ("--enable-log-requests", "FAIR068"),
    ],
)
def test_what_only_one_engine_does_is_left_out_in_both(flag: str, rule: str, tmp_path: Path) -> None:
    fix = _fixes(tmp_path, {"--max-num-seqs=64": f"--max-num-seqs=64, '{flag}'"})[rule]
    assert flag.partition("=")[0] in fix
    assert all(line == "---" or line.startswith("# without --") for line in fix.splitlines())


def test_no_fix_names_a_flag_that_newer_versions_refuse(tmp_path: Path) -> None:
    fix = _fixes(tmp_path, {"vllm/vllm-openai:v0.11.0": "vllm/vllm-openai:nightly"})["FAIR068"]
    assert "--disable-log-requests" not in fix


def test_the_fixes_of_a_group_are_separate_documents(tmp_path: Path) -> None:
    file = tmp_path / "pair.yaml"
    file.write_text(
        "\n".join(line.partition("@sha256")[0] for line in CLEAN.read_text(encoding="utf-8").splitlines()), "utf-8"
    )
    output = CliRunner().invoke(cli, ["audit", str(file)]).output
    fix = output.split("INFO FAIR071")[-1].split("fix:\n")[1].split("\n\n")[0]
    assert [sorted(document) for document in yaml.safe_load_all(textwrap.dedent(fix))] == [["image"], ["image"]]


def test_the_revision_of_a_model_that_kserve_downloads_goes_into_its_uri() -> None:
    report = audit(read_manifests([str(HERE / "shapes" / "kserve-dra")]))
    [fix] = [finding.fix for finding in report.findings if finding.rule.id == "FAIR051"]
    assert yaml.safe_load(fix)["model"]["uri"].endswith(":<commit>")


def test_shared_memory_is_as_large_as_in_the_engine_that_has_more() -> None:
    report = audit(read_manifests([str(HERE / "shapes" / "plain-deployments")]))
    [finding] = [finding for finding in report.findings if finding.rule.id == "FAIR024"]
    assert sorted(fact.text for fact in finding.facts) == ["10Gi", "2Gi"]
    assert yaml.safe_load(finding.fix)["volumes"][0]["emptyDir"]["sizeLimit"] == "10Gi"


def test_engines_over_several_nodes_are_not_told_to_share_one() -> None:
    report = audit(read_manifests([str(HERE / "shapes" / "two-nodes")]))
    [fix] = [finding.fix for finding in report.findings if finding.rule.id == "FAIR030"]
    assert list(yaml.safe_load(fix)) == ["nodeSelector"]
