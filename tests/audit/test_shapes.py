"""Manifests in the shapes that public charts and samples have: no finding that an engineer would laugh at.

Each directory under ``shapes/`` was read by eye, finding by finding. What is listed here is what remained, and each is
a true statement about the manifests.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from routegen.audit.gpus import gpus
from routegen.audit.reading import read_manifests
from routegen.audit.report import Report, audit
from routegen.audit.storage import model

SHAPES = Path(__file__).parent / "shapes"
NO_NODE_NO_DIGEST = {"FAIR030", "FAIR071"}
SIZED_BY_DEFAULT = {"FAIR015", "FAIR063", "FAIR064"}
VERSION_UNKNOWN = {"FAIR060", "FAIR068", "FAIR069"}
EXPECTED = {
    "helm-list": {"FAIR015", "FAIR051", "FAIR064"} | NO_NODE_NO_DIGEST,
    "kserve-base-refs": {"FAIR073"} | NO_NODE_NO_DIGEST,
    "kserve-cpu": {"FAIR051", "FAIR063", "FAIR064", "FAIR070"} | VERSION_UNKNOWN | NO_NODE_NO_DIGEST,
    "kserve-dra": {"FAIR051"} | NO_NODE_NO_DIGEST,
    "kserve-samples": {"FAIR051", "FAIR055", "FAIR100"} | NO_NODE_NO_DIGEST,
    "llm-d": {"FAIR022", "FAIR051", "FAIR076", "FAIR098", "FAIR100"}
    | SIZED_BY_DEFAULT
    | VERSION_UNKNOWN
    | NO_NODE_NO_DIGEST,
    "one-pool": {"FAIR007", "FAIR051", "FAIR076", "FAIR097"} | NO_NODE_NO_DIGEST,
    "plain-deployments": {"FAIR021", "FAIR024", "FAIR028", "FAIR051"} | SIZED_BY_DEFAULT | NO_NODE_NO_DIGEST,
    "statefulsets": {"FAIR051"} | SIZED_BY_DEFAULT | NO_NODE_NO_DIGEST,
    "two-nodes": {"FAIR008", "FAIR061", "FAIR076"} | SIZED_BY_DEFAULT | NO_NODE_NO_DIGEST,
}


def _report(name: str) -> Report:
    return audit(read_manifests([str(SHAPES / name)]))


def test_every_shape_is_looked_at() -> None:
    assert {directory.name for directory in SHAPES.iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_shape_has_these_findings_and_no_others(name: str) -> None:
    assert {finding.rule.id for finding in _report(name).findings} == EXPECTED[name]


def test_only_what_is_proven_is_an_error() -> None:
    errors = {
        (name, finding.rule.id)
        for name in EXPECTED
        for finding in _report(name).findings
        if finding.severity.word == "error"
    }
    assert errors == {("one-pool", "FAIR007"), ("plain-deployments", "FAIR021"), ("two-nodes", "FAIR061")}


@pytest.mark.parametrize(
    ("name", "gpu"),
    [
        ("helm-list", "isolated"),
        ("kserve-base-refs", "cannot tell"),
        ("kserve-cpu", "isolated"),
        ("kserve-dra", "isolated"),
        ("llm-d", "isolated"),
        ("two-nodes", "cannot tell"),
    ],
)
def test_the_gpu_row_follows_the_way_that_gpus_are_asked_for(name: str, gpu: str) -> None:
    assert _report(name).compared[0].rows[0].state == gpu


def test_settings_from_a_config_map_reach_a_shell_script() -> None:
    [compared] = _report("helm-list").compared
    for engine in (compared.pair.first, compared.pair.second):
        assert engine.option("context_length").value == 8192
        assert engine.option("max_sequences").value == 128
        assert engine.option("model").value == "meta-llama/Llama-3.1-8B-Instruct"


def test_pods_of_one_engine_over_two_nodes_count_as_one_engine_with_all_their_gpus() -> None:
    [compared] = _report("two-nodes").compared
    assert [gpus(engine).count.value for engine in (compared.pair.first, compared.pair.second)] == [16, 16]


def test_a_model_that_an_init_container_downloads_is_known_by_its_name() -> None:
    [compared] = _report("statefulsets").compared
    models = [model(engine) for engine in (compared.pair.first, compared.pair.second)]
    assert [one.hub for one in models] == ["Qwen/Qwen2.5-7B-Instruct"] * 2
    assert models[0].fact.shown == "Qwen/Qwen2.5-7B-Instruct (downloaded to /data/qwen)"


def test_a_file_of_the_host_is_not_called_a_disk() -> None:
    disk = {row.resource: row for row in _report("two-nodes").compared[0].rows}["disk"]
    assert "/llm-folder" in disk.why
    assert "localtime" not in disk.why


def test_a_router_is_not_taken_for_an_engine() -> None:
    [compared] = _report("helm-list").compared
    assert {compared.pair.first.name, compared.pair.second.name} == {"stack-vllm", "stack-sglang"}


def test_the_prefill_half_of_an_engine_is_not_compared_with_its_decode_half(tmp_path: Path) -> None:
    text = (SHAPES / "two-nodes" / "all.yaml").read_text(encoding="utf-8")
    labels = "metadata: {labels: {llm-d.ai/model: m, llm-d.ai/role: %s}}"
    spec = "spec: {containers: [{name: vllm, image: vllm/vllm-openai:v0.11.0, args: [--model=m]}]}"
    halves = [
        f"kind: Deployment\nmetadata: {{name: {role}}}\nspec:\n  template:\n    {labels % role}\n    {spec}"
        for role in ("prefill", "decode")
    ]
    (tmp_path / "all.yaml").write_text("\n---\n".join([*halves, text.split("\n---\n")[0]]), encoding="utf-8")
    report = audit(read_manifests([str(tmp_path)]))
    assert "prefill" not in {one.name for row in report.compared for one in (row.pair.first, row.pair.second)}
    assert [engine.name for engine in report.left_out] == ["prefill"]


def test_two_pods_with_one_resource_claim_conflict() -> None:
    cases = SHAPES.parent / "cases" / "FAIR001"
    states = [
        audit(read_manifests([str(cases / name)])).compared[0].rows[0].state
        for name in ("fires-one-claim.yaml", "near-miss-claim-template.yaml")
    ]
    assert states == ["conflicting", "isolated"]
