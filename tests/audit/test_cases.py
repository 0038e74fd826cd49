"""Every rule against whole manifests: cases that it must find, and near misses that it must not.

``cases/<rule>/<name>.yaml`` holds two engines that differ from a clean pair in one respect. Its second line lists
every finding of the file, so each case also shows what the other rules leave alone.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from routegen.audit.findings import Severity
from routegen.audit.reading import read_manifests
from routegen.audit.report import Report, audit
from routegen.audit.rules import RULES
from routegen.common.positions import read_documents

CASES = Path(__file__).parent / "cases"
FILES = sorted(CASES.glob("*/*.yaml"))


def _named(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


def _expected(file: Path) -> set[str]:
    second = file.read_text(encoding="utf-8").splitlines()[1]
    assert second.startswith("# finds: "), f"{file} must list its findings on its second line"
    return set(re.findall(r"FAIR\d{3}", second))


def _report(file: Path) -> Report:
    return audit(read_manifests([str(file)]))


@pytest.mark.parametrize("file", FILES, ids=_named)
def test_a_case_has_exactly_the_findings_that_it_lists(file: Path) -> None:
    assert {finding.rule.id for finding in _report(file).findings} == _expected(file)


@pytest.mark.parametrize("rule", [rule.id for rule in RULES])
def test_a_rule_has_a_case_that_fires_and_a_near_miss(rule: str) -> None:
    cases = {file.stem: _expected(file) for file in (CASES / rule).glob("*.yaml")}
    firing = [name for name, findings in cases.items() if rule in findings]
    quiet = [name for name, findings in cases.items() if rule not in findings]
    assert firing
    assert quiet
    assert all(name.startswith(("fires", "cannot-tell")) for name in firing)
    assert all(name.startswith("near-miss") for name in quiet)


def test_every_directory_of_cases_is_a_rules() -> None:
    assert {file.parent.name for file in FILES} == {rule.id for rule in RULES}


@pytest.mark.parametrize("file", [file for file in FILES if file.stem.startswith(("fires", "cannot"))], ids=_named)
def test_a_finding_says_where_why_and_what_to_do(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    for finding in _report(file).findings:
        assert finding.message
        assert not finding.message.endswith(".")
        for fact in finding.facts:
            assert fact.place.object.split()[0] in {"Pod", "Deployment", "LLMInferenceService", "Service"} | {
                "PersistentVolumeClaim",
                "HorizontalPodAutoscaler",
                "InferencePool",
            }
            assert 0 < fact.place.line <= len(lines)
            assert fact.place.path.startswith("$")
            assert fact.shown
        assert read_documents(finding.fix, "fix.yaml")[1] == [], finding.fix  # YAML without duplicate keys


@pytest.mark.parametrize("file", [file for file in FILES if file.stem.startswith("cannot")], ids=_named)
def test_what_cannot_be_told_is_at_most_a_warning_and_never_silent(file: Path) -> None:
    [finding] = [finding for finding in _report(file).findings if finding.rule.id == file.parent.name]
    assert finding.unknown
    assert finding.severity <= Severity.WARNING


def test_rules_speak_in_sentences() -> None:
    for rule in RULES:
        assert re.fullmatch(r"FAIR\d{3}", rule.id)
        assert not rule.title.endswith("."), rule.id
        assert rule.why.endswith("."), rule.id
        assert rule.docs.endswith((".", "`.")), rule.id
        assert len(rule.why) <= 120, rule.id


def test_a_place_is_the_line_of_the_value() -> None:
    file = CASES / "FAIR052" / "fires.yaml"
    [finding] = _report(file).findings
    lines = file.read_text(encoding="utf-8").splitlines()
    assert [("dtype" in lines[fact.place.line - 1], fact.value) for fact in finding.facts] == [
        (True, "bfloat16"),
        (True, "float16"),
    ]
    assert finding.facts[0].place.path == "$.spec.containers[0].args[5]"


SECRET = {"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}


@pytest.mark.parametrize(
    ("flag", "rule"),
    [
        ("model", "FAIR050"),
        ("served-model-name", "FAIR059"),
        ("dtype", "FAIR052"),
        ("quantization", "FAIR053"),
        ("kv-cache-dtype", "FAIR054"),
        ("max-model-len", "FAIR055"),
        ("tokenizer", "FAIR056"),
        ("load-format", "FAIR057"),
        ("trust-remote-code", "FAIR058"),
        ("enable-prefix-caching", "FAIR060"),
        ("tensor-parallel-size", "FAIR061"),
        ("enforce-eager", "FAIR062"),
        ("max-num-seqs", "FAIR063"),
        ("max-num-batched-tokens", "FAIR064"),
        ("chat-template", "FAIR065"),
        ("tool-call-parser", "FAIR066"),
        ("enable-log-requests", "FAIR068"),
        ("generation-config", "FAIR069"),
        ("enable-lora", "FAIR074"),
        ("cpu-offload-gb", "FAIR018"),
        ("host", "FAIR092"),
        ("port", "FAIR083"),
    ],
)
def test_an_argument_from_a_secret_is_never_ok(flag: str, rule: str, tmp_path: Path) -> None:
    vllm, sglang = yaml.safe_load_all((CASES / "FAIR020" / "near-miss.yaml").read_text(encoding="utf-8"))
    [container] = vllm["spec"]["containers"]
    container["args"] = [one for one in container["args"] if not one.startswith(f"--{flag}=")] + [f"--{flag}=$(X)"]
    container["env"] = [SECRET]
    file = tmp_path / "secret.yaml"
    file.write_text(yaml.safe_dump_all([vllm, sglang]), encoding="utf-8")
    assert rule in {finding.rule.id for finding in _report(file).findings if finding.unknown}


@pytest.mark.parametrize(
    ("variable", "requested", "rule"),
    [
        ("NVIDIA_VISIBLE_DEVICES", True, "FAIR002"),
        ("NVIDIA_VISIBLE_DEVICES", False, "FAIR004"),
        ("CUDA_VISIBLE_DEVICES", True, "FAIR005"),
        ("OMP_NUM_THREADS", True, "FAIR023"),
        ("TOKENIZERS_PARALLELISM", True, "FAIR029"),
        ("HF_HUB_OFFLINE", True, "FAIR045"),
        ("VLLM_BATCH_INVARIANT", True, "FAIR075"),
        ("HF_HOME", True, "FAIR040"),
    ],
)
def test_a_variable_from_a_secret_is_never_ok(variable: str, requested: bool, rule: str, tmp_path: Path) -> None:
    vllm, sglang = yaml.safe_load_all((CASES / "FAIR040" / "fires.yaml").read_text(encoding="utf-8"))
    [container] = vllm["spec"]["containers"]
    container["env"] = [{**SECRET, "name": variable}]
    if not requested:
        del container["resources"]["limits"]["nvidia.com/gpu"]
    file = tmp_path / "secret.yaml"
    file.write_text(yaml.safe_dump_all([vllm, sglang]), encoding="utf-8")
    assert rule in {finding.rule.id for finding in _report(file).findings if finding.unknown}
