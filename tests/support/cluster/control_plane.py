"""etcd, kube-apiserver and Envoy Gateway's controller, as processes: the parts of a cluster that decide."""

from __future__ import annotations

import base64
import http.client
import shutil
import subprocess
from pathlib import Path
from typing import Final

import yaml

from support.cluster import tools
from support.cluster.api import TOKEN, Api
from support.cluster.sandbox import Sandbox, wait_for

SYSTEM: Final = "envoy-gateway-system"
CONTROLLER: Final = "10.99.0.1"
_SERVICE: Final = "envoy-gateway"


def start_api_server(sandbox: Sandbox) -> Api:
    """A fresh etcd and an API server before it."""
    folder = sandbox.folder
    client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
    sandbox.start(
        "etcd",
        [
            *(str(tools.etcd()), "--data-dir", str(folder / "etcd"), "--unsafe-no-fsync"),
            *("--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer),
        ],
    )
    key, tokens = folder / "accounts.key", folder / "tokens.csv"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    tokens.write_text(f"{TOKEN},admin,admin,system:masters\n", encoding="utf-8")
    sandbox.start(
        "kube-apiserver",
        [
            *(str(tools.api_server()), "--etcd-servers", client, "--bind-address=127.0.0.1", "--secure-port=6443"),
            *("--advertise-address", CONTROLLER, "--service-cluster-ip-range=10.96.0.0/16"),
            *("--cert-dir", str(folder / "apiserver"), "--token-auth-file", str(tokens), "--authorization-mode=RBAC"),
            *("--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file", str(key)),
            *("--service-account-signing-key-file", str(key), "--disable-admission-plugins=ServiceAccount"),
            "--enable-aggregator-routing=true",  # to an aggregated API's endpoints: no kube-proxy leads to a Service
        ],
    )
    api = Api(folder)
    sandbox.wait("kube-apiserver", lambda: api.request("GET", "/readyz")[0] == http.HTTPStatus.OK)
    return api


def start_envoy_gateway(sandbox: Sandbox, api: Api, version: tools.Version) -> None:
    """Its CRDs, its certificates, its controller, and a GatewayClass ``eg``."""
    for folder in (tools.crds(version), tools.crds(version) / "generated"):
        done = api.kubectl("apply", "--server-side", "-f", str(folder))
        assert done.code == 0, done.err
    assert api.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s").code == 0
    port = {"name": "grpc", "port": 18000, "targetPort": 18000}
    api.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": _SERVICE, "namespace": SYSTEM},
            "spec": {"ports": [port]},
        },
    )
    environment = {
        "KUBECONFIG": str(api.kubeconfig),
        "ENVOY_GATEWAY_NAMESPACE": SYSTEM,
        "KUBERNETES_CLUSTER_DOMAIN": "cluster.local",
        "HOME": str(sandbox.folder),
    }
    program = str(tools.envoy_gateway(version))
    certificates = sandbox.folder / "certificates"
    sandbox.start("certgen", [program, "certgen", "--disable-topology-injector"], environment)
    for name in ("envoy-gateway", "envoy"):
        _fetch_secret(sandbox, api, name, certificates / name)
    # It looks for its certificates in /certs and nowhere else, so it gets a root of its own. It is one static file.
    root = sandbox.folder / "root"
    shutil.copytree(certificates / "envoy-gateway", root / "certs")
    (root / "tmp").mkdir()
    shutil.copy(program, root / "envoy-gateway")
    shutil.copy(api.kubeconfig, root / "kubeconfig")
    (root / "settings").write_text(yaml.safe_dump(_settings(version)), encoding="utf-8")
    command = ["chroot", str(root), "/envoy-gateway", "server", "--config-path=/settings"]
    sandbox.start("envoy-gateway", command, environment | {"KUBECONFIG": "/kubeconfig", "HOME": "/tmp"})
    sandbox.wait("envoy-gateway", _is_ready)
    api.create(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GatewayClass",
            "metadata": {"name": "eg"},
            "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
        }
    )


def _fetch_secret(sandbox: Sandbox, api: Api, name: str, folder: Path) -> None:
    """Wait for a Secret that certgen makes, and write its files."""
    wait_for(lambda: api.get("secret", name, SYSTEM), f"certgen to make the Secret {name}")
    folder.mkdir(parents=True)
    for file, data in api.get("secret", name, SYSTEM)["data"].items():
        (folder / file).write_bytes(base64.b64decode(data))


def _settings(version: tools.Version) -> dict[str, object]:
    """The chart's own settings, and the Backend API, which routegen asks for where a backend needs it."""
    return {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyGateway",
        "gateway": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
        "provider": {
            "type": "Kubernetes",
            "kubernetes": {
                "shutdownManager": {"image": f"envoyproxy/gateway:v{version.gateway}"},
                "proxyTopologyInjector": {"disabled": True},
            },
        },
        "extensionApis": {"enableBackend": True},
    }


def _is_ready() -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", 8081, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    finally:
        connection.close()
