"""What target envoy-gateway makes of a plan: which objects, how they hang together, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from routegen import plan as ir
from routegen.common.text import to_yaml
from routegen.emit.gateway_api import reach as gateway_api
from routegen.emit.kubernetes.objects import child_name, quantity
from routegen.pipeline import render
from routegen.targets import Output
from routegen.targets.envoy_gateway import EnvoyGateway
from support.plans import SGLANG, TWO_ENGINES, VLLM, plans, with_gateway, with_router


def said(plan: ir.Plan) -> list[str]:
    """What the person who renders is told."""
    return [remark.message for remark in EnvoyGateway().examine(plan)]


def named(output: Output, kind: str) -> dict[str, Any]:
    """Name -> object, of one kind."""
    return {document.name: document.document for document in output.documents if document.kind == kind}


def only(output: Output, kind: str) -> Any:
    """The one object of a kind."""
    (document,) = named(output, kind).values()
    return document


def reached_by(reach: ir.Reach, **changes: Any) -> ir.Plan:
    """Two engines, the first of which is reached so."""
    return replace(TWO_ENGINES, backends=(replace(VLLM, reach=reach, **changes), SGLANG))


def test_the_kinds_come_in_an_order_that_is_safe_to_apply() -> None:
    kinds = [document.kind for document in render(TWO_ENGINES).documents]
    assert list(dict.fromkeys(kinds)) == [
        "EnvoyProxy",
        "Gateway",
        "ClientTrafficPolicy",
        "ConfigMap",
        "Service",
        "Deployment",
        "PodDisruptionBudget",
        "EndpointSlice",
        "HTTPRouteFilter",
        "BackendTrafficPolicy",
        "EnvoyExtensionPolicy",
        "HTTPRoute",
    ]


def test_requests_can_wait_only_once_every_decision_has_a_route() -> None:
    names = list(named(render(TWO_ENGINES), "HTTPRoute"))
    assert names == [
        "compare-to-vllm",
        "compare-to-sglang",
        "compare-models",
        "compare-waiting",
        "compare-not-found",
    ]


def test_another_backend_changes_only_what_the_router_reads() -> None:
    added = ir.Backend("trt", ir.ServiceRef("trt-svc", "engines", 8000), owner="trtllm", models=("llama",))
    before = {document.filename: to_yaml([document.document]) for document in render(TWO_ENGINES).documents}
    grown = replace(TWO_ENGINES, backends=(VLLM, added, SGLANG))
    after = {document.filename: to_yaml([document.document]) for document in render(grown).documents}
    assert after.keys() - before.keys() == {
        "httproute-compare-to-trt.yaml",
        "referencegrant-inference-compare-trt.yaml",
    }
    assert {name for name in before if before[name] != after[name]} == {
        "configmap-compare-router.yaml",
        "deployment-compare-router.yaml",
    }


@given(plans(), st.randoms(use_true_random=False))
def test_the_order_of_backends_changes_no_route(plan: ir.Plan, random: Any) -> None:
    shuffled = replace(plan, backends=tuple(random.sample(plan.backends, len(plan.backends))))
    assert named(render(shuffled), "HTTPRoute") == named(render(plan), "HTTPRoute")


@given(plans())
def test_no_two_objects_of_a_kind_share_a_name_or_a_file(plan: ir.Plan) -> None:
    documents = render(plan).documents
    assert len({(document.kind, document.name) for document in documents}) == len(documents)
    assert len({document.filename for document in documents}) == len(documents)


@given(plans())
def test_every_object_bears_the_labels_that_find_it(plan: ir.Plan) -> None:
    for document in render(plan).documents:
        labels = document.document["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == plan.name
        assert labels["app.kubernetes.io/managed-by"] == "routegen"


@given(plans())
def test_routes_keep_to_the_limits_of_gateway_api(plan: ir.Plan) -> None:
    for route in named(render(plan), "HTTPRoute").values():
        counts = [len(rule["matches"]) for rule in route["spec"]["rules"]]
        assert len(counts) <= 16
        assert max(counts) <= 64
        assert sum(counts) <= 128


def test_more_paths_than_an_http_route_holds_make_a_second_one_with_the_same_action() -> None:
    plan = replace(TWO_ENGINES, paths=tuple(f"/v1/{index}" for index in range(150)))
    routes = named(render(plan), "HTTPRoute")
    first, second = routes["compare-to-vllm"]["spec"]["rules"], routes["compare-to-vllm.2"]["spec"]["rules"]
    assert [len(rule["matches"]) for rule in (*first, *second)] == [64, 64, 22]
    assert all(one["backendRefs"] == other["backendRefs"] for one, other in pairwise((*first, *second)))


def test_somebody_elses_gateway_gets_neither_policies_nor_a_route_of_everything() -> None:
    output = render(with_gateway(TWO_ENGINES, create=False))
    assert not {"Gateway", "ClientTrafficPolicy"} & {document.kind for document in output.documents}
    assert "compare-not-found" not in named(output, "HTTPRoute")


def test_somebody_elses_gateway_is_told_what_its_policy_must_hold() -> None:
    (notice,) = said(with_gateway(TWO_ENGINES, create=False, namespace="gateways"))
    assert notice.startswith("Gateway gateways/gateway is not rendered")
    assert "bufferLimit: 32Mi" in notice
    assert "- x-inference-server" in notice


def test_a_gateway_elsewhere_lets_in_the_routes_namespace_only() -> None:
    gateway = only(render(with_gateway(TWO_ENGINES, namespace="gateways")), "Gateway")
    assert gateway["metadata"]["namespace"] == "gateways"
    assert gateway["spec"]["listeners"][0]["allowedRoutes"] == {
        "namespaces": {
            "from": "Selector",
            "selector": {"matchLabels": {"kubernetes.io/metadata.name": "inference"}},
        }
    }


def test_a_listener_with_a_secret_ends_tls() -> None:
    listeners = (ir.Listener("https", 443, tls=ir.ListenerTLS(secret="cert")),)
    gateway = only(render(with_gateway(TWO_ENGINES, listeners=listeners)), "Gateway")
    assert gateway["spec"]["listeners"][0]["protocol"] == "HTTPS"
    assert gateway["spec"]["listeners"][0]["tls"] == {
        "mode": "Terminate",
        "certificateRefs": [{"group": "", "kind": "Secret", "name": "cert"}],
    }


def test_the_router_is_attached_to_waiting_and_engine_routes_and_to_no_other() -> None:
    plan = replace(TWO_ENGINES, passthrough=(ir.Passthrough("/tokenize", "POST", "vllm"),))
    output = render(plan)
    selectors = only(output, "EnvoyExtensionPolicy")["spec"]["targetSelectors"]
    attached = {
        name
        for name, route in named(output, "HTTPRoute").items()
        for selector in selectors
        if selector["matchLabels"].items() <= route["metadata"]["labels"].items()
    }
    assert attached == {"compare-to-vllm", "compare-to-sglang", "compare-models", "compare-waiting"}


def test_the_router_fails_closed_where_no_failure_backend_is_named() -> None:
    assert only(render(TWO_ENGINES), "EnvoyExtensionPolicy")["spec"]["extProc"][0]["failOpen"] is False


def test_with_a_failure_backend_the_waiting_route_alone_fails_open() -> None:
    output = render(with_router(TWO_ENGINES, failure_backend="sglang"))
    policies = named(output, "EnvoyExtensionPolicy")
    found = {
        route: policy["spec"]["extProc"][0]["failOpen"]
        for route, labels in ((name, one["metadata"]["labels"]) for name, one in named(output, "HTTPRoute").items())
        for policy in policies.values()
        for selector in policy["spec"]["targetSelectors"]
        if selector["matchLabels"].items() <= labels.items()
    }
    assert found == {
        "compare-to-vllm": False,
        "compare-to-sglang": False,
        "compare-models": False,
        "compare-waiting": True,
    }


def test_the_router_policy_leads_to_the_routers_service() -> None:
    output = render(TWO_ENGINES)
    (reference,) = only(output, "EnvoyExtensionPolicy")["spec"]["extProc"][0]["backendRefs"]
    service = named(output, "Service")["compare-router"]
    assert reference["name"] == service["metadata"]["name"]
    assert reference["port"] in [port["port"] for port in service["spec"]["ports"]]


def test_a_service_elsewhere_is_granted_by_name_and_to_our_routes_only() -> None:
    output = render(reached_by(ir.ServiceRef("vllm-svc", "engines", 8000)))
    grant = only(output, "ReferenceGrant")
    assert grant["metadata"]["namespace"] == "engines"
    assert grant["spec"] == {
        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "inference"}],
        "to": [{"group": "", "kind": "Service", "name": "vllm-svc"}],
    }


def test_a_pool_is_referred_to_without_a_port_by_gateways_that_know_it() -> None:
    pool = ir.PoolRef("llama", "inference")
    reach = gateway_api.pool(reached_by(pool), VLLM, pool)
    assert reach.refs == (
        {
            "group": "inference.networking.k8s.io",
            "kind": "InferencePool",
            "name": "llama",
            "namespace": "inference",
            "weight": 1,
        },
    )


def test_names_and_addresses_go_to_backends_of_their_own_by_weight() -> None:
    endpoints = (("10.0.0.1", 80), ("Engine.example.com", 81), ("fd00::1", 82))
    plan = reached_by(ir.Addresses(endpoints))
    output = render(plan)
    backends = {name: backend["spec"]["endpoints"] for name, backend in named(output, "Backend").items()}
    assert backends == {
        "compare-vllm": [{"ip": {"address": "10.0.0.1", "port": 80}}, {"ip": {"address": "fd00::1", "port": 82}}],
        "compare-vllm.2": [{"fqdn": {"hostname": "engine.example.com", "port": 81}}],
    }
    (rule,) = named(output, "HTTPRoute")["compare-to-vllm"]["spec"]["rules"]
    assert [(ref["name"], ref["weight"]) for ref in rule["backendRefs"]] == [("compare-vllm", 2), ("compare-vllm.2", 1)]
    assert any("enableBackend" in notice for notice in said(plan))


def test_a_verified_service_is_verified_by_the_name_that_is_connected_to() -> None:
    output = render(reached_by(ir.ServiceRef("vllm-svc", "engines", 8443), tls=ir.UpstreamTLS()))
    policy = only(output, "BackendTLSPolicy")
    assert policy["metadata"]["namespace"] == "engines"
    assert policy["spec"] == {
        "targetRefs": [{"group": "", "kind": "Service", "name": "vllm-svc"}],
        "validation": {"hostname": "vllm-svc.engines.svc.cluster.local", "wellKnownCACertificates": "System"},
    }


def test_an_unverified_service_becomes_a_backend_with_its_cluster_name() -> None:
    output = render(reached_by(ir.ServiceRef("vllm-svc", "engines", 8443), tls=ir.UpstreamTLS(verify=False)))
    assert only(output, "Backend")["spec"] == {
        "endpoints": [{"fqdn": {"hostname": "vllm-svc.engines.svc.cluster.local", "port": 8443}}],
        "tls": {"insecureSkipVerify": True, "sni": "vllm-svc.engines.svc.cluster.local"},
    }
    assert not named(output, "ReferenceGrant")


def test_each_verified_name_has_a_backend_of_its_own() -> None:
    output = render(reached_by(ir.Addresses((("a.example.com", 443), ("b.example.com", 443))), tls=ir.UpstreamTLS()))
    hostnames = [policy["spec"]["validation"]["hostname"] for policy in named(output, "BackendTLSPolicy").values()]
    assert hostnames == ["a.example.com", "b.example.com"]
    assert len(named(output, "Backend")) == 2


def test_a_dot_at_the_end_of_a_name_is_left_out() -> None:
    output = render(reached_by(ir.Addresses((("Engine.example.com.", 443),)), tls=ir.UpstreamTLS()))
    assert only(output, "Backend")["spec"]["endpoints"] == [{"fqdn": {"hostname": "engine.example.com", "port": 443}}]
    assert only(output, "BackendTLSPolicy")["spec"]["validation"]["hostname"] == "engine.example.com"


def test_more_endpoints_than_a_backend_holds_make_a_second_one() -> None:
    endpoints = tuple((f"10.0.{index // 250}.{index % 250}", 80) for index in range(300))
    backends = named(render(reached_by(ir.Addresses(endpoints))), "Backend")
    assert [len(backend["spec"]["endpoints"]) for backend in backends.values()] == [256, 44]


def test_an_ipv4_address_in_ipv6_clothes_is_written_plainly() -> None:
    (backend,) = named(render(reached_by(ir.Addresses((("::ffff:10.0.0.1", 80),)))), "Backend").values()
    assert backend["spec"]["endpoints"] == [{"ip": {"address": "10.0.0.1", "port": 80}}]


@given(st.integers(1, 2**40))
def test_a_quantity_is_exact(size: int) -> None:
    text = quantity(size)
    number, unit = text.rstrip("GMKi"), text.lstrip("0123456789")
    assert int(number) * {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}[unit] == size


@given(st.text("abc-", min_size=1, max_size=70), st.text("abc-", min_size=1, max_size=70))
def test_a_long_name_is_shortened_and_stays_its_own(one: str, other: str) -> None:
    assert len(child_name(one, "router")) <= 63
    assert (child_name(one, "router") == child_name(other, "router")) == (one == other)
