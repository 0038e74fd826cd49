"""What istiod makes of the EnvoyFilter, and what a plain Envoy does with it: the parts that nothing reports on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from support.cluster import istio
from support.cluster.cluster import Cluster, Installation, rendered
from support.cluster.sandbox import wait_for
from support.cluster.stand_ins import endpoint, slice_of

NAMESPACE = "mesh"
ROUTES = f"""\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {{name: pair, namespace: {NAMESPACE}}}
spec:
  gateway: {{name: front}}
  maxBodyBytes: 1Mi
  passthrough: [{{path: /tokenize, method: POST, backend: b}}]
  backends:
    a: {{service: {{name: a, port: 8000}}}}
    b: {{service: {{name: b, port: 8000}}}}
    outside: {{endpoints: ["ADDRESS:8000"], ownedBy: elsewhere}}
"""
BESIDE = f"""\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {{name: beside, namespace: {NAMESPACE}}}
spec:
  gateway: {{name: front, create: false, hostnames: [beside.example.com]}}
  maxBodyBytes: 2Mi
  backends:
    b: {{service: {{name: b, port: 8000}}}}
"""
POOL = "    pool: {inferencePool: {name: llama}, ownedBy: vllm, models: [llama]}\n"
CHAT = "/v1/chat/completions"
REQUESTS: Mapping[str, tuple[str, str, bytes | None, list[tuple[str, str]]]] = {
    "a good one": ("POST", CHAT, b'{"model": "m", "inference_server": "a"}', []),
    "an unknown engine": ("POST", CHAT, b'{"inference_server": "gold"}', []),
    "broken JSON": ("POST", CHAT, b"{", []),
    "a forged routing header": ("POST", CHAT, b"{}", [("x-inference-server", "b")]),
    "too large a body": ("POST", CHAT, b'{"pad": "' + b"x" * 1_200_000 + b'"}', []),
    "the models": ("GET", "/v1/models", None, []),
    "another path": ("GET", "/metrics", None, []),
    "a passthrough": ("POST", "/tokenize", b"{}", []),
}


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Iterator[Installation]:
    cluster.namespace(NAMESPACE)
    for name in "ab":
        cluster.engines.add(f"{NAMESPACE}-{name}", name, NAMESPACE, "vllm", ["m"])
    cluster.engines.add("outside", "outside", NAMESPACE, "vllm", ["m"])
    with cluster.installed(ROUTES.replace("ADDRESS", cluster.engines["outside"].host)) as installation:
        yield installation
    assert istio.refusals(cluster.sandbox) == [], "only this log says that Envoy refused something"


def status(installed: Installation, kind: str) -> int:
    method, path, body, headers = REQUESTS[kind]
    return installed.request(method, path, body, headers).status


def found(dump: Any, kind: str) -> list[Any]:
    """All objects in a configuration that have a field of this name."""
    if isinstance(dump, list):
        return [one for item in dump for one in found(item, kind)]
    if isinstance(dump, dict):
        return [*([dump] if kind in dump else []), *(one for value in dump.values() for one in found(value, kind))]
    return []


def holds(given: Any, wanted: Any) -> bool:
    """Whether all of ``wanted`` is in ``given``; numbers may be written as texts, enumerations may be left out."""
    if isinstance(wanted, dict):
        return isinstance(given, dict) and all(
            key in given and holds(given[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(given, list) and all(any(holds(one, item) for one in given) for item in wanted)
    return str(given) == str(wanted) or (_number(wanted) is not None and _number(given) == _number(wanted))


def _number(value: Any) -> float | None:
    """A number or a duration, however it is written."""
    try:
        return float(str(value).removesuffix("s"))
    except ValueError:
        return None


def managers(installed: Installation) -> list[Any]:
    """The HTTP connection managers of the Gateway's listeners."""
    assert installed.proxy is not None
    return [one for one in found(installed.proxy.dump(), "http_filters") if "stat_prefix" in one]


def filters(installed: Installation) -> list[str]:
    """The HTTP filters of the one listener, in order."""
    [manager] = managers(installed)
    return [one["name"] for one in manager["http_filters"]]


def patches(installed: Installation, apply_to: str) -> list[Any]:
    documents = yaml.safe_load_all(rendered(installed.plan))
    [envoy_filter] = [one for one in documents if one["kind"] == "EnvoyFilter"]
    return [one for one in envoy_filter["spec"]["configPatches"] if one["applyTo"] == apply_to]


def test_every_patch_is_in_what_envoy_has(installed: Installation) -> None:
    """It passes over names that nothing bears, and fields that it doesn't know, without a word."""
    assert installed.proxy is not None
    dump = installed.proxy.dump()
    [manager] = managers(installed)
    [reading] = patches(installed, "NETWORK_FILTER")
    assert holds(manager, reading["patch"]["value"]["typed_config"])
    for patch in patches(installed, "HTTP_FILTER"):
        assert any(holds(one, patch["patch"]["value"]) for one in manager["http_filters"]), patch
    clusters = {one["name"]: one for one in found(dump, "circuit_breakers")}
    for patch in patches(installed, "CLUSTER"):
        assert holds(clusters[patch["match"]["cluster"]["name"]], patch["patch"]["value"])
    routes = [one for one in found(dump, "match") if "name" in one]
    for patch in patches(installed, "HTTP_ROUTE"):
        name = patch["match"]["routeConfiguration"]["vhost"]["route"]["name"]
        named = [one for one in routes if one["name"] == name]
        assert named, name
        assert all(holds(one, patch["patch"]["value"]) for one in named), name


def test_no_route_is_cut_off_by_time(installed: Installation) -> None:
    assert installed.proxy is not None
    routes = [one for one in found(installed.proxy.dump(), "route") if "cluster" in one["route"]]
    assert {one["route"]["timeout"] for one in routes} == {"0s"}
    engines = [one["route"] for one in routes if ".pair-to-" in one["name"]]
    assert {one["retry_policy"]["retry_on"] for one in engines} == {"connect-failure,refused-stream"}


def test_destination_rules_are_in_the_clusters(installed: Installation) -> None:
    assert installed.proxy is not None
    clusters = {one["name"]: one for one in found(installed.proxy.dump(), "circuit_breakers")}
    kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    engine = clusters[f"outbound|8000||a.{NAMESPACE}.svc.cluster.local"]
    assert engine["typed_extension_protocol_options"][kind]["common_http_protocol_options"]["idle_timeout"] == "4s"
    assert engine["outlier_detection"]["split_external_local_origin_errors"]
    assert engine["circuit_breakers"]["thresholds"][0]["max_requests"] == 10000
    router = clusters[f"outbound|50051||pair-router.{NAMESPACE}.svc.cluster.local"]
    http2 = router["typed_extension_protocol_options"][kind]["explicit_http_config"]["http2_protocol_options"]
    assert http2["connection_keepalive"] == {"interval": "1s", "timeout": "1s"}


def test_an_address_outside_is_reached(installed: Installation) -> None:
    engines = installed.cluster.engines
    engines.forget()
    reply = installed.post({"model": "m", "inference_server": "outside"})
    assert (reply.status, reply.header("x-inference-server")) == (200, "outside")
    assert engines.reached() == {"outside": 1}


@pytest.mark.parametrize("pieces", [False, True], ids=["with a length", "chunked"])
def test_a_body_that_is_too_large_is_told_so_in_openais_shape(installed: Installation, pieces: bool) -> None:
    body = REQUESTS["too large a body"][2]
    assert body is not None
    reply = installed.request("POST", CHAT, iter([body]) if pieces else body)
    assert (reply.status, reply.code) == (413, "request_too_large")
    small = b'{"inference_server": "a", "pad": "' + b"x" * 1_000_000 + b'"}'
    assert installed.request("POST", CHAT, iter([small]) if pieces else small).status == 200


def test_what_is_not_served_is_404_in_openais_shape(installed: Installation) -> None:
    reply = installed.request(*REQUESTS["another path"])
    assert (reply.status, reply.code) == (404, "not_found")


@contextmanager
def attached(installed: Installation, kind: str, version: str, spec: Mapping[str, Any]) -> Iterator[None]:
    """A policy on the Gateway, as its owner would attach one."""
    name = {"name": "theirs", "namespace": NAMESPACE}
    gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "front"}
    installed.api.create(
        {"apiVersion": version, "kind": kind, "metadata": name, "spec": {"targetRefs": [gateway], **spec}}
    )
    try:
        yield
    finally:
        assert installed.api.kubectl("-n", NAMESPACE, "delete", kind.lower(), "theirs").code == 0


def test_whom_authorization_denies_gets_nothing_at_all(installed: Installation) -> None:
    engines = installed.cluster.engines
    key = {"key": "request.headers[x-key]", "values": ["k"]}
    policy = {"action": "ALLOW", "rules": [{"when": [key]}]}
    with attached(installed, "AuthorizationPolicy", "security.istio.io/v1", policy):
        wait_for(lambda: status(installed, "a good one") == 403, "the denial")
        engines.forget()
        assert {kind: status(installed, kind) for kind in REQUESTS} == dict.fromkeys(REQUESTS, 403)
        assert engines.reached() == {}
        order = [name.partition("/")[0] for name in filters(installed)]
        places = [
            order.index(f"envoy.filters.http.{name}") for name in ("rbac", "buffer", "ext_proc", "grpc_stats", "router")
        ]
        assert places == sorted(places)
        method, path, body, headers = REQUESTS["a good one"]
        assert installed.request(method, path, body, [*headers, ("x-key", "k")]).status == 200
    wait_for(lambda: status(installed, "a good one") == 200, "the denial to end")


def test_without_any_router_everything_that_needs_one_is_503_and_says_why(installed: Installation) -> None:
    engines = installed.cluster.engines
    installed.routers.vanish()
    try:
        wait_for(lambda: status(installed, "the models") == 503, "Envoy to know")
        engines.forget()
        for kind in ("a good one", "an unknown engine", "a forged routing header", "the models"):
            reply = installed.request(*REQUESTS[kind])
            assert (kind, reply.status, reply.code) == (kind, 503, "router_unavailable")
        assert engines.reached() == {}
        status(installed, "a passthrough")
        assert engines.reached() == {f"{NAMESPACE}-b": 1}, "it never meets the router"
    finally:
        installed.routers.roll_out()
    wait_for(lambda: status(installed, "a good one") == 200, "the routers to be back")


def test_a_second_file_on_the_same_gateway_has_its_own_router_and_limit(installed: Installation) -> None:
    """And where neither is meant, no router is asked."""
    host = ("host", "beside.example.com")
    with installed.cluster.installed(BESIDE, installed.proxy) as beside:
        body = b'{"pad": "' + b"x" * 1_500_000 + b'"}'
        reply = installed.request("POST", CHAT, body, [host, ("x-inference-server", "a")])
        assert (reply.status, reply.header("x-inference-server")) == (200, "b")
        assert installed.request("POST", CHAT, body).status == 413
        beside.routers.vanish()
        wait_for(lambda: installed.request("GET", "/v1/models", headers=[host]).status == 503, "Envoy to know")
        assert status(installed, "a good one") == 200
    wait_for(lambda: installed.request("GET", "/v1/models", headers=[host]).status == 200, "its routes to be gone")


def test_the_pickers_filter_stands_behind_the_routers(installed: Installation) -> None:
    """It must see the route that the router chose."""
    pool = {
        "apiVersion": "inference.networking.k8s.io/v1",
        "kind": "InferencePool",
        "metadata": {"name": "llama", "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": {"app": "llama"}},
            "targetPorts": [{"number": 8000}],
            "endpointPickerRef": {"name": "picker", "port": {"number": 9002}},
        },
    }
    picker = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "picker", "namespace": NAMESPACE}}
    port = {"name": "grpc", "port": 9002}
    installed.api.create(pool, {**picker, "spec": {"ports": [port]}})
    installed.api.create(slice_of("picker", NAMESPACE, [port], [endpoint("10.99.255.1")]))
    before = ROUTES.replace("ADDRESS", installed.cluster.engines["outside"].host)
    installed.change(before + POOL)
    try:
        installed.wait_until_accepted()
        wait_for(lambda: "envoy.filters.http.ext_proc" in filters(installed), "the picker's filter")
        wait_for(lambda: status(installed, "a good one") == 200, "the router's filter in front of it")
        order = filters(installed)
        router = order.index(f"envoy.filters.http.ext_proc/{NAMESPACE}/pair")
        assert order.index("envoy.filters.http.ext_proc") == router + 1
    finally:
        installed.change(before)
        assert installed.api.kubectl("-n", NAMESPACE, "delete", "httproute", "pair-to-pool").code == 0
    wait_for(lambda: status(installed, "a good one") == 200, "the router's filter without a picker's")
