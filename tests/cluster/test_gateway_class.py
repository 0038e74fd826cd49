"""A GatewayClass with settings of its own: they hold beside those of the Gateway that is rendered."""

from __future__ import annotations

from support.cluster.cluster import Cluster
from support.cluster.control_plane import SYSTEM
from support.cluster.sandbox import wait_for

NAMESPACE = "classed"
ROUTES = f"""\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {{name: pair, namespace: {NAMESPACE}}}
spec:
  gateway: {{name: own, className: settings}}
  backends:
    a: {{service: {{name: a, port: 8000}}}}
    b: {{service: {{name: b, port: 8000}}}}
"""
EG = "gateway.envoyproxy.io/v1alpha1"
GATEWAY_API = "gateway.networking.k8s.io"


def test_a_gateway_classs_own_settings_hold_beside_ours(cluster: Cluster) -> None:
    cluster.namespace(NAMESPACE)
    reference = {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "classes", "namespace": SYSTEM}
    provider = {"type": "Kubernetes", "kubernetes": {"envoyDeployment": {"replicas": 3}}}
    controller = "gateway.envoyproxy.io/gatewayclass-controller"
    cluster.api.create(
        {
            "apiVersion": EG,
            "kind": "EnvoyProxy",
            "metadata": {"name": "classes", "namespace": SYSTEM},
            "spec": {"provider": provider},
        },
        {
            "apiVersion": f"{GATEWAY_API}/v1",
            "kind": "GatewayClass",
            "metadata": {"name": "settings"},
            "spec": {"controllerName": controller, "parametersRef": reference},
        },
    )
    for name in "ab":
        cluster.engines.add(f"classed-{name}", name, NAMESPACE, "vllm", ["m"])
    with cluster.installed(ROUTES) as installed:
        assert installed.post({"inference_server": "a"}).header("x-inference-server") == "a"
        labels = (
            f"gateway.envoyproxy.io/owning-gateway-name=own,gateway.envoyproxy.io/owning-gateway-namespace={NAMESPACE}"
        )
        assert cluster.api.one("deployment", SYSTEM, labels)["spec"]["replicas"] == 3
        deny = {
            "targetRefs": [{"group": GATEWAY_API, "kind": "Gateway", "name": "own"}],
            "authorization": {"defaultAction": "Deny"},
        }
        metadata = {"name": "theirs", "namespace": NAMESPACE}
        cluster.api.create({"apiVersion": EG, "kind": "SecurityPolicy", "metadata": metadata, "spec": deny})
        wait_for(lambda: installed.request("GET", "/v1/models").status == 403, "the denial, in front of the router")
