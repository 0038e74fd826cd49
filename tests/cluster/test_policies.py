"""What a user attaches to the Gateway holds for the router's own answers too, and what is said while no router runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from support.cluster.cluster import Cluster, Installation
from support.cluster.sandbox import wait_for

NAMESPACE = "policies"
ROUTES = f"""\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {{name: pair, namespace: {NAMESPACE}}}
spec:
  gateway: {{name: front}}
  maxBodyBytes: 1Mi
  backends:
    a: {{service: {{name: a, port: 8000}}}}
    b: {{service: {{name: b, port: 8000}}}}
"""
GATEWAY = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "front"}
CHAT = "/v1/chat/completions"
REQUESTS: Mapping[str, tuple[str, str, bytes | None, list[tuple[str, str]]]] = {
    "a good one": ("POST", CHAT, b'{"model": "m", "inference_server": "a"}', []),
    "an unknown engine": ("POST", CHAT, b'{"inference_server": "gold"}', []),
    "broken JSON": ("POST", CHAT, b"{", []),
    "a forged routing header": ("POST", CHAT, b"{}", [("x-inference-server", "b")]),
    "a large body": ("POST", CHAT, b'{"pad": "' + b"x" * 900_000 + b'"}', []),
    "too large a body": ("POST", CHAT, b'{"pad": "' + b"x" * 1_200_000 + b'"}', []),
    "the models": ("GET", "/v1/models", None, []),
    "one model": ("GET", "/v1/models/m", None, []),
    "another path": ("GET", "/metrics", None, []),
}


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Iterator[Installation]:
    cluster.namespace(NAMESPACE)
    for name in "ab":
        cluster.engines.add(f"policies-{name}", name, NAMESPACE, "vllm", ["m"])
    with cluster.installed(ROUTES) as installation:
        yield installation


def status(installed: Installation, kind: str) -> int:
    method, path, body, headers = REQUESTS[kind]
    return installed.request(method, path, body, headers).status


@contextmanager
def attached(installed: Installation, kind: str, spec: Mapping[str, Any]) -> Iterator[None]:
    """A policy on the Gateway, as its owner would attach one."""
    name = {"name": "theirs", "namespace": NAMESPACE}
    document = {"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": kind, "metadata": name}
    installed.api.create({**document, "spec": {"targetRefs": [GATEWAY], **spec}})
    try:
        yield
    finally:
        assert installed.api.kubectl("-n", NAMESPACE, "delete", kind.lower(), "theirs").code == 0


def filters(installed: Installation) -> list[str]:
    """The HTTP filters of Envoy's listener, in order, each once and without what follows a slash."""
    assert installed.proxy is not None
    [listeners] = [one for one in installed.proxy.dump()["configs"] if one["@type"].endswith("ListenersConfigDump")]
    [listener] = [one["active_state"]["listener"] for one in listeners["dynamic_listeners"] if NAMESPACE in one["name"]]
    chain = listener.get("default_filter_chain") or listener["filter_chains"][0]
    names = [one["name"].partition("/")[0] for one in chain["filters"][0]["typed_config"]["http_filters"]]
    return list(dict.fromkeys(names))


def test_whom_authorization_denies_gets_nothing_at_all(installed: Installation) -> None:
    engines = installed.cluster.engines
    assert status(installed, "a good one") == 200
    with attached(installed, "SecurityPolicy", {"authorization": {"defaultAction": "Deny"}}):
        wait_for(lambda: status(installed, "a good one") == 403, "the denial")
        engines.forget()
        assert {kind: status(installed, kind) for kind in REQUESTS} == dict.fromkeys(REQUESTS, 403)
        assert engines.reached() == {}
        order = filters(installed)
        assert order.index("envoy.filters.http.rbac") < order.index("envoy.filters.http.buffer")
        assert order.index("envoy.filters.http.buffer") < order.index("envoy.filters.http.ext_proc")
    wait_for(lambda: status(installed, "a good one") == 200, "the denial to end")


def test_rate_limits_count_what_the_router_refuses(installed: Installation) -> None:
    limit = {"type": "Local", "local": {"rules": [{"limit": {"requests": 3, "unit": "Hour"}}]}}
    with attached(installed, "BackendTrafficPolicy", {"rateLimit": limit}):
        wait_for(lambda: "envoy.filters.http.local_ratelimit" in filters(installed), "the rate limit")
        order = filters(installed)
        assert order.index("envoy.filters.http.local_ratelimit") < order.index("envoy.filters.http.buffer")
        # A limit is each Envoy route's own here: paths don't share one.
        wait_for(lambda: status(installed, "an unknown engine") == 429, "refusals to be limited")
        wait_for(lambda: status(installed, "the models") == 429, "the list of models to be limited")
    wait_for(lambda: status(installed, "the models") == 200, "the limit to end")


def test_a_body_that_is_too_large_is_told_so_in_openais_shape(installed: Installation) -> None:
    reply = installed.request(*REQUESTS["too large a body"])
    assert (reply.status, reply.code) == (413, "request_too_large")


def test_without_any_router_everything_that_needs_one_is_503_and_says_why(installed: Installation) -> None:
    """No pod has an address: as in the first seconds of an install, or where the image can't be pulled."""
    engines = installed.cluster.engines
    installed.routers.vanish()
    try:
        wait_for(lambda: status(installed, "the models") == 503, "Envoy to know")
        engines.forget()
        for kind in ("a good one", "an unknown engine", "a forged routing header", "the models", "one model"):
            reply = installed.request(*REQUESTS[kind])
            assert (kind, reply.status, reply.code) == (kind, 503, "router_unavailable")
        assert status(installed, "another path") == 404
        assert engines.reached() == {}
        assert installed.troubles() == []
    finally:
        installed.routers.roll_out()
    wait_for(lambda: status(installed, "a good one") == 200, "the routers to be back")
