"""Pods' and nodes' figures beside a bench run, from a real API server that aggregates a stand-in for metrics-server."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from routegen.bench.resources.pods import Pods
from routegen.cluster import Cluster as Connection
from support.cluster.cluster import Cluster
from support.cluster.metrics_api import metrics_api
from support.command import ROUTEGEN

NAMESPACE = "figures"
PODS = {
    (NAMESPACE, "vllm-0"): {"app": "vllm"},
    (NAMESPACE, "sglang-0"): {"app": "sglang"},
    (NAMESPACE, "other-0"): {"app": "other"},
    ("elsewhere", "vllm-9"): {"app": "vllm"},
}


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")  # the test cluster's certificate
def test_a_run_has_the_figures_that_kubectl_top_shows(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guide watches with `kubectl top pod -l app=vllm`; `--pods NAMESPACE/app=vllm` records just that."""
    config = str(cluster.api.kubeconfig)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", config)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # the client caches what it discovers
    cluster.namespace(NAMESPACE)
    told = {reading.absent for reading in Pods(Connection(), [f"{NAMESPACE}/app=vllm"]).read()}
    assert told == {"the cluster has no metrics API (metrics.k8s.io); is metrics-server there?"}
    for name in ("vllm", "sglang"):
        cluster.engines.add(f"figures-{name}", name, NAMESPACE, name, ["m"])
    with metrics_api(cluster.sandbox, cluster.api, PODS):
        for pod, labels in PODS.items():
            if pod[0] == NAMESPACE:
                metadata = {"name": pod[1], "namespace": NAMESPACE, "labels": labels}
                spec = {"containers": [{"name": "main", "image": "i"}]}
                cluster.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        top = cluster.api.kubectl("-n", NAMESPACE, "top", "pod", "-l", "app=vllm", "--no-headers")
        assert (top.code, top.out.split()) == (0, ["vllm-0", "250m", "512Mi"])
        urls = [f"--url={name}=http://{name}.{NAMESPACE}.svc.cluster.local:8000" for name in ("vllm", "sglang")]
        watched = [f"--pods={NAMESPACE}/app={name}" for name in ("vllm", "sglang")]
        folder = tmp_path / "run"
        done = subprocess.run(
            [
                *(*ROUTEGEN, "bench", *urls, *watched, "--blocks=2", "--requests=20", "--warmup=2"),
                *("--concurrency=2", "--input-tokens=40", "--output-tokens=4", f"--output-dir={folder}"),
            ],
            env={**os.environ, "KUBECONFIG": config, "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode in {0, 3}, done.stderr[-2000:]  # 3: a check failed; the load is tiny
    lines = [json.loads(line) for line in (folder / "resources.jsonl").read_text().splitlines()]
    pods = {one["subject"]: one["values"] for one in lines if one.get("source") == "pod" and one.get("values")}
    assert pods.keys() == {f"{NAMESPACE}/vllm-0", f"{NAMESPACE}/sglang-0"}
    assert pods[f"{NAMESPACE}/vllm-0"] == {"cpu_cores": 0.25, "memory_bytes": 512 * 2**20}
