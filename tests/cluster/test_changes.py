"""Changes of routes.yaml under load, and the page's commands for removing: they do what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from routegen import pipeline
from routegen.compile import compile_text
from support.cluster import tools
from support.cluster.cluster import Cluster, Installation
from support.cluster.gateways import TARGET
from support.cluster.load import load
from support.cluster.sandbox import wait_for
from support.gateway import Reply

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / f"docs/targets/{TARGET}.md").read_text(encoding="utf-8")
NAMESPACE = "changes"
ALL = "gateway,httproute,referencegrant,deployment,service,endpointslice,poddisruptionbudget,configmap"
OWN = {
    "envoy-gateway": "envoyproxy,clienttrafficpolicy,backendtrafficpolicy,envoyextensionpolicy,httproutefilter,"
    "backend,backendtlspolicy",
    "istio": "envoyfilter,destinationrule,serviceentry",
}


def routes(*backends: str, passthrough: str = "", rules: str = "") -> str:
    """A routes.yaml with these backends."""
    lines = "\n".join(f"    {name}: {{service: {{name: {name}, port: 8000}}}}" for name in backends)
    return f"""\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {{name: pair, namespace: {NAMESPACE}}}
spec:
  gateway: {{target: {TARGET}, name: pair}}
  passthrough: [{passthrough}]
  backends:
{lines}
  rules: [{rules}{{body: inference_server}}, {{split: {{{", ".join(f"{name}: 1" for name in backends)}}}}}]
"""


OPENED = "{path: /start_profile, method: POST, backend: c}"


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Iterator[Installation]:
    cluster.namespace(NAMESPACE)
    for name in "abc":
        cluster.engines.add(name, name, NAMESPACE, "vllm", ["m"])
    with cluster.installed(routes("a", "b", "c", passthrough=OPENED)) as installation:
        yield installation


def commands(first: str) -> list[str]:
    """The page's commands that begin with ``first``, for these routes."""
    [block] = [block for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) if block.startswith(first)]
    text = block.replace("\\\n", "").replace("-n inference", f"-n {NAMESPACE}").replace("qwen-compare", "pair")
    return str(text).splitlines()


def run(installed: Installation, folder: Path, file: str, lines: list[str]) -> None:
    """Run the commands as a user would, in a folder with this routes.yaml."""
    (folder / "routes.yaml").write_text(file, encoding="utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), str(tools.kubectl().parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(installed.api.kubeconfig)}
    for line in lines:
        if "rollout status" in line:
            installed.routers.roll_out()
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"


def names(installed: Installation, kind: str) -> set[str]:
    return {item["metadata"]["name"] for item in installed.objects(kind)}


def test_changes_and_removals_under_load_fail_no_request(installed: Installation, tmp_path: Path) -> None:
    """A backend and a passthrough go, a rule comes, a backend comes: in one load of all kinds of request."""
    assert installed.request("POST", "/start_profile", b"{}").header("x-inference-server") is None
    installed.cluster.engines.forget()

    def send(number: int) -> Reply:
        return installed.post({"model": "m", "messages": [], **({"inference_server": "a"} if number % 2 else {})})

    old = names(installed, "configmap")
    with load(send) as outcomes:
        run(installed, tmp_path, routes("a", "b"), commands("routegen render | kubectl apply"))
        wait_for(lambda: installed.request("POST", "/start_profile", b"{}").status == 404, "the passthrough to close")
        removed = names(installed, "httproute")
        later = installed.post({"model": "m", "inference_server": "c"})
        installed.change(routes("a", "b", rules="{when: {header: {x-tier: gold}}, prefer: [b]}, "))
        installed.change(routes("a", "b", "c"))
        wait_for(
            lambda: installed.post({"model": "m", "inference_server": "c"}).header("x-inference-server") == "c",
            "the backend to be back",
        )
    assert outcomes.trouble == []
    assert outcomes.statuses.keys() == {200}
    assert outcomes.total > 100
    made = pipeline.render(compile_text(routes("a", "b"), "routes.yaml")).documents
    assert removed == {one.name for one in made if one.kind == "HTTPRoute"}
    assert (later.status, later.code) == (400, "unknown_inference_server")
    assert old < names(installed, "configmap"), "what `rollout undo` goes back to is kept"


def test_everything_goes_and_nothing_else(installed: Installation, tmp_path: Path) -> None:
    bystander = {"name": "bystander", "namespace": NAMESPACE, "labels": {"app.kubernetes.io/instance": "other"}}
    installed.api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": bystander})
    run(installed, tmp_path, routes("a", "b", "c"), commands("kubectl -n inference delete httproute"))
    assert installed.objects(f"{ALL},{OWN[TARGET]}") == []
    assert installed.api.get("configmap", "bystander", NAMESPACE) is not None
    assert installed.api.get("service", "a", NAMESPACE) is not None, "the engine's own"
