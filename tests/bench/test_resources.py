"""What is sampled beside the latencies, from real parts: HTTP servers, a program on PATH, an API server, a process."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import certifi
import msgspec
import pytest
from click.testing import CliRunner

from routegen.bench import records
from routegen.bench.records import Clock
from routegen.bench.resources.engines import EngineFigures, figures
from routegen.bench.resources.gpus import Gpus
from routegen.bench.resources.pods import Pods, quantity
from routegen.bench.resources.process import ClientProcess
from routegen.bench.resources.sampler import Reading, Sampler
from routegen.bench.resources.sources import cluster, sampling
from routegen.cli import cli
from routegen.cluster import Cluster
from routegen.common.problems import UserError
from routegen.mock_engine import PERSONALITIES, Behaviour, MockEngine
from support.api_server import PLURALS, api_server, kubeconfig
from support.bench_runs import make_run
from support.serving import serving


def nvidia_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program of that name, the only one on PATH."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def metrics_of(kind: str, name: str, usage: Mapping[str, str], stamp: str = "2026-01-02T03:04:05Z") -> dict[str, Any]:
    """A pod's or a node's object of the metrics API."""
    if kind == "NodeMetrics":
        return {"kind": kind, "metadata": {"name": name}, "timestamp": stamp, "usage": dict(usage)}
    containers = [{"name": "main", "usage": dict(usage)}, {"name": "side", "usage": {"cpu": "1m", "memory": "1Mi"}}]
    metadata = {"name": name, "namespace": "inference"}
    return {"kind": kind, "metadata": metadata, "timestamp": stamp, "containers": containers}


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Cluster]:
    """Makes a connection to the API server at an address."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # the client caches what it discovers

    def to(url: str) -> Cluster:
        config = kubeconfig(url, tmp_path / "config")
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(config))
        return Cluster()

    return to


# engines


@pytest.mark.parametrize("name", ["vllm", "sglang"])
async def test_an_engines_own_figures_are_read_under_one_name_for_both_engines(name: str) -> None:
    async with MockEngine(PERSONALITIES[name], Behaviour(), host="127.0.0.1", port=0) as engine:
        body = b'{"model": "mock-model", "prompt": "one two three", "max_tokens": 5}'
        await asyncio.to_thread(_post, f"{engine.url}/v1/completions", body)
        (reading,) = await asyncio.to_thread(lambda: list(EngineFigures("a", engine.url).read()))
    assert reading.subject == "a"
    assert reading.absent is None
    assert reading.values["running_requests"] == 0
    assert reading.values["generation_tokens_total"] == 5
    assert reading.values["prompt_tokens_total"] > 0


def _post(url: str, body: bytes) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, body, {"content-type": "application/json"})) as answer:
        answer.read()


def test_figures_are_summed_over_labels_and_shares_are_averaged_in_percent() -> None:
    text = """# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 4.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.75
vllm:num_requests_running_by_lora{model_name="m"} 100.0
vllm:e2e_request_latency_seconds_bucket{le="0.3",model_name="a b{c}"} 7.0
"""
    assert figures(text) == {"running_requests": 7.0, "kv_cache_percent": 50.0}


def test_sglangs_names_lead_to_the_same_figures() -> None:
    text = 'sglang:num_running_reqs{tp_rank="0"} 2\nsglang:num_queue_reqs{tp_rank="0"} 5\nsglang:token_usage 0.5\n'
    assert figures(text) == {"running_requests": 2.0, "waiting_requests": 5.0, "kv_cache_percent": 50.0}


@pytest.mark.parametrize(
    ("status", "text", "reason"),
    [
        (404, "", "/metrics answers 404 (SGLang: --enable-metrics)"),
        (500, "", "/metrics answers 500"),
        (200, "up 1\n", "/metrics has none of the figures of vLLM or SGLang"),
        (200, "vllm:num_requests_running{oops 1\n", "/metrics is not in Prometheus' text format"),
    ],
)
def test_an_engine_without_figures_is_absent_with_the_reason(status: int, text: str, reason: str) -> None:
    with serving(lambda path: (status, text)) as url:
        (reading,) = EngineFigures("a", url).read()
    assert reading.values == {}
    assert reading.absent == f"{url}{reason}"


def test_an_engine_that_is_gone_is_absent() -> None:
    with serving(lambda path: (200, "")) as url:
        pass  # nobody listens there any more
    (reading,) = EngineFigures("a", url).read()
    assert reading.absent == f"{url}/metrics gives no answer (ConnectionRefusedError)"


# GPUs


def test_every_gpu_is_read_and_figures_that_it_does_not_have_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi(
        tmp_path,
        monkeypatch,
        'echo "0, NVIDIA L4, 97, 1024, 61.5, 55, 2040"\necho "1, NVIDIA L4, 0, 2, [N/A], 40, 210"',
    )
    first, second = Gpus().read()
    assert (first.subject, second.subject) == ("0 NVIDIA L4", "1 NVIDIA L4")
    assert first.values == {
        "gpu_percent": 97,
        "memory_bytes": 2**30,
        "power_watts": 61.5,
        "temperature_celsius": 55,
        "sm_clock_megahertz": 2040,
    }
    assert "power_watts" not in second.values


def test_nvidia_smi_is_asked_for_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/asked')
    assert list(Gpus().read()) == []
    assert (tmp_path / "asked").read_text(encoding="utf-8").split() == [
        "--query-gpu=index,name,utilization.gpu,memory.used,power.draw,temperature.gpu,clocks.sm",
        "--format=csv,noheader,nounits",
    ]


def test_a_failing_nvidia_smi_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(tmp_path, monkeypatch, 'echo "NVIDIA-SMI has failed"; exit 9')
    (reading,) = Gpus().read()
    assert reading.absent == "nvidia-smi failed with 9: NVIDIA-SMI has failed"


def test_a_machine_without_nvidia_smi_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (reading,) = Gpus().read()
    assert reading.absent == "there is no nvidia-smi on the client's machine"


# pods and nodes


def test_pods_are_summed_over_their_containers_and_nodes_stand_beside_them(connect: Callable[[str], Cluster]) -> None:
    objects = [
        metrics_of("PodMetrics", "vllm-0", {"cpu": "2500m", "memory": "2Gi"}),
        metrics_of("NodeMetrics", "node-1", {"cpu": "3000000000n", "memory": "4096Ki"}),
    ]
    with api_server(objects) as url:
        pods = Pods(connect(url), ["inference"])
        pod, node = pods.read()
        again = list(pods.read())
    assert pod == Reading("pod", "inference/vllm-0", {"cpu_cores": 2.501, "memory_bytes": 2 * 2**30 + 2**20})
    assert node == Reading("node", "node-1", {"cpu_cores": 3.0, "memory_bytes": 2**22})
    assert again == [], "the same measurement is not told twice"


def test_labels_choose_among_a_namespaces_pods(connect: Callable[[str], Cluster]) -> None:
    figures = {"cpu": "1", "memory": "1Ki"}
    objects = [metrics_of("PodMetrics", f"{app}-0", figures) for app in ("vllm", "sglang", "router")]
    for one in objects:
        one["metadata"]["labels"] = {"app": one["metadata"]["name"].removesuffix("-0"), "tier": "engine"}
    with api_server(objects) as url:
        found = list(Pods(connect(url), ["inference/app=vllm,tier=engine", "inference/app=sglang"]).read())
        (absent,) = Pods(connect(url), ["inference/app=trt"]).read()
    assert [one.subject for one in found] == ["inference/vllm-0", "inference/sglang-0"]
    assert (absent.subject, absent.absent) == ("inference/app=trt", "no pod of these labels has figures yet")


def test_figures_that_may_not_be_read_are_absent_with_the_reason(connect: Callable[[str], Cluster]) -> None:
    objects = [metrics_of("PodMetrics", "vllm-0", {"cpu": "1", "memory": "1Ki"})]
    with api_server(objects, forbidden=["NodeMetrics"]) as url:
        pod, node = Pods(connect(url), ["inference"]).read()
    assert pod.absent is None
    assert node.absent == "metrics.k8s.io/v1beta1 NodeMetrics: 403 Forbidden"


def test_a_cluster_without_the_metrics_api_says_so(
    connect: Callable[[str], Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("PodMetrics", "NodeMetrics"):
        monkeypatch.delitem(PLURALS, kind)
    with api_server([]) as url:
        readings = list(Pods(connect(url), ["inference"]).read())
    assert {reading.kind for reading in readings} == {"pod", "node"}
    assert all("no metrics API" in (reading.absent or "") for reading in readings)


def test_a_cluster_that_is_gone_during_the_run_is_absent_not_an_error(connect: Callable[[str], Cluster]) -> None:
    with api_server([metrics_of("PodMetrics", "vllm-0", {"cpu": "1", "memory": "1"})]) as url:
        pods = Pods(connect(url), ["inference"])
        list(pods.read())
    assert all(reading.absent for reading in pods.read())


def test_inside_a_pod_its_service_account_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("sesame", encoding="utf-8")
    shutil.copy(certifi.where(), tmp_path / "ca.crt")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    with socket.socket() as closed:  # bound, but nobody listens
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(port))
        with pytest.raises(UserError, match=rf"can't reach the cluster: .*127\.0\.0\.1.*{port}"):
            Cluster()
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    with pytest.raises(UserError, match="can't reach the cluster: there is no kubeconfig at "):
        Cluster()


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("3", 3), ("250m", 0.25), ("12n", 1.2e-8), ("5u", 5e-6), ("2Ki", 2048), ("1M", 1e6)]
)
def test_quantities_are_read(text: str, value: float) -> None:
    assert quantity(text) == pytest.approx(value)


# the client


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux' /proc")
def test_the_measuring_process_is_watched_until_it_is_gone() -> None:
    code = "import time\nwhile time.process_time() < 0.2: pass\nprint(flush=True)\ninput()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    source = ClientProcess(process.pid)
    (reading,) = source.read()
    process.communicate(b"\n")
    assert reading.values["cpu_seconds_total"] >= 0.15, "a tick is 10 ms"
    assert reading.values["memory_bytes"] > 2**20
    assert list(source.read()) == []


# the sampler


class Scripted:
    """A source that says one thing after the other, then the last one for ever."""

    def __init__(self, *readings: Reading) -> None:
        self._left = list(readings)
        self.asked = 0

    def read(self) -> Iterator[Reading]:
        """The next one."""
        self.asked += 1
        yield self._left.pop(0) if len(self._left) > 1 else self._left[0]


def test_samples_are_on_disk_in_time_and_a_reason_is_told_once(tmp_path: Path) -> None:
    run = make_run("a", "b")
    records.create(tmp_path, run)
    figures_of = Scripted(Reading("engine", "a", {"running_requests": 1.0}))
    absent = Scripted(
        Reading("gpu", "", absent="gone"), Reading("gpu", "", absent="gone"), Reading("gpu", "", absent="still gone")
    )
    with Sampler(tmp_path, Clock(run.started_at), [figures_of, absent], period=0.01):
        while min(figures_of.asked, absent.asked) < 6:
            time.sleep(0.01)
    samples = records.read(tmp_path).samples
    assert [sample.absent for sample in samples if sample.source == "gpu"] == ["gone", "still gone"]
    times = [sample.at for sample in samples if sample.source == "engine"]
    assert len(times) >= 6
    assert times == sorted(times)


def test_an_engine_behind_the_gateway_alone_is_absent_and_the_user_is_told_what_to_add(tmp_path: Path) -> None:
    run = make_run("a", "b")
    arms = (msgspec.structs.replace(run.arms[0], engine_url=None), run.arms[1])
    run = msgspec.structs.replace(run, arms=arms)
    records.create(tmp_path, run)
    with sampling(tmp_path, run, cluster((), None))(os.getpid()):
        while {sample.source for sample in records.read(tmp_path).samples} < {"engine", "pod", "node", "gpu", "client"}:
            time.sleep(0.02)
    absent = {(sample.source, sample.subject): sample.absent for sample in records.read(tmp_path).samples}
    assert absent["engine", "a"] == "only the gateway's address is known; add --url a=URL"
    assert absent["pod", ""] == "no namespace was named (--pods NAMESPACE)"


def test_a_cluster_that_can_not_be_reached_ends_the_run_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with api_server([]) as url:
        config = kubeconfig(url, tmp_path / "config")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(config))
    with pytest.raises(UserError, match="can't reach the cluster"):
        cluster(["inference"], None)


async def test_a_run_samples_beside_its_latencies_and_reports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi(tmp_path, monkeypatch, 'echo "0, NVIDIA L4, 50, 1024, 60, 50, 2000"')
    behaviour = Behaviour(ttft=0.02)
    async with (
        MockEngine(PERSONALITIES["vllm"], behaviour, host="127.0.0.1", port=0) as one,
        MockEngine(PERSONALITIES["sglang"], behaviour, host="127.0.0.1", port=0) as two,
    ):
        options = ["--url", f"a={one.url}", "--url", f"b={two.url}", "--blocks", "6", "--requests", "4"]
        sizes = [
            "--concurrency",
            "2",
            "--input-tokens",
            "20",
            "--output-tokens",
            "3",
            "--output-dir",
            str(tmp_path / "run"),
        ]
        found = await asyncio.to_thread(CliRunner().invoke, cli, ["bench", *options, *sizes])
    assert "NVIDIA L4" in found.stdout
    assert "Not sampled: pod: no namespace was named" in found.stdout
    sources = {sample.source for sample in records.read(tmp_path / "run").samples if sample.absent is None}
    assert sources >= {"engine", "gpu"}
    assert "NVIDIA L4" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert b'"gpu_percent"' in (tmp_path / "run" / "report.json").read_bytes()
