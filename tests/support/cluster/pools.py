"""InferencePools of hand-made pods, and their real endpoint pickers, beside the API server."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from routegen.mock_engine import Behaviour
from support.cluster import tools
from support.cluster.api import Api
from support.cluster.cluster import Cluster
from support.cluster.sandbox import Sandbox

_POOL: Final = "inference.networking.k8s.io/v1"


def install_crds(api: Api) -> None:
    """What pools and pickers are told in."""
    done = api.kubectl("apply", "--server-side", "-f", str(tools.picker_crds()))
    assert done.code == 0, done.err
    assert api.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s").code == 0


@dataclass
class Pods:
    """Mock engines that the API server takes for pods."""

    cluster: Cluster
    namespace: str

    def add(self, name: str, labels: Mapping[str, str], personality: str, behaviour: Behaviour) -> str:
        """Run an engine and a pod that is it; its address."""
        address = self.cluster.engines.run(name, personality, behaviour)
        metadata = {"name": name, "namespace": self.namespace, "labels": dict(labels)}
        spec: dict[str, Any] = {"containers": [{"name": "engine", "image": "mock"}]}
        self.cluster.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        self.ready(name, address)
        return address

    def ready(self, name: str, address: str, *, ready: bool = True) -> None:
        """Say so, as a kubelet would."""
        condition = {"type": "Ready", "status": "True" if ready else "False"}
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": [condition]}
        self.cluster.api.patch_status("pod", name, self.namespace, status)


def make_pool(api: Api, name: str, namespace: str, labels: Mapping[str, str], failure_mode: str) -> None:
    """An InferencePool of the pods with these labels."""
    reference = {"name": f"{name}-epp", "port": {"number": 9002}, "failureMode": failure_mode}
    spec = {
        "selector": {"matchLabels": dict(labels)},
        "targetPorts": [{"number": 8000}],
        "endpointPickerRef": reference,
    }
    metadata = {"name": name, "namespace": namespace}
    api.create({"apiVersion": _POOL, "kind": "InferencePool", "metadata": metadata, "spec": spec})


@dataclass
class RealPicker:
    """The Inference Extension's picker for one pool: gRPC on ``port``, health on the next one."""

    sandbox: Sandbox
    api: Api
    pool: str
    namespace: str
    port: int
    flags: tuple[str, ...] = ()

    @property
    def process(self) -> str:
        """What it is called in the sandbox."""
        return f"epp-{self.pool}"

    def start(self) -> None:
        """Run it, and wait until it listens."""
        of = ("--pool-name", self.pool, "--pool-namespace", self.namespace, "--pool-group", _POOL.partition("/")[0])
        ports = ("--grpc-port", str(self.port), "--grpc-health-port", str(self.port + 1))
        metrics = ("--metrics-port", str(self.port + 2), "--metrics-endpoint-auth=false")
        quiet = ("--tracing=false", "--enable-pprof=false")
        command = [str(tools.picker()), *of, *ports, *metrics, *quiet, *self.flags]
        self.sandbox.start(self.process, command, {"KUBECONFIG": str(self.api.kubeconfig)})
        self.sandbox.wait(self.process, lambda: _listens(self.port))

    def log(self) -> str:
        """All that it has said."""
        return (self.sandbox.folder / f"{self.process}.log").read_text(encoding="utf-8", errors="replace")


def _listens(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.connect()
    finally:
        connection.close()
    return True
