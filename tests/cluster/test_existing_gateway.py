"""A Gateway that is somebody else's (`create: false`), before and after the printed lines are merged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from routegen.targets import find
from support.cluster.cluster import Cluster, Installation
from support.cluster.sandbox import wait_for

NAMESPACE = "guests"
HEADER = "x-inference-server"
ROUTES = f"""\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {{name: pair, namespace: {NAMESPACE}}}
spec:
  gateway: {{name: shared, namespace: owners, create: false}}
  backends:
    a: {{service: {{name: a, port: 8000}}}}
    b: {{service: {{name: b, port: 8000}}}}
"""
EG = "gateway.envoyproxy.io/v1alpha1"


def document(version: str, kind: str, name: str, namespace: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {"name": name} if not namespace else {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def shared(**more: Any) -> dict[str, Any]:
    """A Gateway as another team may have it: open to all namespaces."""
    listener = {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}}
    spec = {"gatewayClassName": "eg", "listeners": [listener], **more}
    return document("gateway.networking.k8s.io/v1", "Gateway", "shared", "owners", spec)


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Iterator[Installation]:
    for namespace in (NAMESPACE, "owners"):
        cluster.namespace(namespace)
    for name in "ab":
        cluster.engines.add(f"guests-{name}", name, NAMESPACE, "vllm", ["m"])
    cluster.api.create(shared())
    try:
        with cluster.installed(ROUTES) as installation:
            yield installation
    finally:
        assert cluster.api.kubectl("-n", "owners", "delete", "gateway", "shared").code == 0


def named(installed: Installation, body: bytes, forged: str | None = None) -> tuple[int, str | None]:
    """The answer's status and the engine that it names, perhaps to a client with a routing header of its own."""
    reply = installed.post(body, headers=[(HEADER, forged)] if forged else [])
    return reply.status, reply.header(HEADER)


def lines_to_merge(installed: Installation) -> list[dict[str, Any]]:
    """What `routegen render` says that the Gateway's policy and its EnvoyProxy must hold."""
    [remark] = [one for one in find("envoy-gateway").examine(installed.plan) if "is not rendered" in one.message]
    return [yaml.safe_load(block) for block in re.findall(r"^spec:\n(?:[ -].*\n)+", remark.message, re.MULTILINE)]


def test_before_the_lines_are_merged_no_answer_names_an_engine_that_the_client_did(installed: Installation) -> None:
    engines = installed.cluster.engines
    assert named(installed, b'{"inference_server": "a"}', "b") == (200, "a")
    assert named(installed, b'{"inference_server": "gold"}', "b") == (400, None)
    assert named(installed, b"{", "b") == (400, None)
    gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "shared"}
    deny = {"targetRefs": [gateway], "authorization": {"defaultAction": "Deny"}}
    limit = {"type": "Local", "local": {"rules": [{"limit": {"requests": 1, "unit": "Hour"}}]}}
    for kind, spec, status in (
        ("SecurityPolicy", deny, 403),
        ("SecurityPolicy", {"targetRefs": [gateway], "apiKeyAuth": API_KEYS}, 401),
        ("BackendTrafficPolicy", {"targetRefs": [gateway], "rateLimit": limit}, 429),
    ):
        installed.api.create(document(EG, kind, "theirs", "owners", spec), SECRET)
        try:
            wait_for(lambda: named(installed, b'{"inference_server": "a"}')[0] == status, f"a {status}")  # noqa: B023 - called here
            engines.forget()
            # Filters behind the router refuse what it has decided; those in front of it, what nobody has.
            assert named(installed, b'{"inference_server": "a"}', "b")[1] in {None, "a"}
            assert named(installed, b'{"inference_server": "gold"}', "b")[1] is None
            assert engines.reached() == {}
        finally:
            assert installed.api.kubectl("-n", "owners", "delete", kind.lower(), "theirs").code == 0
        wait_for(lambda: named(installed, b'{"inference_server": "a"}')[0] == 200, "it to be gone")
    installed.routers.vanish()
    try:
        wait_for(lambda: named(installed, b"{}")[0] == 503, "Envoy to know that there is no router")
        assert named(installed, b'{"inference_server": "a"}', "b") == (503, None)
    finally:
        installed.routers.roll_out()
    wait_for(lambda: named(installed, b'{"inference_server": "a"}')[0] == 200, "the routers to be back")


API_KEYS = {"credentialRefs": [{"name": "keys"}], "extractFrom": [{"headers": ["x-api-key"]}]}
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "keys", "namespace": "owners"},
    "stringData": {"somebody": "a-key"},
}


def request_id(installed: Installation) -> tuple[str, ...]:
    """What an engine sees of a client's own id."""
    installed.cluster.engines.forget()
    reply = installed.post(b'{"inference_server": "a"}', headers=[("x-request-id", "mine")])
    assert reply.status == 200
    [received] = installed.cluster.engines["guests-a"].recorder.generations()
    return received.header("x-request-id")


def test_with_the_printed_lines_it_is_as_with_a_gateway_of_ones_own(installed: Installation) -> None:
    assert request_id(installed) != ("mine",)
    assert installed.post(b'{"pad": "' + b"x" * 100_000 + b'"}').status == 200, "the waiting route's own limit"
    clients, order = lines_to_merge(installed)
    target = {"targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "shared"}]}
    installed.api.create(
        document(EG, "ClientTrafficPolicy", "theirs", "owners", target | clients["spec"]),
        document(EG, "EnvoyProxy", "theirs", "owners", order["spec"]),
        shared(
            infrastructure={"parametersRef": {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "theirs"}}
        ),
    )
    wait_for(lambda: request_id(installed) == ("mine",), "the lines to hold")
    deny = {**target, "authorization": {"defaultAction": "Deny"}}
    installed.api.create(document(EG, "SecurityPolicy", "theirs", "owners", deny))
    wait_for(lambda: installed.request("GET", "/v1/models").status == 403, "the denial")
    assert named(installed, b"{", "b") == (403, None)
    assert installed.api.kubectl("-n", "owners", "delete", "securitypolicy", "theirs").code == 0
    wait_for(lambda: installed.request("GET", "/v1/models").status == 200, "the denial to end")
    assert named(installed, b'{"inference_server": "a"}', "b") == (200, "a")
