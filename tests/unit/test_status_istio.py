"""``routegen status`` on target ``istio``: whether an EnvoyFilter has its effect, which no object's status tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from kubernetes.config import kube_config

from routegen.cli import cli
from routegen.common.rbac import plural
from routegen.compile import compile_text
from routegen.emit.istio import live
from routegen.pipeline import render
from support.api_server import PLURALS, api_server, kubeconfig
from support.watched import condition, registry, taken

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: pair, namespace: inference}
spec:
  gateway: {target: istio, name: front, namespace: gateways, hostnames: ["*.example.com"]}
  router: {image: registry.example.com/router:1, resources: {requests: {cpu: "0.5", memory: 1024Mi}}}
  backends:
    vllm: {service: {name: vllm, port: 8000}, ownedBy: vllm}
    far: {endpoints: ["far.example.com:8000"], ownedBy: sglang}
"""
ISTIOD, PROXY, ROUTER = "istiod-0", "front-istio-0", "pair-router-0"
VERSION, COUNTS, MODELS = (
    f"{ISTIOD}:15014/proxy/metrics",
    f"{PROXY}:15090/proxy/stats/prometheus",
    f"{PROXY}:80/proxy/v1/models",
)
World = tuple[list[dict[str, Any]], dict[str, Any]]


def pod(name: str, namespace: str, **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"kind": "Pod", "metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}


def error(code: str) -> tuple[int, str]:
    return 503, f'{{"error": {{"message": "no", "type": "server_error", "param": null, "code": "{code}"}}}}'


def refused(listeners: int, clusters: int) -> tuple[int, str]:
    return 200, (
        f"# TYPE envoy_listener_manager_lds_update_rejected counter\n"
        f"envoy_listener_manager_lds_update_rejected{{}} {listeners}\n"
        f"envoy_cluster_manager_cds_update_rejected{{}} {clusters}\n"
        f"envoy_cluster_manager_cds_update_success{{}} 7\n"
    )


def build(tag: str) -> tuple[int, str]:
    return 200, f'# TYPE istio_build gauge\nistio_build{{component="pilot",tag="{tag}"}} 1\npilot_services 3\n'


@pytest.fixture
def world() -> World:
    """All of it, where all is well: objects, and what pods answer."""
    objects = [taken(one.document) for one in render(compile_text(ROUTES, "routes.yaml")).documents]
    part_of = {"app.kubernetes.io/name": "routegen", "app.kubernetes.io/instance": "pair"}
    accepted = {"conditions": [condition("Accepted")]}
    objects += [
        pod(ISTIOD, "istio-system", app="istiod"),
        pod("ztunnel-0", "istio-system", app="ztunnel"),
        pod(PROXY, "gateways", **{"gateway.networking.k8s.io/gateway-name": "front"}),
        pod(ROUTER, "inference", **part_of, **{"app.kubernetes.io/component": "router"}),
        {
            "kind": "GatewayClass",
            "metadata": {"name": "istio"},
            "spec": {"controllerName": "istio.io/gateway-controller"},
            "status": accepted,
        },
    ]
    return objects, {
        f"{ROUTER}:9464/proxy/registry": (200, registry()),
        VERSION: build("1.31.0"),
        COUNTS: refused(0, 0),
        MODELS: {"object": "list", "data": []},
    }


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))

    def run(world: World, *options: str, **server: Any) -> Result:
        (tmp_path / "routes.yaml").write_text(ROUTES)
        with api_server(world[0], pods=world[1], **server) as url:
            kubeconfig(url, tmp_path / "kubeconfig")
            arguments = ["status", "-f", str(tmp_path / "routes.yaml"), *options]
            return CliRunner().invoke(cli, arguments, catch_exceptions=False)

    return run


def test_where_all_is_well_it_says_so(world: World, ask: Callable[..., Result]) -> None:
    done = ask(world)
    assert (done.exit_code, "->" in done.stdout, "not looked at" in done.stdout) == (0, False, False), done.output


def answers(path: str, told: Any) -> Callable[[World], None]:
    return lambda world: world[1].__setitem__(path, told)


def without(name: str) -> Callable[[World], None]:
    return lambda world: world[0].remove(next(one for one in world[0] if one["metadata"]["name"] == name))


def status_of(name: str, status: dict[str, Any]) -> Callable[[World], None]:
    def plant(world: World) -> None:
        next(one for one in world[0] if one["metadata"]["name"] == name)["status"] = status

    return plant


def somebody_elses_class(world: World) -> None:
    world[0][-1]["spec"]["controllerName"] = "gateway.envoyproxy.io/gatewayclass-controller"


MESSAGE = {"level": 3, "type": {"name": "ReferencedResourceNotFound", "code": "IST0101"}}
TROUBLES: dict[str, tuple[Callable[[World], None], str]] = {
    "an older istiod": (answers(VERSION, build("1.30.2")), f"{ISTIOD} is istiod 1.30, which drops parts"),
    "an older one by its major": (answers(VERSION, build("0.99.0-distroless")), f"{ISTIOD} is istiod 0.99"),
    "a value that Envoy refuses": (answers(COUNTS, refused(3, 1)), f"Envoy of {PROXY} has refused 4 of istiod's"),
    "an EnvoyFilter without effect": (
        answers(MODELS, (503, "no healthy upstream")),
        "503, and not in the router's words",
    ),
    "the same as an empty 500": (answers(MODELS, (500, "")), "the EnvoyFilter has no effect there"),
    "somebody else's 200": (answers(MODELS, (200, "<html>")), "200, and not in the router's words"),
    "somebody else's JSON": (answers(MODELS, (200, '{"error": 7}')), "200, and not in the router's words"),
    "no filter in the chain": (answers(MODELS, error("route_not_set")), "the router's filter isn't in the chain"),
    "no router": (answers(MODELS, error("router_unavailable")), "this proxy reaches no router"),
    "a proxy without the label": (without(PROXY), "gateway-name: front, by which the EnvoyFilter finds it"),
    "another controller's class": (somebody_elses_class, "GatewayClass istio is gateway.envoyproxy.io/gateway"),
    "istiod's own analysis": (
        status_of("inference-pair-router", {"validationMessages": [MESSAGE]}),
        "istiod says of EnvoyFilter inference-pair-router: ReferencedResourceNotFound (IST0101)",
    ),
    "a filter that makes the rule vanish": (
        status_of(
            "pair-to-vllm",
            {"parents": [{"conditions": [condition("Accepted"), condition("ResolvedRefs", "False", "InvalidFilter")]}]},
        ),
        "ResolvedRefs is False (InvalidFilter)",
    ),
    "a Service that isn't there": (
        status_of(
            "pair-to-vllm",
            {"parents": [{"conditions": [condition("ResolvedRefs", "False", "BackendNotFound", "vllm not found")]}]},
        ),
        "ResolvedRefs is False (BackendNotFound): vllm not found",
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_silent_trouble_is_named_with_what_to_do(trouble: str, world: World, ask: Callable[..., Result]) -> None:
    plant, sentence = TROUBLES[trouble]
    plant(world)
    done = ask(world)
    assert done.exit_code == 1
    assert sentence in done.stdout
    assert done.stdout.count("      -> ") == 1


UNSEEN: dict[str, tuple[Callable[[World], None], str]] = {
    "no istiod there": (without(ISTIOD), "istiod: no ready pod with the label app=istiod in istio-system; `istioctl"),
    "istiod's metrics are closed": (
        answers(VERSION, (403, "Only requests from localhost")),
        "403, closed to others; `istioctl version`",
    ),
    "istiod can't be asked": (
        answers(VERSION, (503, '{"kind": "Status", "code": 503}')),
        f"/metrics of istio-system/{ISTIOD}, port 15014: 503 Service Unavailable; `istioctl version` says",
    ),
    "a proxy can't be asked": (
        answers(COUNTS, (403, '{"kind":"Status","apiVersion":"v1"}')),
        f"/stats/prometheus of gateways/{PROXY}, port 15090: 403 Forbidden; `kubectl -n istio-system logs",
    ),
    "a policy answers in front of the router": (
        answers(MODELS, (403, "RBAC: access denied")),
        f"/v1/models of gateways/{PROXY}, port 80: 403 by a policy in front of the router; `curl -i",
    ),
}


@pytest.mark.parametrize("case", UNSEEN)
def test_what_cannot_be_seen_is_said_with_the_command_that_shows_it(
    case: str, world: World, ask: Callable[..., Result]
) -> None:
    plant, sentence = UNSEEN[case]
    plant(world)
    done = ask(world)
    assert (done.exit_code, "->" in done.stdout) == (1, False), done.stdout
    [line] = [one for one in done.stdout.splitlines() if "not looked at" in one]
    assert sentence in line


def test_it_asks_for_the_host_that_is_served(world: World) -> None:
    objects = {("Gateway", "gateways"): [one for one in world[0] if one["kind"] == "Gateway"]}
    objects["Pod", "gateways"] = [one for one in world[0] if one["metadata"]["name"] == PROXY]
    [_, models] = live.questions(compile_text(ROUTES, "routes.yaml"), objects)
    assert (models.host, models.scheme, models.port) == ("routegen-status.example.com", "http", 80)


def test_the_rights_that_it_prints_are_those_that_it_uses(world: World, ask: Callable[..., Result]) -> None:
    done = ask(world, "--print-rbac")
    assert done.exit_code == 0
    roles = {one["metadata"].get("namespace"): one["rules"] for one in yaml.safe_load_all(done.stdout)}
    assert set(roles) == {None, "inference", "gateways", "istio-system"}
    assert [(rule["resources"], rule["verbs"]) for rule in roles[None]] == [(["gatewayclasses"], ["list"])]
    proxied = {"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["get"]}
    assert roles["istio-system"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}, proxied]
    assert proxied in roles["gateways"]
    assert proxied in roles["inference"]
    kinds = {resource for rules in roles.values() for rule in rules for resource in rule["resources"]}
    assert {"envoyfilters", "destinationrules", "httproutes", "poddisruptionbudgets", "serviceentries"} <= kinds
    assert {verb for rules in roles.values() for rule in rules for verb in rule["verbs"]} == {"list", "get"}


@pytest.mark.parametrize("kind", [one for one in PLURALS if not one.endswith("Metrics")])
def test_plurals(kind: str) -> None:
    assert plural(kind) == PLURALS[kind][1]
