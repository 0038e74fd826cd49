"""A stand-in for a Kubernetes API server over real HTTP: discovery, and lists of the objects that it is given."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from support.serving import serving

PLURALS = {
    "ConfigMap": ("v1", "configmaps", True),
    "Node": ("v1", "nodes", False),
    "PersistentVolumeClaim": ("v1", "persistentvolumeclaims", True),
    "Pod": ("v1", "pods", True),
    "Service": ("v1", "services", True),
    "Deployment": ("apps/v1", "deployments", True),
    "StatefulSet": ("apps/v1", "statefulsets", True),
    "InferencePool": ("inference.networking.k8s.io/v1", "inferencepools", True),
    "LLMInferenceService": ("serving.kserve.io/v1alpha2", "llminferenceservices", True),
    "Job": ("batch/v1", "jobs", True),
    "RayService": ("ray.io/v1", "rayservices", True),
    "PodMetrics": ("metrics.k8s.io/v1beta1", "pods", True),
    "EndpointSlice": ("discovery.k8s.io/v1", "endpointslices", True),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudgets", True),
    "GatewayClass": ("gateway.networking.k8s.io/v1", "gatewayclasses", False),
    "Gateway": ("gateway.networking.k8s.io/v1", "gateways", True),
    "HTTPRoute": ("gateway.networking.k8s.io/v1", "httproutes", True),
    "ReferenceGrant": ("gateway.networking.k8s.io/v1beta1", "referencegrants", True),
    "EnvoyProxy": ("gateway.envoyproxy.io/v1alpha1", "envoyproxies", True),
    "ClientTrafficPolicy": ("gateway.envoyproxy.io/v1alpha1", "clienttrafficpolicies", True),
    "BackendTrafficPolicy": ("gateway.envoyproxy.io/v1alpha1", "backendtrafficpolicies", True),
    "EnvoyExtensionPolicy": ("gateway.envoyproxy.io/v1alpha1", "envoyextensionpolicies", True),
    "HTTPRouteFilter": ("gateway.envoyproxy.io/v1alpha1", "httproutefilters", True),
    "EnvoyFilter": ("networking.istio.io/v1alpha3", "envoyfilters", True),
    "DestinationRule": ("networking.istio.io/v1", "destinationrules", True),
    "ServiceEntry": ("networking.istio.io/v1", "serviceentries", True),
    "NodeMetrics": ("metrics.k8s.io/v1beta1", "nodes", False),
}
"""Kind -> API version, plural, namespaced. Other kinds are unknown to this cluster."""


@contextmanager
def api_server(
    objects: Sequence[Mapping[str, Any]],
    *,
    forbidden: Sequence[str] = (),
    absent: Sequence[str] = (),
    pods: Mapping[str, Any] | None = None,
) -> Iterator[str]:
    """The URL of a server that lists ``objects``, by labels too, and answers 403 for the kinds in ``forbidden``.

    :param absent: kinds that it doesn't know.
    :param pods: what a pod answers through the server, by the path after ``/pods/``: JSON for 200, or a status and
        a text.
    """
    answers = _answers(objects, forbidden, absent)

    def answer(target: str) -> tuple[int, str]:
        path, _, query = target.partition("?")
        _, _, asked = path.partition("/pods/")
        if asked and pods is not None and asked in pods:
            told = pods[asked]
            return told if isinstance(told, tuple) else (200, json.dumps(told))
        status, body = answers.get(path.rstrip("/"), (404, {"kind": "Status", "code": 404}))
        wanted = parse_qs(query).get("labelSelector")
        if wanted and "items" in body:
            labels = dict(part.split("=", 1) for part in wanted[0].split(","))
            items = [one for one in body["items"] if labels.items() <= one["metadata"].get("labels", {}).items()]
            body = body | {"items": items}
        return status, json.dumps(body)

    with serving(answer, "application/json") as url:
        yield url


def kubeconfig(url: str, file: Path) -> Path:
    """A kubeconfig with one context, ``test``, for the server at ``url``."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
    }
    file.write_text(json.dumps(config), encoding="utf-8")
    return file


def _answers(
    objects: Sequence[Mapping[str, Any]], forbidden: Sequence[str], absent: Sequence[str]
) -> dict[str, tuple[int, Any]]:
    known = {kind: found for kind, found in PLURALS.items() if kind not in absent}
    groups = sorted({version for version, _, _ in known.values() if "/" in version})
    answers: dict[str, tuple[int, Any]] = {
        "/version": (200, {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}),
        "/api": (200, {"kind": "APIVersions", "versions": ["v1"]}),
        "/apis": (200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": _groups(groups)}),
    }
    for version in ("v1", *groups):
        root = _root(version)
        resources = [
            {"name": plural, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": ["get", "list"]}
            for kind, (own, plural, namespaced) in known.items()
            if own == version
        ]
        answers[root] = (200, {"kind": "APIResourceList", "groupVersion": version, "resources": resources})
    spaces = {one["metadata"].get("namespace") for one in objects} - {None}
    for kind, (version, plural, namespaced) in known.items():
        own = [{key: value for key, value in one.items() if key not in {"kind", "apiVersion"}} for one in objects
               if one["kind"] == kind]  # fmt: skip
        paths = {f"{_root(version)}/{plural}": own}
        for space in spaces if namespaced else ():
            inside = [one for one in own if one["metadata"].get("namespace") == space]
            paths[f"{_root(version)}/namespaces/{space}/{plural}"] = inside
        for path, items in paths.items():
            listing = {"kind": f"{kind}List", "apiVersion": version, "metadata": {}, "items": items}
            answers[path] = (403, {"kind": "Status", "code": 403}) if kind in forbidden else (200, listing)
    return answers


def _groups(versions: Sequence[str]) -> list[dict[str, Any]]:
    names = dict.fromkeys(version.partition("/")[0] for version in versions)
    found = []
    for name in names:
        own = [version for version in versions if version.partition("/")[0] == name]
        entries = [{"groupVersion": version, "version": version.partition("/")[2]} for version in own]
        found.append({"name": name, "versions": entries, "preferredVersion": entries[0]})
    return found


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"
