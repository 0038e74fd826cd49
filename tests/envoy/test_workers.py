"""A router with several workers behind real Envoys: they share the requests, and one that dies costs none."""

from __future__ import annotations

import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from routegen.compile import compile_text
from support.envoy import VERSIONS
from support.gateway import Gateway, gateway
from support.imitated import imitated
from support.router import RouterProcess, wait_for
from support.status import samples
from support.workers import workers

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: several}
spec:
  gateway: {target: TARGET}
  router: {workers: 2}
  backends:
    vllm: {endpoints: [10.0.0.1:8001], ownedBy: vllm, models: [m]}
    sglang: {endpoints: [10.0.0.2:8002], ownedBy: sglang, models: [m]}
"""
MODELS = {"vllm": ["m"], "sglang": ["m"]}
REQUESTS = 200


def at_work(target: str, version: str) -> AbstractContextManager[Gateway]:
    """Both targets; Envoy Gateway's configuration as imitated."""
    text = ROUTES.replace("TARGET", target)
    if target == "envoy":
        return gateway(text, MODELS, version=version)
    return imitated(compile_text(text, "routes.yaml"), MODELS, version=version)


def send(gate: Gateway, count: int = REQUESTS) -> None:
    """By turns to both engines, some at the same time; all must be answered, by the engine that was asked."""

    def one(number: int) -> tuple[str, tuple[int, str | None]]:
        asked = ("vllm", "sglang")[number % 2]
        reply = gate.post({"model": "m", "inference_server": asked})
        return asked, (reply.status, reply.header("x-inference-server"))

    with ThreadPoolExecutor(4) as pool:
        assert all(answered == (200, asked) for asked, answered in pool.map(one, range(count)))


def shares(router: RouterProcess) -> Counter[int]:
    """How many requests each worker has decided so far."""
    return Counter(line["worker"] for line in router.logged("decision"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("target", ["envoy", "envoy-gateway"])
def test_they_share_the_requests_and_one_that_dies_costs_none(target: str, version: str) -> None:
    with at_work(target, version) as gate:
        router = gate.router
        assert router is not None
        send(gate)
        wait_for(lambda: shares(router).total() == REQUESTS, "all to be told")
        assert min(shares(router)[number] for number in (1, 2)) > REQUESTS / 4, shares(router)

        os.kill(workers(router)[0], signal.SIGKILL)
        send(gate)
        wait_for(lambda: samples(router)["routegen_worker_restarts_total"] == 1, "its successor")
        before = shares(router)

        def used_again() -> bool:
            send(gate, 10)
            now = shares(router)
            return all(now[number] > before[number] + 5 for number in (1, 2))

        wait_for(used_again, "both to be asked")


@pytest.mark.parametrize("version", VERSIONS)
def test_each_has_a_socket_beside_envoy(version: str, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/r"
    with gateway(ROUTES.replace("TARGET", "envoy"), MODELS, version=version, listen=[address]) as gate:
        router = gate.router
        assert router is not None
        assert router.listen == [address, f"{address}.1"]
        assert all(Path(one.removeprefix("unix:")).is_socket() for one in router.listen)
        send(gate)
        wait_for(lambda: shares(router).total() == REQUESTS, "all to be told")
        assert min(shares(router)[number] for number in (1, 2)) > REQUESTS / 4, shares(router)
        os.kill(workers(router)[0], signal.SIGKILL)
        send(gate)
        wait_for(lambda: samples(router)["routegen_worker_restarts_total"] == 1, "its successor")
        send(gate)
