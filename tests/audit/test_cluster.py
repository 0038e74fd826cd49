"""A live cluster as input: the package ``kubernetes`` against a server over real HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from routegen.cli import cli
from support.api_server import api_server, kubeconfig

HERE = Path(__file__).parent


def _objects(*files: str) -> list[dict[str, Any]]:
    return [one for file in files for one in yaml.safe_load_all((HERE / file).read_text(encoding="utf-8"))]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # the client caches what it discovers


def _audit(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.setattr(
        "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig(url, tmp_path / "config"))
    )
    return CliRunner().invoke(cli, ["audit", "--cluster", *arguments])


def test_a_cluster_gives_the_findings_of_its_manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with api_server(_objects("guide/vllm.yaml", "guide/sglang.yaml", "guide/node.yaml")) as url:
        live = _audit(url, tmp_path, monkeypatch, "-o", "json")
    files = CliRunner().invoke(cli, ["audit", str(HERE / "guide"), "-o", "json"])
    report, expected = json.loads(live.stdout), json.loads(files.stdout)
    assert live.exit_code == 1
    assert {one["rule"] for one in report["findings"]} == {one["rule"] for one in expected["findings"]}
    assert [row["state"] for row in report["compared"][0]["resources"]] == [
        row["state"] for row in expected["compared"][0]["resources"]
    ]
    evidence = report["findings"][0]["evidence"][0]
    assert (evidence["file"], evidence["line"]) == ("cluster (current context)", None)


def test_what_another_object_made_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services = _objects("guide/vllm.yaml", "guide/sglang.yaml")
    made = []
    for service in services:
        owner = {
            "apiVersion": service["apiVersion"],
            "kind": service["kind"],
            "name": service["metadata"]["name"],
            "uid": "1",
        }
        metadata: dict[str, Any] = {"name": f"{service['metadata']['name']}-kserve", "namespace": "inference"}
        metadata["ownerReferences"] = [{**owner, "controller": True}]
        template = {"metadata": {}, "spec": service["spec"]["template"]}
        made.append({"kind": "Deployment", "metadata": metadata, "spec": {"template": template}})
    with api_server([*services, *made]) as url:
        report = json.loads(_audit(url, tmp_path, monkeypatch, "-o", "json", "-n", "inference").stdout)
    [compared] = report["compared"]
    assert {compared["first"]["object"].split()[0], compared["second"]["object"].split()[0]} == {"LLMInferenceService"}


def test_running_pods_show_the_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects: list[dict[str, Any]] = []
    for name, node in (("vllm", "gpu-1"), ("sglang", "gpu-2")):
        [deployment] = [
            one
            for one in _objects("shapes/helm-list/all.yaml")[0]["items"]
            if one["metadata"]["name"] == f"stack-{name}"
        ]
        template = deployment["spec"]["template"]
        owner = {"kind": "ReplicaSet", "name": f"stack-{name}-5d8", "controller": True}
        metadata: dict[str, Any] = {"name": f"stack-{name}-5d8-x", "namespace": "default", "ownerReferences": [owner]}
        metadata["labels"] = {**template["metadata"]["labels"], "pod-template-hash": "5d8"}
        objects += [deployment, {"kind": "Pod", "metadata": metadata, "spec": {**template["spec"], "nodeName": node}}]
    with api_server(objects) as url:
        report = json.loads(_audit(url, tmp_path, monkeypatch, "-o", "json").stdout)
    [compared] = report["compared"]
    assert compared["first"]["object"] == "Deployment default/stack-vllm"
    [finding] = [one for one in report["findings"] if one["rule"] == "FAIR030"]
    assert "the nodes gpu-1 and gpu-2 now" in finding["message"]


def test_what_may_not_be_read_is_said_and_then_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = _objects("guide/vllm.yaml", "guide/sglang.yaml", "guide/node.yaml")
    with api_server(objects, forbidden=["Node"]) as url:
        result = _audit(url, tmp_path, monkeypatch, "--context", "test", "-o", "json")
    assert "not read: Node: 403" in result.stderr
    assert "FAIR030" in {one["rule"] for one in json.loads(result.stdout)["findings"]}


def test_workloads_that_may_not_be_read_end_the_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with api_server(_objects("guide/vllm.yaml"), forbidden=["Deployment"]) as url:
        result = _audit(url, tmp_path, monkeypatch)
    assert (result.exit_code, "can't read the cluster's Deployments: 403" in result.stderr) == (2, True)


def test_a_cluster_that_does_not_answer_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with api_server([]) as url:
        pass  # nobody listens there any more
    result = _audit(url, tmp_path, monkeypatch)
    assert result.exit_code == 2
    assert result.stderr.startswith("routegen: can't reach the cluster: ")
    assert len(result.stderr.splitlines()) == 1


def test_kinds_of_other_projects_are_read_from_a_cluster_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [*_objects("kinds/ray-service-script.yaml")[:1], *_objects("kinds/jobs.yaml")]
    with api_server(objects) as url:
        report = json.loads(_audit(url, tmp_path, monkeypatch, "-o", "json").stdout)
    [compared] = report["compared"]
    assert [compared[side]["object"] for side in ("first", "second")] == ["Job serving/vllm", "Job serving/sglang"]
    assert [one["object"] for one in report["skipped"]] == ["RayService serving/a"]
