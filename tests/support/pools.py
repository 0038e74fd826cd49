"""A pool of two pods behind a whole gateway, with a small picker."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from routegen.mock_engine import VLLM, MockEngine
from routegen.plan import Addresses, Picker, Plan, PoolRef, UpstreamTLS
from support.envoy import CURRENT
from support.gateway import Gateway, Reply, engines, gateway
from support.picker import RunningPicker, picker
from support.router import wait_for

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: pools}
spec:
  gateway: {target: envoy, hostnames: [api.test]}
  passthrough: [{path: /unheard, method: POST, backend: pool}]
  backends:
    pool:
      inferencePool: {name: pool, endpoints: [127.0.0.1:8001], picker: {endpoints: [127.0.0.1:9002]}}
      ownedBy: vllm
      models: {m: m, nickname: m}
    other: {endpoints: [127.0.0.1:8002], ownedBy: sglang, models: [m]}
"""
MODELS = {"pool": ["m"], "other": ["m"]}
HOST = [("host", "api.test")]
PODS = {"one": (VLLM, ["m"]), "two": (VLLM, ["m"])}


@dataclass
class Pool:
    """A pool of two pods behind a gateway."""

    gateway: Gateway
    picker: RunningPicker
    pods: dict[str, MockEngine]

    def address(self, pod: str) -> str:
        """Where a pod is."""
        return f"{self.pods[pod].host}:{self.pods[pod].port}"

    def picks(self, *pods: str) -> None:
        """Let the picker choose these from now on, the first first."""
        answer = ",".join(self.address(pod) for pod in pods)
        self.picker.choose = lambda _: answer

    def post(self, backend: str = "pool", headers: Sequence[tuple[str, str]] = (), **body: object) -> Reply:
        """Send a chat completion that names a backend."""
        return self.gateway.post({"inference_server": backend, "model": "m", **body}, headers=[*HOST, *headers])

    def forget(self) -> None:
        """Empty what everybody has recorded."""
        self.picker.asked.clear()
        self.gateway.forget()
        for pod in self.pods.values():
            pod.recorder.clear()

    def reached(self) -> set[str]:
        """The pods that got a generation since :meth:`forget`."""
        return {name for name, pod in self.pods.items() if pod.recorder.generations()}

    def logged(self, reply: Reply) -> str | None:
        """What the access log says of the pick."""
        request_id = reply.header("x-request-id")
        assert request_id is not None
        picked: str | None = self.gateway.envoy.logged(request_id)["picked"]
        return picked

    def failing(self) -> None:
        """Wait until Envoy has found the picker to be gone."""
        wait_for(lambda: self.gateway.envoy.stat(HEALTHY) == 0, "the picker to be found gone")


CLOSED = Picker(())
HEALTHY = "cluster.picker/pool.membership_healthy"


@contextmanager
def pool(
    settings: Picker = CLOSED,
    *,
    routes: str = ROUTES,
    version: str = CURRENT,
    tls: tuple[Path, Path] | None = None,
    health: bool = True,
    routers: Sequence[str] | None = None,
    places: Sequence[tuple[str, int]] = (),
    others: Sequence[tuple[str, int]] = (),
) -> Iterator[Pool]:
    """Run everything.

    :param settings: the picker's, without its addresses.
    :param tls: certificate and key that it serves; Envoy doesn't verify them.
    :param health: its health is asked at its own port, not seen by connecting.
    :param places: where Envoy takes the pods to be, and ``others`` the other engine, if not where they are.
    :param routers: as for :func:`support.gateway.gateway`.
    """
    with engines(PODS) as pods, picker(lambda _: "192.0.2.1:1", tls=tls) as running:
        chosen = dataclasses.replace(
            settings,
            endpoints=(("127.0.0.1", running.port),),
            tls=None if tls is None else UpstreamTLS(verify=False),
            health_port=running.health_port if health else None,
        )
        known = tuple(places) or tuple((pod.host, pod.port) for pod in pods.values())

        def use_pool(plan: Plan) -> Plan:
            first, other = plan.backends
            urls = tuple(f"{pod.url}/v1/models" for pod in pods.values())
            first = dataclasses.replace(first, reach=PoolRef("pool", "default", known, chosen), poll_urls=urls)
            if others:
                other = dataclasses.replace(other, reach=Addresses(tuple(others)))
            return dataclasses.replace(plan, backends=(first, other))

        with gateway(routes, MODELS, version=version, adjust=use_pool, routers=routers) as gate:
            wait_for(lambda: gate.envoy.stat(HEALTHY) == 1, "the picker to be found healthy")
            made = Pool(gate, running, pods)
            made.picks("one")
            yield made
