"""How many workers there are, and that all documents agree on it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen.emit.kubernetes import nowhere
from routegen.emit.kubernetes.router_deployment import GRPC_PORT, HTTP_PORT
from routegen.pipeline import render
from routegen.plan import Plan
from support.plans import TWO_ENGINES, with_router
from support.written import plan

KUBERNETES = "a: {service: {name: a, port: 80}}, b: {service: {name: b, port: 80}}"


def rendered(made: Plan) -> dict[tuple[str, str], dict[str, object]]:
    documents = [document.document for document in render(made).documents]
    return {(document["kind"], document["metadata"]["name"]): dict(document) for document in documents}


@pytest.mark.parametrize(
    ("router", "workers"),
    [
        ("", 1),
        ("{workers: 2, resources: {limits: {memory: 1216Mi}}}", 2),
        ("{resources: {limits: {cpu: 2}}}", 2),
        ("{resources: {limits: {cpu: 2900m}}}", 2),
        ("{resources: {limits: {cpu: 500m}}}", 1),
        ("{resources: {limits: {}, requests: {cpu: 3}}}", 3),
        ("{resources: {limits: {cpu: 2}, requests: {cpu: 1}}}", 2),
        ("{workers: 1, resources: {limits: {cpu: 8}}}", 1),
        ("{maxInflightBytes: 1Gi, resources: {limits: {cpu: 64}}}", 16),
    ],
)
def test_their_number_is_that_of_the_file_or_of_the_processors(router: str, workers: int) -> None:
    assert plan(f"  router: {router}" if router else "", backends=KUBERNETES).router.workers == workers


@pytest.mark.parametrize(
    ("router", "addresses"),
    [
        ("{}", ("127.0.0.1:50051",)),
        ("{resources: {limits: {cpu: 4}}}", ("127.0.0.1:50051",)),
        ("{workers: 2}", ("127.0.0.1:50051", "127.0.0.1:50052")),
        ('{workers: 2, addresses: ["unix:/r"]}', ("unix:/r", "unix:/r.1")),
        (
            '{workers: 2, addresses: ["[::1]:7000", "b.test:7000"]}',
            ("[::1]:7000", "[::1]:7001", "b.test:7000", "b.test:7001"),
        ),
    ],
)
def test_for_envoy_each_has_an_address_behind_its_routers(router: str, addresses: tuple[str, ...]) -> None:
    """Where no pod is rendered, nobody knows its processors."""
    made = plan(f"  gateway: {{target: envoy}}\n  router: {router}")
    assert made.router.addresses == addresses


@given(st.integers(1, 16))
def test_in_kubernetes_all_documents_agree_on_them(workers: int) -> None:
    made = rendered(with_router(TWO_ENGINES, workers=workers))
    ports = {f"grpc-{index + 1}" if index else "grpc": GRPC_PORT + index for index in range(workers)}
    [settings] = [one["data"]["router.json"] for (kind, _), one in made.items() if kind == "ConfigMap"]  # type: ignore[index]
    assert json.loads(settings)["workers"] == workers
    service = made["Service", "compare-router"]["spec"]
    assert {one["name"]: one["port"] for one in service["ports"]} == ports | {"http": HTTP_PORT}  # type: ignore[index]
    assert all(one["targetPort"] == one["name"] for one in service["ports"])  # type: ignore[index]
    [container] = made["Deployment", "compare-router"]["spec"]["template"]["spec"]["containers"]  # type: ignore[index]
    assert {one["name"]: one["containerPort"] for one in container["ports"]} == ports | {"http": HTTP_PORT}
    assert f"[::]:{GRPC_PORT}" in container["args"], "the first; the router derives the others"
    dummy = made["EndpointSlice", "compare-router-nowhere"]
    assert {one["name"]: one["port"] for one in dummy["ports"]} == ports  # type: ignore[attr-defined]
    assert [end["addresses"] for end in dummy["endpoints"]] == [[nowhere.NOBODY]]  # type: ignore[attr-defined]
    [processor] = made["EnvoyExtensionPolicy", "compare-router"]["spec"]["extProc"]  # type: ignore[index]
    assert [ref["port"] for ref in processor["backendRefs"]] == list(ports.values())
    assert HTTP_PORT not in ports.values()
    assert all(len(name) <= 15 for name in ports), "Kubernetes' limit to a port's name"
