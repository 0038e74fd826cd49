"""`routegen status` on a real API server: nothing to say where all is well, and each planted trouble by its name."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from routegen.compile import compile_text
from support.cluster.cluster import Cluster, Installation, rendered
from support.cluster.sandbox import wait_for
from support.command import ROUTEGEN

NAMESPACE = "watched"
EG = "gateway.envoyproxy.io/v1alpha1"


def routes(*backends: str, name: str = "pair", gateway: str = "name: own") -> str:
    lines = "\n".join(f"    {one}: {{service: {{name: {one}, port: 8000}}}}" for one in backends)
    return f"""\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  gateway: {{{gateway}}}
  router: {{resources: {{requests: {{cpu: "0.5", memory: 1024Mi}}, limits: {{memory: 1024Mi}}}}}}
  backends:
{lines}
"""


ROUTES = routes("a", "b")


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Iterator[Installation]:
    cluster.namespace(NAMESPACE)
    for name in "ab":
        cluster.engines.add(f"watched-{name}", name, NAMESPACE, "vllm", ["m"])
    with cluster.installed(ROUTES) as installation:
        yield installation


@pytest.fixture(autouse=True)
def _pods(installed: Installation) -> None:
    """As the kubelet would report them, before each test."""
    make_pods(installed)


def make_pods(installed: Installation) -> None:
    deployment = installed.api.get("deployment", installed.routers.name, NAMESPACE)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    installed.api.kubectl("-n", NAMESPACE, "delete", "pod", "--all", "--grace-period=0", "--force")
    for number, address in enumerate(installed.routers.addresses):
        name = f"pair-router-{number}"
        container = {"name": "router", "image": "r"}
        metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
        installed.api.create(
            {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
        )
        running = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        installed.api.patch_status(
            "pod", name, NAMESPACE, {**running, "conditions": [{"type": "Ready", "status": "True"}]}
        )


def status(installed: Installation, folder: Path, file: str = ROUTES) -> tuple[int, dict[str, Any]]:
    """What it says, as a user would ask."""
    (folder / "routes.yaml").write_text(file, encoding="utf-8")
    done = subprocess.run(
        [*ROUTEGEN, "status", "-f", str(folder / "routes.yaml"), "-o", "json"],
        env={**os.environ, "KUBECONFIG": str(installed.api.kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def troubles(told: dict[str, Any]) -> list[str]:
    """One line each."""
    objects = [
        f"{one['kind']} {one['name']}: {trouble['what']}" for one in told["objects"] for trouble in one["troubles"]
    ]
    return objects + [f"router: {trouble['what']}" for one in told["routers"] for trouble in one["troubles"]]


def test_where_all_is_well_there_is_nothing_to_say(installed: Installation, tmp_path: Path) -> None:
    code, told = status(installed, tmp_path)
    assert (code, troubles(told), told["unread"]) == (0, [], [])
    assert [one["engines"] for one in told["routers"]] == [[a, b] for a, b in [engines(one) for one in told["routers"]]]
    assert len(told["routers"]) == 2
    assert len(told["objects"]) == len(list(yaml.safe_load_all(rendered(installed.plan)))) + 1, "and its GatewayClass"


def engines(router: dict[str, Any]) -> tuple[str, str]:
    first, second = router["engines"]
    assert first.startswith("a: 1 model, told ")
    assert second.startswith("b: 1 model, told ")
    return first, second


def patch(kind: str, name: str, change: dict[str, Any]) -> Callable[[Installation], None]:
    def apply(installed: Installation) -> None:
        done = installed.api.kubectl("-n", NAMESPACE, "patch", kind, name, "--type=merge", "-p", json.dumps(change))
        assert done.code == 0, done.err

    return apply


def remove(kind: str, name: str) -> Callable[[Installation], None]:
    def apply(installed: Installation) -> None:
        assert installed.api.kubectl("-n", NAMESPACE, "delete", kind, name).code == 0

    return apply


def an_older_policy(installed: Installation) -> None:
    ours = installed.api.get("clienttrafficpolicy", "pair-clients", NAMESPACE)
    remove("clienttrafficpolicy", "pair-clients")(installed)
    metadata = {"name": "theirs", "namespace": NAMESPACE}
    target = {"targetRefs": ours["spec"]["targetRefs"]}
    installed.api.create({"apiVersion": EG, "kind": "ClientTrafficPolicy", "metadata": metadata, "spec": target})
    wait_for(lambda: installed.api.get("clienttrafficpolicy", "theirs", NAMESPACE).get("status"), "it to be judged")
    installed.api.apply(rendered(installed.plan))


def more_backends(installed: Installation) -> None:
    installed.api.apply(rendered(compile_text(routes("a", "b", "gone"), "routes.yaml")))
    installed.api.apply(rendered(installed.plan))


def another_file(installed: Installation) -> None:
    plan = compile_text(routes("a", name="rival", gateway="name: own, create: false"), "routes.yaml")
    installed.api.apply(rendered(plan))


def an_image_that_is_not_there(installed: Installation) -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
    container = {"name": "router", "image": "r", "imageID": "", "restartCount": 0, "ready": False, "state": waiting}
    conditions = [{"type": "Ready", "status": "False"}]
    installed.api.patch_status(
        "pod", "pair-router-0", NAMESPACE, {"conditions": conditions, "containerStatuses": [container]}
    )


def a_rollout_that_stands_still(installed: Installation) -> None:
    installed.api.patch_status("deployment", "pair-router", NAMESPACE, {"availableReplicas": 1})


LOCKED = {
    "spec": {
        "listeners": [
            {
                "name": "http",
                "port": 80,
                "protocol": "HTTP",
                "allowedRoutes": {"kinds": [{"group": "gateway.networking.k8s.io", "kind": "GRPCRoute"}]},
            }
        ]
    }
}
PLANTED: dict[str, tuple[Callable[[Installation], None], str]] = {
    "an object was deleted": (remove("httproute", "pair-to-a"), "HTTPRoute pair-to-a: is not there"),
    "an object was edited": (
        patch("backendtrafficpolicy", "pair-engines", {"spec": {"timeout": {"http": {"requestTimeout": "9s"}}}}),
        "BackendTrafficPolicy pair-engines: isn't as rendered: spec.timeout.http.requestTimeout is 9s, rendered is 0s",
    ),
    "an engine's Service is gone": (
        remove("service", "b"),
        "HTTPRoute pair-to-b: ResolvedRefs is False (BackendNotFound)",
    ),
    "a policy is older": (an_older_policy, "ClientTrafficPolicy pair-clients: Accepted is False (Conflicted)"),
    "a backend was removed and its route stayed": (more_backends, "HTTPRoute pair-to-gone: is rendered no more"),
    "another file is on the Gateway": (
        another_file,
        "HTTPRoute pair-waiting: rival serves all hosts on this Gateway too",
    ),
    "the listener lets no route in": (
        patch("gateway", "own", LOCKED),
        "HTTPRoute pair-to-a: Accepted is False (NotAllowedBy",
    ),
    "an image can't be pulled": (an_image_that_is_not_there, "router: waits: ImagePullBackOff: not found"),
    "a rollout stands still": (a_rollout_that_stands_still, "Deployment pair-router: 1 of 2 routers are available"),
    "the Service of the router lost a port": (
        patch("service", "pair-router", {"spec": {"ports": [{"name": "grpc", "port": 50051}]}}),
        "Service pair-router: isn't as rendered: spec.ports",
    ),
}


@pytest.mark.parametrize("trouble", PLANTED)
def test_each_planted_trouble_is_named(installed: Installation, trouble: str, tmp_path: Path) -> None:
    plant, sentence = PLANTED[trouble]
    found: list[str] = []

    def named() -> bool:
        code, told = status(installed, tmp_path)
        found[:] = troubles(told)
        return code == 1 and any(one.startswith(sentence) for one in found)

    plant(installed)
    try:
        wait_for(named, f"{sentence!r}, not {found}", patience=40)
        assert all(one["remedy"] for item in status(installed, tmp_path)[1]["objects"] for one in item["troubles"])
    finally:
        mend(installed)
    wait_for(lambda: status(installed, tmp_path)[0] == 0, "all to be well again", patience=40)


def mend(installed: Installation) -> None:
    """Undo whatever was planted."""
    api = installed.api
    for kind, name in (("clienttrafficpolicy", "theirs"), ("httproute", "pair-to-gone")):
        api.kubectl("-n", NAMESPACE, "delete", kind, name, "--ignore-not-found")
    api.kubectl("-n", NAMESPACE, "delete", "httproute,service,deployment,endpointslice,configmap,poddisruptionbudget,"
                "backendtrafficpolicy,envoyextensionpolicy", "-l", "app.kubernetes.io/instance=rival")  # fmt: skip
    port = {"name": "http", "port": 8000, "targetPort": 8000}
    metadata = {"name": "b", "namespace": NAMESPACE}
    api.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [port]}})
    api.apply(rendered(installed.plan))
    make_pods(installed)
    generation = api.get("deployment", "pair-router", NAMESPACE)["metadata"]["generation"]
    counts = dict.fromkeys(("replicas", "readyReplicas", "availableReplicas", "updatedReplicas"), 2)
    api.patch_status("deployment", "pair-router", NAMESPACE, {**counts, "observedGeneration": generation})


def test_a_class_that_is_not_there_and_an_engine_that_nobody_reaches(installed: Installation, tmp_path: Path) -> None:
    code, told = status(installed, tmp_path, routes("a", "b", gateway="name: own, className: nope"))
    assert code == 1
    assert any(one.startswith("GatewayClass nope: is not there; known: ") for one in troubles(told))
    installed.change(routes("a", "b", "absent"))
    make_pods(installed)
    wait_for(
        lambda: any(
            "engine of absent: its name can't be resolved" in one
            for one in troubles(status(installed, tmp_path, routes("a", "b", "absent"))[1])
        ),
        "the routers to tell of the engine",
        patience=40,
    )
