"""manifests/engines: what ``kubectl apply`` takes, valid, fair, and as the analysis behind them advised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from routegen.audit.reading import read_manifests
from routegen.audit.report import Report, audit
from routegen.audit.workloads import find_engines
from support.crds import problems

ENGINES = Path(__file__).parents[2] / "manifests" / "engines"
SERVICES = ("vllm.yaml", "sglang.yaml")


@pytest.fixture(scope="module")
def report() -> Report:
    return audit(read_manifests([str(ENGINES)]))


def _load(name: str) -> Any:
    return yaml.safe_load((ENGINES / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SERVICES)
def test_the_api_server_would_take_them(name: str) -> None:
    assert problems(_load(name)) == []


def test_the_audit_finds_nothing_and_suppresses_only_the_missing_digest(report: Report) -> None:
    assert report.findings == ()
    assert {one.finding.rule.id for one in report.suppressed} == {"FAIR071"}


def test_each_engine_has_a_gpu_of_its_own_and_nothing_conflicts(report: Report) -> None:
    states = {row.resource: row.state for row in report.compared[0].rows}
    assert states["GPU"] == states["GPU memory"] == "isolated"
    assert set(states.values()) == {"isolated", "shared"}


@pytest.mark.parametrize("name", SERVICES)
def test_the_resources_are_those_that_were_advised(name: str) -> None:
    [container] = _load(name)["spec"]["template"]["containers"]
    assert container["resources"] == {
        "requests": {"nvidia.com/gpu": 1, "memory": "6Gi", "cpu": "2"},
        "limits": {"nvidia.com/gpu": 1, "memory": "8Gi", "cpu": "4"},
    }


@pytest.mark.parametrize("name", SERVICES)
def test_the_model_is_read_only_and_the_hub_is_not_asked(name: str) -> None:
    [container] = _load(name)["spec"]["template"]["containers"]
    assert container["volumeMounts"] == [{"name": "models", "mountPath": "/models", "readOnly": True}]
    assert {"name": "HF_HUB_OFFLINE", "value": "1"} in container["env"]


@pytest.mark.parametrize("name", SERVICES)
def test_pods_bear_the_labels_that_routing_and_llm_d_read(name: str) -> None:
    engine = name.removesuffix(".yaml")
    labels = _load(name)["spec"]["labels"]
    assert (labels["owned_by"], labels["llm-d.ai/engine-type"], labels["app"]) == (engine, engine, engine)


@pytest.mark.parametrize("name", SERVICES)
def test_kserve_makes_no_routes_for_them(name: str) -> None:
    assert "router" not in _load(name)["spec"]


def test_the_engines_use_a_tenth_of_the_gpu_and_equal_kv_caches() -> None:
    sglang, vllm = find_engines(read_manifests([str(ENGINES)]))
    assert vllm.option("memory_fraction").value == sglang.option("memory_fraction").value == 0.1
    blocks, size = vllm.option("kv_cache_blocks").value, vllm.option("block_size").value
    assert blocks * size == sglang.option("kv_cache_tokens").value


def test_the_engines_tell_what_came_from_their_caches() -> None:
    """Without it ``routegen bench`` can't tell whether prompts were computed or remembered."""
    flags = {"vllm.yaml": "--enable-prompt-tokens-details", "sglang.yaml": "--enable-cache-report"}
    for name, flag in flags.items():
        assert flag in _load(name)["spec"]["template"]["containers"][0]["args"]


def test_the_download_puts_the_commit_where_the_engines_look() -> None:
    _, job = yaml.safe_load_all((ENGINES / "models.yaml").read_text(encoding="utf-8"))
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    revision = arguments[0].removeprefix("--revision=")
    directory = arguments[1].removeprefix("--local-dir=")
    for name in SERVICES:
        service = _load(name)
        container = service["spec"]["template"]["containers"][0]
        assert service["spec"]["model"]["uri"].endswith(f":{revision}")
        assert directory in " ".join([*container["command"], *container["args"]])


def test_the_pair_stays_on_one_node_whatever_its_name(report: Report) -> None:
    network = {row.resource: row.why for row in report.compared[0].rows}["network"]
    assert network.startswith("one node's")
