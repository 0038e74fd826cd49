"""Routers with several workers behind a real Envoy Gateway: each is a port, they share the requests, one may die."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator

import pytest

from routegen import pipeline
from support.cluster.cluster import Cluster, Installation
from support.cluster.load import load
from support.cluster.sandbox import wait_for
from support.gateway import Reply
from support.workers import children

NAMESPACE = "several"


def routes(workers: int) -> str:
    """A routes.yaml whose two routers have so many workers."""
    return f"""\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {{name: several, namespace: {NAMESPACE}}}
spec:
  gateway: {{name: several}}
  router: {{workers: {workers}, maxInflightBytes: 128Mi}}
  backends:
    a: {{service: {{name: a, port: 8000}}}}
    b: {{service: {{name: b, port: 8000}}}}
"""


@pytest.fixture
def installed(cluster: Cluster) -> Iterator[Installation]:
    cluster.namespace(NAMESPACE)
    for name in "ab":
        cluster.engines.add(name, name, NAMESPACE, "vllm", ["m"])
    with cluster.installed(routes(2)) as installation:
        yield installation


def send(installed: Installation, number: int) -> Reply:
    """By turns to both engines; who answers must be who was asked."""
    asked = "ab"[number % 2]
    reply = installed.post({"model": "m", "inference_server": asked})
    assert reply.status != 200 or reply.header("x-inference-server") == asked
    return reply


def shares(installed: Installation) -> Counter[tuple[str, int]]:
    """How many requests each worker of each router that runs has decided so far."""
    found: Counter[tuple[str, int]] = Counter()
    for address in installed.routers.addresses:
        log = (installed.cluster.sandbox.folder / f"router-{address}.log").read_text(encoding="utf-8")
        entries = [json.loads(line) for line in log.split("\n")[:-1]]
        found.update((address, entry.get("worker", 1)) for entry in entries if entry["message"] == "decision")
    return found


def test_they_share_the_requests_one_may_die_and_their_number_may_change(installed: Installation) -> None:
    with load(lambda number: send(installed, number)) as calm:
        wait_for(lambda: calm.total >= 200, "requests")
    assert calm.statuses.keys() == {200}, calm.trouble
    wait_for(lambda: shares(installed).total() >= 200, "all to be told")
    found = shares(installed)
    assert len(found) == 4, "two routers of two workers each"
    assert min(found.values()) > 20, found

    address = installed.routers.addresses[0]
    [worker, _] = children(installed.cluster.sandbox.pid(f"router-{address}"), "routegen_router.worker")
    with load(lambda number: send(installed, number)) as deadly:
        wait_for(lambda: deadly.total >= 20, "requests")
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: deadly.total >= 200, "more requests")
    assert deadly.total - deadly.statuses[200] <= 1, deadly.trouble

    for workers in (3, 1):
        with load(lambda number: send(installed, number)) as changing:
            policies_first(installed, routes(workers))
            installed.change(routes(workers))
            installed.wait_until_accepted()
            wait_for(lambda: changing.total >= 100, "requests")
        assert changing.statuses.keys() == {200}, (workers, changing.trouble[:3], changing.statuses)


def policies_first(installed: Installation, text: str) -> None:
    """As the page says, where there will be fewer: no policy may name a port that the Service hasn't any more."""
    plan = installed.cluster.compiled(text)
    if plan.router.workers < installed.plan.router.workers:
        installed.api.apply(pipeline.to_text(pipeline.render(plan, only=["EnvoyExtensionPolicy"]).documents))
