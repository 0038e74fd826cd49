"""``routegen status``: each trouble is named, with what to do, and nothing is said where all is well."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from kubernetes.config import kube_config

from routegen.cli import cli
from routegen.compile import compile_text
from routegen.pipeline import render
from routegen.status.drift import differences
from support.api_server import api_server, kubeconfig
from support.watched import condition, registry, taken

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: pair, namespace: inference}
spec:
  gateway: {hostnames: [a.example.com]}
  router: {image: registry.example.com/router:1, resources: {requests: {cpu: "0.5", memory: 1024Mi}}}
  backends:
    vllm: {service: {name: vllm, port: 8000}, ownedBy: vllm}
    far: {service: {name: sglang, namespace: engines, port: 8000}, ownedBy: sglang}
"""
POD = "pair-router-abc"
Objects = list[dict[str, Any]]


def live() -> Objects:
    """All of it, where all is well."""
    documents = [taken(one.document) for one in render(compile_text(ROUTES, "routes.yaml")).documents]
    labels = {"app.kubernetes.io/name": "routegen", "app.kubernetes.io/instance": "pair"}
    pod = {
        "kind": "Pod",
        "metadata": {
            "name": POD,
            "namespace": "inference",
            "labels": {**labels, "app.kubernetes.io/component": "router"},
        },
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    accepted = {"conditions": [condition("Accepted")]}
    return [*documents, pod, {"kind": "GatewayClass", "metadata": {"name": "eg"}, "status": accepted}]


def run(folder: Path, objects: Objects, *options: str, registries: str | None = None, **server: Any) -> Result:
    (folder / "routes.yaml").write_text(ROUTES)
    pods = {f"{POD}:9464/proxy/registry": json.loads(registry() if registries is None else registries)}
    with api_server(objects, pods=pods, **server) as url:
        kubeconfig(url, folder / "kubeconfig")
        arguments = ["status", "-f", str(folder / "routes.yaml"), "--context", "test", *options]
        return CliRunner().invoke(cli, arguments, catch_exceptions=False)


@pytest.fixture(autouse=True)
def _own_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package reads the variable once, when it is imported."""
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))


def test_where_all_is_well_it_says_so_and_ends_with_0(tmp_path: Path) -> None:
    done = run(tmp_path, live())
    assert done.exit_code == 0, done.output
    assert "->" not in done.stdout
    assert "Gateway inference/inference-gateway: at 10.0.0.7" in done.stdout
    assert "vllm: 1 model, told 3 s ago" in done.stdout


def find(objects: Objects, kind: str, name: str) -> dict[str, Any]:
    return next(one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name))


def remove(kind: str, name: str) -> Callable[[Objects], None]:
    return lambda objects: objects.remove(find(objects, kind, name))


def change(kind: str, name: str, path: str, value: Any) -> Callable[[Objects], None]:
    def apply(objects: Objects) -> None:
        place: Any = find(objects, kind, name)
        *parents, last = path.split(".")
        for part in parents:
            place = place[int(part)] if part.isdigit() else place[part]
        place[int(last) if last.isdigit() else last] = value

    return apply


def added(kind: str, like: str, name: str, **labels: str) -> Callable[[Objects], None]:
    def apply(objects: Objects) -> None:
        copy = deepcopy(find(objects, kind, like))
        copy["metadata"]["name"] = name
        copy["metadata"]["labels"].update({f"app.kubernetes.io/{key}": value for key, value in labels.items()})
        objects.append(copy)

    return apply


def waiting(reason: str) -> Callable[[Objects], None]:
    def apply(objects: Objects) -> None:
        containers = [{"state": {"waiting": {"reason": reason, "message": "no such image"}}}]
        find(objects, "Pod", POD)["status"] = {"conditions": [], "containerStatuses": containers}

    return apply


ROUTE = ("HTTPRoute", "pair-to-vllm")
TROUBLES: dict[str, tuple[Callable[[Objects], None], str, str]] = {
    "missing": (remove(*ROUTE), "HTTPRoute inference/pair-to-vllm", "is not there"),
    "drift": (
        change("EnvoyExtensionPolicy", "pair-router", "spec.extProc.0.failOpen", True),
        "EnvoyExtensionPolicy inference/pair-router",
        "spec.extProc[0].failOpen is true, rendered is false",
    ),
    "a list that grew": (
        change(*ROUTE, "spec.hostnames", ["a.example.com", "b.example.com"]),
        "HTTPRoute inference/pair-to-vllm",
        "spec.hostnames has 2 entries, rendered are 1",
    ),
    "no class": (remove("GatewayClass", "eg"), "GatewayClass eg", "is not there; known: none"),
    "another's class": (
        change("GatewayClass", "eg", "status.conditions", [condition("Accepted", "False", "InvalidParameters")]),
        "GatewayClass eg",
        "Accepted is False (InvalidParameters)",
    ),
    "not judged": (change("Gateway", "inference-gateway", "status", {}), "Gateway", "no controller has judged it"),
    "not programmed": (
        change("Gateway", "inference-gateway", "status.conditions.1", condition("Programmed", "False", "NoResources")),
        "Gateway",
        "the Gateway's proxy doesn't run",
    ),
    "a listener in conflict": (
        change(
            "Gateway", "inference-gateway", "status.listeners.0.conditions.3", condition("Conflicted", "True", "Twice")
        ),
        "Gateway",
        "Conflicted is True (Twice)",
    ),
    "not attached": (
        change(*ROUTE, "status.parents.0.conditions.0", condition("Accepted", "False", "NotAllowedByListeners")),
        "HTTPRoute inference/pair-to-vllm",
        "let the routes' namespace into the Gateway's listeners",
    ),
    "a second policy": (
        change(
            "ClientTrafficPolicy",
            "pair-clients",
            "status.ancestors.0.conditions.0",
            condition("Accepted", "False", "Conflicted", "older"),
        ),
        "ClientTrafficPolicy inference/pair-clients",
        "merge the two into one",
    ),
    "an old judgement": (
        change(*ROUTE, "metadata.generation", 2),
        "HTTPRoute inference/pair-to-vllm",
        "the controller hasn't looked at its last change",
    ),
    "left over": (
        added("HTTPRoute", "pair-to-vllm", "pair-to-gone"),
        "HTTPRoute inference/pair-to-gone",
        "`kubectl -n inference delete httproute pair-to-gone`",
    ),
    "taken over": (
        change("Gateway", "inference-gateway", "metadata.labels", {"app.kubernetes.io/instance": "other"}),
        "Gateway inference/inference-gateway",
        "belongs to other, which renders it too",
    ),
    "a rival": (
        added("HTTPRoute", "pair-waiting", "other-waiting", instance="other"),
        "HTTPRoute inference/pair-waiting",
        "other serves a.example.com on this Gateway too",
    ),
    "an unfinished rollout": (
        change("Deployment", "pair-router", "status.availableReplicas", 1),
        "Deployment inference/pair-router",
        "1 of 2 routers are available",
    ),
    "an image that isn't there": (waiting("ImagePullBackOff"), f"router {POD}", "waits: ImagePullBackOff"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_trouble_is_named_with_what_to_do(trouble: str, tmp_path: Path) -> None:
    plant, where, sentence = TROUBLES[trouble]
    objects = live()
    plant(objects)
    done = run(tmp_path, objects)
    assert done.exit_code == 1
    assert sentence in done.stdout
    named = [line.strip() for line in done.stdout.splitlines() if not line.startswith("    ")]
    assert any(line.startswith(where) for line in named), done.stdout
    assert done.stdout.count("      -> ") == done.stdout.count("\n    ") - done.stdout.count("\n      ")


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (registry(error="refused", alive=False), "engine of far: nothing listens there"),
        (registry(name="gone"), "it runs another routes.yaml (backends that differ: far, gone)"),
        ('{"x": 1}', "its /registry isn't a router's"),
    ],
)
def test_what_a_router_knows_is_judged(document: str, sentence: str, tmp_path: Path) -> None:
    done = run(tmp_path, live(), registries=document)
    assert done.exit_code == 1
    assert sentence in done.stdout


def test_a_cluster_without_the_gateways_kinds_is_told_apart(tmp_path: Path) -> None:
    done = run(tmp_path, live(), absent=["EnvoyProxy", "BackendTrafficPolicy"])
    assert done.exit_code == 1
    assert "this cluster doesn't know the kind EnvoyProxy" in done.stdout


def test_what_may_not_be_read_is_said_and_is_not_well(tmp_path: Path) -> None:
    done = run(tmp_path, live(), forbidden=["Deployment"])
    assert done.exit_code == 1
    assert "not looked at: Deployment in inference: 403 Forbidden" in done.stdout
    assert "->" not in done.stdout


def test_json_says_the_same(tmp_path: Path) -> None:
    objects = live()
    TROUBLES["missing"][0](objects)
    done = run(tmp_path, objects, "-o", "json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["ok"], told["name"], told["unread"]) == (1, False, "pair", [])
    [item] = [one for one in told["objects"] if one["troubles"]]
    assert item["name"] == "pair-to-vllm"
    assert item["troubles"] == [{"what": "is not there", "remedy": "`routegen render | kubectl apply -f -` makes it"}]
    assert [one["pod"] for one in told["routers"]] == [POD]


def test_a_target_without_a_cluster_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(ROUTES)
    done = CliRunner().invoke(cli, ["status", "-f", str(tmp_path / "routes.yaml"), "--target", "envoy"])
    assert done.exit_code == 2
    assert "nothing in a cluster" in done.stderr


@pytest.mark.parametrize(
    ("wanted", "found", "said"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, []),
        ({"a": {"group": ""}}, {"a": {}}, []),
        ({"a": "x"}, {}, ["spec.a is missing, rendered is x"]),
        ({"a": True}, {"a": 1}, ["spec.a is 1, rendered is true"]),
        ({"a": "0.5"}, {"a": "500m"}, []),
        ({"a": "5s"}, {"a": "6s"}, ["spec.a is 6s, rendered is 5s"]),
        ({"a": [{"name": "x"}]}, {"a": [{"name": "y"}]}, ["spec.a[0].name is y, rendered is x"]),
        ({"a": [1, 2]}, {"a": [1]}, ["spec.a has 1 entries, rendered are 2"]),
        ({"a": "x" * 99}, {"a": "y"}, [f"spec.a is y, rendered is {'x' * 60}…"]),
    ],
)
def test_differences(wanted: dict[str, Any], found: dict[str, Any], said: list[str]) -> None:
    rendered = {"kind": "X", "metadata": {"name": "n"}, "spec": wanted}
    assert list(differences(rendered, {"metadata": {}, "spec": found})) == said


def test_a_cluster_that_cannot_be_reached_is_no_answer(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(ROUTES)
    kubeconfig("http://127.0.0.1:9", tmp_path / "kubeconfig")
    done = CliRunner().invoke(cli, ["status", "-f", str(tmp_path / "routes.yaml")])
    assert done.exit_code == 2
    assert done.stderr.startswith("routegen: can't reach the cluster")
