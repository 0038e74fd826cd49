"""istiod from its Go module, and a plain Envoy where Istio would run its own build of it.

Left out, because nothing here plays its part: istio-agent (certificates of the mesh, so no automatic mutual TLS), the
sidecar injector and the validating webhook. Filters that only Istio's build of Envoy has are switched off in istiod.
"""

from __future__ import annotations

import http.client
import json
import shutil
from pathlib import Path
from typing import Any, Final

import yaml

from support.cluster import tools
from support.cluster.api import Api
from support.cluster.sandbox import Sandbox, wait_for
from support.cluster.stand_ins import endpoint, get, slice_of

VERSION: Final = "1.31.0"
MODULE: Final = "istio.io/istio@v0.0.0-20260827124520-eed52ebb66ad"
"""Its tag 1.31.0, which lacks the ``v`` that Go asks of a version."""
ENVOY: Final = "1.39.1"
SYSTEM: Final = "istio-system"
_ADMIN: Final = 15000
_XDS: Final = 15010
_READY: Final = 8080
_CHART: Final = "manifests/charts/istio-control/istio-discovery"


def folder() -> Path:
    """The program, its CRDs, and the parts of its chart that it reads."""
    return tools.FOLDER / f"istio-{VERSION}"


def build() -> None:
    """Make what is missing; ten minutes of CPU.

    :raises subprocess.CalledProcessError: a build failed; what it said is on stderr.
    """
    tools.install_envoy(ENVOY)
    if folder().exists():
        return
    program = tools.FOLDER / "pilot-discovery"
    module, _, version = MODULE.partition("@")
    flags = " ".join(f"-X {module}/pkg/version.{name}={VERSION}" for name in ("buildVersion", "buildTag"))
    tools.in_module(
        [f"require {module} {version}"], f"{module}/pilot/cmd/pilot-discovery", program, flags, "vtprotobuf,disable_pgv"
    )
    made = tools.FOLDER / "istio.new"
    shutil.rmtree(made, ignore_errors=True)
    (made / "crds").mkdir(parents=True)
    source = tools.download(MODULE)
    pool = tools.download("sigs.k8s.io/gateway-api-inference-extension@v1.5.0") / "config/crd/bases"
    standard = tools.download("sigs.k8s.io/gateway-api@v1.6.0") / "config/crd/standard"
    crds = [source / "manifests/charts/base/files/crd-all.gen.yaml", *standard.glob("gateway.*.yaml")]
    for file in [*crds, pool / "inference.networking.k8s.io_inferencepools.yaml"]:
        shutil.copyfile(file, made / "crds" / file.name)
    shutil.copyfile(source / _CHART / "values.yaml", made / "values.yaml")
    shutil.copyfile(source / _CHART / "files/kube-gateway.yaml", made / "kube-gateway.yaml")
    program.rename(made / "pilot-discovery")
    made.rename(folder())


def start(sandbox: Sandbox, api: Api) -> None:
    """Its CRDs, its settings, istiod."""
    done = api.kubectl("apply", "--server-side", "-f", str(folder() / "crds"))
    assert done.code == 0, done.err
    assert api.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s").code == 0
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
    port = {"name": "grpc-xds", "port": _XDS, "targetPort": _XDS}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "istiod", "namespace": SYSTEM}}
    api.create(_settings("istio", _mesh()), _settings("istio-sidecar-injector", _injector()))
    api.create({**service, "spec": {"ports": [port]}})
    environment = {
        "HOME": str(sandbox.folder),
        "POD_NAME": "istiod-0",
        "POD_NAMESPACE": SYSTEM,
        "SERVICE_ACCOUNT": "istiod",
        "CLUSTER_ID": "Kubernetes",
        "REVISION": "default",
        "PILOT_CERT_PROVIDER": "istiod",
        "ENABLE_DEBUG_ENDPOINT_AUTH": "false",
        "ENABLE_GATEWAY_API_INFERENCE_EXTENSION": "true",
        # What only Istio's own build of Envoy knows.
        "PILOT_ENABLE_METADATA_EXCHANGE": "false",
        "PILOT_DISABLE_MX_ALPN": "true",
        "PILOT_ENABLE_ALPN_FILTER": "false",
    }
    command = [
        *(str(folder() / "pilot-discovery"), "discovery", "--kubeconfig", str(api.kubeconfig)),
        *(f"--httpAddr=127.0.0.1:{_READY}", "--httpsAddr=127.0.0.1:15017", "--monitoringAddr=127.0.0.1:15014"),
        *(f"--grpcAddr=127.0.0.1:{_XDS}", "--secureGRPCAddr=127.0.0.1:15012"),
        *("--domain", "cluster.local", "--namespace", SYSTEM, "--log_output_level=default:info"),
    ]
    sandbox.start("istiod", command, environment)
    sandbox.wait("istiod", lambda: get("127.0.0.1", _READY, "/ready") == http.HTTPStatus.OK)


def refusals(sandbox: Sandbox) -> list[str]:
    """What proxies have refused of istiod's configuration: its log is the only place that says so."""
    text = (sandbox.folder / "istiod.log").read_text(encoding="utf-8", errors="replace")
    return [line for line in text.splitlines() if "ACK ERROR" in line]


class Proxy:
    """The pod of the Deployment that istiod makes for a Gateway, and its Envoy."""

    def __init__(self, sandbox: Sandbox, api: Api, gateway: str, namespace: str) -> None:
        self._sandbox, self._api, self._namespace = sandbox, api, namespace
        selector = f"gateway.networking.k8s.io/gateway-name={gateway}"
        deployment = api.one("deployment", namespace, selector)
        self._name = deployment["metadata"]["name"]
        self._pod = f"{self._name}-0"
        address = sandbox.address()
        template = deployment["spec"]["template"]
        self._run_pod(template, address)
        ready = dict.fromkeys(("replicas", "readyReplicas", "availableReplicas", "updatedReplicas"), 1)
        api.patch_status("deployment", self._name, namespace, {**ready, "observedGeneration": 1})
        service = api.one("service", namespace, selector)
        ports = [{"name": one["name"], "port": one["port"]} for one in service["spec"]["ports"]]
        target = {"kind": "Pod", "name": self._pod, "namespace": namespace}
        api.create(slice_of(self._name, namespace, ports, [{**endpoint(address), "targetRef": target}]))
        api.patch_status("service", self._name, namespace, {"loadBalancer": {"ingress": [{"ip": address}]}})
        file = sandbox.folder / f"{self._pod}.json"
        file.write_text(json.dumps(self._bootstrap(template["metadata"]["labels"], address)), encoding="utf-8")
        command = [str(tools.envoy(ENVOY)), "-c", str(file), "--use-dynamic-base-id", "--drain-time-s", "5"]
        sandbox.start(self._pod, command)
        wait_for(self._listens, "istiod to send a listener")

    def dump(self) -> Any:
        """Its configuration as it holds it."""
        return json.loads(self._admin("/config_dump"))

    def close(self) -> None:
        """End it."""
        self._sandbox.stop(self._pod)
        for kind, name in (("pod", self._pod), ("endpointslice", f"{self._name}-1")):
            self._api.kubectl("-n", self._namespace, "delete", kind, name, "--force", "--grace-period=0")
        for kind in ("deployment", "service"):  # there is no garbage collector
            self._api.kubectl("-n", self._namespace, "delete", kind, self._name)

    def _run_pod(self, template: Any, address: str) -> None:
        """What the Deployment's controller, the scheduler and the kubelet would do."""
        labels = {"name": self._pod, "namespace": self._namespace, "labels": template["metadata"]["labels"]}
        spec = {**template["spec"], "nodeName": "node-0"}
        self._api.create({"apiVersion": "v1", "kind": "Pod", "metadata": labels, "spec": spec})
        conditions = [{"type": "Ready", "status": "True"}]
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": conditions}
        self._api.patch_status("pod", self._pod, self._namespace, status)

    def _listens(self) -> bool:
        return len(self._admin("/listeners")) > 0

    def _admin(self, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", _ADMIN, timeout=20)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def _bootstrap(self, labels: dict[str, str], address: str) -> dict[str, Any]:
        """What istio-agent would write: who this proxy is, and where istiod is."""
        source = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
        services = [{"envoy_grpc": {"cluster_name": "xds-grpc"}}]
        kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
        http2 = {"@type": f"type.googleapis.com/{kind}", "explicit_http_config": {"http2_protocol_options": {}}}
        here = [{"endpoint": {"address": _address(_XDS)}}]
        return {
            "node": {
                "id": f"router~{address}~{self._pod}.{self._namespace}~{self._namespace}.svc.cluster.local",
                "cluster": f"{self._name}.{self._namespace}",
                "metadata": {
                    "NAME": self._pod,
                    "NAMESPACE": self._namespace,
                    "ISTIO_VERSION": VERSION,
                    "CLUSTER_ID": "Kubernetes",
                    "INSTANCE_IPS": address,
                    "LABELS": labels,
                    "WORKLOAD_NAME": self._name,
                },
            },
            "admin": {"address": _address(_ADMIN)},
            # Istio's own bootstrap says this too.
            "layered_runtime": {
                "layers": [{"name": "static", "static_layer": {"re2.max_program_size.error_level": 32768}}]
            },
            "dynamic_resources": {
                "lds_config": source,
                "cds_config": source,
                "ads_config": {
                    "api_type": "DELTA_GRPC",
                    "transport_api_version": "V3",
                    "set_node_on_first_message_only": True,
                    "grpc_services": services,
                },
            },
            "static_resources": {
                "clusters": [
                    {
                        "name": "xds-grpc",
                        "type": "STATIC",
                        "connect_timeout": "1s",
                        "typed_extension_protocol_options": {kind: http2},
                        "load_assignment": {"cluster_name": "xds-grpc", "endpoints": [{"lb_endpoints": here}]},
                    }
                ]
            },
        }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _settings(name: str, data: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": SYSTEM}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _mesh() -> dict[str, str]:
    mesh = {
        "trustDomain": "cluster.local",
        "rootNamespace": SYSTEM,
        "defaultConfig": {"discoveryAddress": f"istiod.{SYSTEM}.svc:{_XDS}", "controlPlaneAuthPolicy": "NONE"},
        "enablePrometheusMerge": False,
        # Else clusters wait for istio-agent's certificates.
        "enableAutoMtls": False,
    }
    return {"mesh": yaml.safe_dump(mesh), "meshNetworks": "networks: {}"}


def _injector() -> dict[str, str]:
    """What istiod makes a Gateway's Deployment and Service from: the chart's template and values."""
    values = yaml.safe_load((folder() / "values.yaml").read_text(encoding="utf-8"))["_internal_defaults_do_not_set"]
    shared = values["global"] | {"hub": "istio", "tag": VERSION}
    wanted = {
        "global": shared,
        "sidecarInjectorWebhook": values.get("sidecarInjectorWebhook", {}),
        "revision": "",
        "pilot": {"cni": values["cni"], "env": values["env"]},
        "gateways": {
            key: values["gateways"][key] for key in ("securityContext", "seccompProfile") if key in values["gateways"]
        },
    }
    template = (folder() / "kube-gateway.yaml").read_text(encoding="utf-8")
    config = {"policy": "enabled", "defaultTemplates": ["sidecar"], "templates": {"kube-gateway": template}}
    return {"config": yaml.safe_dump(config), "values": json.dumps(wanted)}
