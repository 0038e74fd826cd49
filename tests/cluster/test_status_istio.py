"""`routegen status` with Istio, on a real API server, istiod and Envoy: what no object's status tells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cluster.cluster import Cluster, Installation, rendered
from support.cluster.sandbox import wait_for
from support.cluster.status import make_pods, status, troubles

NAMESPACE = "seen"
ROUTES = f"""\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {{name: pair, namespace: {NAMESPACE}}}
spec:
  gateway: {{name: front}}
  backends:
    a: {{service: {{name: a, port: 8000}}}}
    b: {{service: {{name: b, port: 8000}}}}
"""
FILTER = "pair-router"


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Iterator[Installation]:
    cluster.namespace(NAMESPACE)
    for name in "ab":
        cluster.engines.add(f"{NAMESPACE}-{name}", name, NAMESPACE, "vllm", ["m"])
    with cluster.installed(ROUTES) as installation:
        make_pods(installation)
        yield installation


def test_where_all_is_well_there_is_nothing_to_say(installed: Installation, tmp_path: Path) -> None:
    """And istiod and the proxy were asked: nothing is said to be unseen."""
    code, told = status(installed, tmp_path, ROUTES)
    assert (code, troubles(told), told["unread"]) == (0, [], [])


def patched(kind: str, name: str, *changes: dict[str, Any]) -> Callable[[Installation], None]:
    def plant(installed: Installation) -> None:
        patch = json.dumps(changes)
        done = installed.api.kubectl("-n", NAMESPACE, "patch", kind, name, "--type=json", "-p", patch)
        assert done.code == 0, done.err

    return plant


def removed(kind: str, name: str) -> Callable[[Installation], None]:
    def plant(installed: Installation) -> None:
        assert installed.api.kubectl("-n", NAMESPACE, "delete", kind, name).code == 0

    return plant


def misspelt(installed: Installation) -> None:
    """The anchor of the router's filter is one that no chain has."""
    patches = installed.api.get("envoyfilter", FILTER, NAMESPACE)["spec"]["configPatches"]
    places = [index for index, one in enumerate(patches) if one["applyTo"] == "HTTP_FILTER"]
    anchor = "/spec/configPatches/{}/match/listener/filterChain/filter/subFilter/name"
    changes = [
        {"op": "replace", "path": anchor.format(index), "value": "envoy.filters.http.grpc_stat"} for index in places
    ]
    patched("envoyfilter", FILTER, *changes)(installed)


REFERENCE = {"type": "ExtensionRef", "extensionRef": {"group": "example.com", "kind": "Nothing", "name": "x"}}
PLANTED: dict[str, tuple[Callable[[Installation], None], str]] = {
    "the EnvoyFilter was deleted": (removed("envoyfilter", FILTER), "in the router's words: the EnvoyFilter has no"),
    "its anchor is misspelt": (misspelt, "the router's filter isn't in the chain"),
    "an ExtensionRef makes a rule vanish": (
        patched("httproute", "pair-to-a", {"op": "add", "path": "/spec/rules/0/filters", "value": [REFERENCE]}),
        "HTTPRoute pair-to-a: ResolvedRefs is False (InvalidFilter)",
    ),
    "an engine's Service is gone": (removed("service", "b"), "HTTPRoute pair-to-b: ResolvedRefs is False (Backend"),
}


@pytest.mark.parametrize("trouble", PLANTED)
def test_each_planted_trouble_is_named(installed: Installation, trouble: str, tmp_path: Path) -> None:
    plant, sentence = PLANTED[trouble]
    found: list[str] = []

    def named() -> bool:
        code, told = status(installed, tmp_path, ROUTES)
        found[:] = troubles(told)
        return code == 1 and any(sentence in one for one in found)

    plant(installed)
    try:
        wait_for(named, f"{sentence!r}, not {found}", patience=40)
    finally:
        mend(installed)
    wait_for(lambda: status(installed, tmp_path, ROUTES)[0] == 0, "all to be well again", patience=40)


def mend(installed: Installation) -> None:
    """Undo whatever was planted."""
    done = installed.api.kubectl(
        *("-n", NAMESPACE, "delete", "--ignore-not-found", "httproute/pair-to-a", f"envoyfilter/{FILTER}")
    )
    assert done.code == 0, done.err
    metadata, port = {"name": "b", "namespace": NAMESPACE}, {"name": "http", "port": 8000, "targetPort": 8000}
    installed.api.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [port]}})
    installed.api.apply(rendered(installed.plan))


def test_what_envoy_refused_is_counted_until_it_starts_anew(installed: Installation, tmp_path: Path) -> None:
    """The last one: the count stays when the cause is gone."""
    gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "front"}
    mutation = {
        "name": "envoy.filters.http.rbac.theirs",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {
                "policies": {
                    "all": {
                        "permissions": [{"url_path": {"path": {"safe_regex": {"regex": "("}}}}],
                        "principals": [{"any": True}],
                    }
                }
            },
        },
    }
    manager = {"name": "envoy.filters.network.http_connection_manager"}
    match = {"context": "GATEWAY", "listener": {"filterChain": {"filter": manager}}}
    patch = {"applyTo": "HTTP_FILTER", "match": match, "patch": {"operation": "INSERT_FIRST", "value": mutation}}
    installed.api.create(
        {
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": "EnvoyFilter",
            "metadata": {"name": "theirs", "namespace": NAMESPACE},
            "spec": {"targetRefs": [gateway], "configPatches": [patch]},
        }
    )
    try:
        wait_for(
            lambda: any("has refused" in one for one in troubles(status(installed, tmp_path, ROUTES)[1])),
            "the refusal to be seen",
            patience=40,
        )
    finally:
        assert installed.api.kubectl("-n", NAMESPACE, "delete", "envoyfilter", "theirs").code == 0
