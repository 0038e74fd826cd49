"""What Istio refuses, or serves otherwise than it was meant, of what a plan may say.

Sources: ``pilot/pkg/config/kube/gateway`` and ``pkg/config/validation`` of Istio 1.31, and its page "Application
requirements", on the ports of its proxies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from routegen.common.addresses import is_ip
from routegen.common.problems import Remark
from routegen.emit.istio.destination_rules import verified_names
from routegen.emit.kubernetes.addresses import unreachable
from routegen.plan import Addresses, Backend, Plan, PoolRef

_OWN_PORTS: Final = {15000: "admin", 15020: "metrics", 15021: "readiness", 15090: "statistics"}
"""What the proxy's pod itself listens on."""


def refused(plan: Plan) -> Iterator[Remark]:
    """Everything that this gateway can't serve."""
    if plan.gateway.create:
        yield from _gateway(plan)
    if plan.router.workers > 1:
        sentence = "Istio makes a cluster of each port, and asks one: give more replicas"
        yield Remark(("spec", "router", "workers"), sentence, refused=True)
    for backend in plan.backends:
        yield from _pool(backend)
        yield from _endpoints(backend)
        yield from _certificate(backend)


def _gateway(plan: Plan) -> Iterator[Remark]:
    """Istio makes a Service that is called after the Gateway, and Services' names are labels."""
    name = plan.gateway.name
    if "." in name or name[0].isdigit():
        called = f"Istio calls a Service {name}-{plan.gateway.class_name}"
        sentence = f"{called}, and a Service's name begins with a letter and has no dot"
        yield Remark(("spec", "gateway", "name"), sentence, refused=True)
    for index, listener in enumerate(plan.gateway.listeners):
        if purpose := _OWN_PORTS.get(listener.port):
            place = ("spec", "gateway", "listeners", index, "port")
            yield Remark(place, f"{listener.port} is the port of Istio's own {purpose} listener", refused=True)


def _pool(backend: Backend) -> Iterator[Remark]:
    if isinstance(backend.reach, PoolRef) and "." in backend.reach.name:
        place = ("spec", "backends", backend.name, "inferencePool")
        sentence = f"Istio takes no pool with a dot in its name, such as {backend.reach.name}"
        yield Remark(place, sentence, refused=True)


def _endpoints(backend: Backend) -> Iterator[Remark]:
    """Addresses that a ServiceEntry can't hold, or that are the proxy's own."""
    if isinstance(backend.reach, Addresses):
        for index, (host, _) in enumerate(backend.reach.endpoints):
            if why := unreachable(host, "Istio"):
                yield Remark(("spec", "backends", backend.name, "endpoints", index), why, refused=True)


def _certificate(backend: Backend) -> Iterator[Remark]:
    """There is one name to ask for (SNI) at all addresses of a backend."""
    tls = backend.tls
    if tls is None or isinstance(backend.reach, PoolRef):
        return
    place: tuple[str | int, ...] = ("spec", "backends", backend.name, "tls")
    if tls.verify and tls.server_name is not None and is_ip(tls.server_name):
        sentence = f"{tls.server_name} is an address, and a certificate is verified by a name"
        yield Remark((*place, "serverName"), sentence, refused=True)
    elif tls.verify and len(names := verified_names(backend)) > 1:
        told = " and ".join(names[:2])
        sentence = f"Istio asks a backend's addresses for one name, not {told}: add serverName, or split the backend"
        yield Remark(place, sentence, refused=True)
