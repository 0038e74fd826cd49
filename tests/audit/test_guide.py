"""The comparison that the project began with: one node, two GPUs, vLLM and SGLang with a tenth of the memory each.

Somebody judged it by hand, resource by resource. ``guide/`` holds that set-up as manifests, ``advice/`` the same with
the resources that the analysis ends by recommending. The audit has to come to the same table and the same advice, and
to see what a reader of the manifests overlooked.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from routegen.audit.findings import Finding
from routegen.audit.reading import read_manifests
from routegen.audit.report import Report, audit

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def guide() -> Report:
    return audit(read_manifests([str(HERE / "guide")]))


@pytest.fixture(scope="module")
def advice() -> Report:
    return audit(read_manifests([str(HERE / "advice")]))


def _ids(report: Report) -> set[str]:
    return {finding.rule.id for finding in report.findings}


def _of(report: Report, rule: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.rule.id == rule]


def test_the_table_is_the_one_that_was_made_by_hand(guide: Report) -> None:
    [compared] = guide.compared
    assert {row.resource: row.state for row in compared.rows} == {
        "GPU": "isolated",
        "GPU memory": "isolated",
        "system memory": "shared",
        "CPU": "shared",
        "disk": "shared",
        "network": "shared",
    }


def test_the_table_gives_the_reasons_that_were_given_by_hand(guide: Report) -> None:
    why = {row.resource: row.why for row in guide.compared[0].rows}
    assert "GPU 1 and GPU 0" in why["GPU"]
    assert "limited to 8Gi and 8Gi" in why["system memory"]
    assert "set CPU requests and limits" in why["CPU"]
    assert "/data/models" in why["disk"]
    assert "Hugging Face cache" in why["disk"]
    assert "rarely what limits inference" in why["network"]


def test_the_advice_to_set_cpu_requests_and_limits_is_given_for_both_engines(guide: Report) -> None:
    assert {finding.place.object.rpartition("/")[2] for finding in _of(guide, "FAIR020")} == {
        "vllm-qwen2-5-0-5b",
        "sglang-qwen2-5-0-5b",
    }
    assert "limits: {cpu:" in _of(guide, "FAIR020")[0].fix


def test_taking_the_advice_settles_cpu_and_memory(advice: Report) -> None:
    assert not {finding.rule.id for finding in advice.findings if finding.rule.group == "cpu and memory"}


def test_equal_memory_fractions_are_not_taken_for_equal_memory(guide: Report) -> None:
    [finding] = _of(guide, "FAIR015")
    assert [fact.value for fact in finding.facts] == [0.1, 0.1]


def test_pinning_without_a_request_is_found(guide: Report) -> None:
    assert len(_of(guide, "FAIR003")) == 2


def test_the_advised_gpu_request_makes_the_pin_a_dead_letter(advice: Report) -> None:
    assert len(_of(advice, "FAIR002")) == 2
    assert not _of(advice, "FAIR003")


def test_the_two_services_routes_collide(guide: Report) -> None:
    [finding] = _of(guide, "FAIR096")
    assert finding.severity.word == "error"


def test_read_only_model_files_and_a_cache_beside_them_contradict_each_other(guide: Report) -> None:
    assert {"FAIR040", "FAIR043"} <= _ids(guide)


def test_what_was_fair_is_not_called_unfair(guide: Report) -> None:
    same_node_gpu_and_model = {"FAIR001", "FAIR030", "FAIR050", "FAIR059", "FAIR061"}
    assert not same_node_gpu_and_model & _ids(guide)


def test_all_findings_are_these(guide: Report, advice: Report) -> None:
    both = {"FAIR015", "FAIR040", "FAIR043", "FAIR060", "FAIR063", "FAIR064", "FAIR068", "FAIR069"}
    both |= {"FAIR070", "FAIR096"}
    assert _ids(guide) == both | {"FAIR003", "FAIR020"}
    assert _ids(advice) == both | {"FAIR002"}
