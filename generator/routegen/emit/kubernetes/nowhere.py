"""A Service that leads nowhere: an address of nobody, which is listed and never serves.

A gateway treats a route to it as one that forwards, so policies hold there as on any other; but nothing is ever
connected to, and a request that gets so far is 503 at once. Without the address some gateways answer such a route by
themselves, and leave rate limits out.
"""

from __future__ import annotations

from typing import Any, Final

from routegen.emit.kubernetes.objects import Document, child_name, document, labels, to_service
from routegen.emit.kubernetes.router_deployment import grpc_ports, router_name
from routegen.plan import Plan

NOBODY: Final = "192.0.2.1"
"""TEST-NET-1 (RFC 5737): no machine has it, and it isn't loopback or link-local, which EndpointSlices refuse."""
PORT: Final = 9
"""The discard port (RFC 863)."""


def documents(plan: Plan) -> list[Document]:
    """The Service, its EndpointSlice, and one for the router's Service.

    The latter keeps the policy that asks the router valid while no router pod has an address: in the first seconds of
    an install, when the image can't be pulled, and when all pods are away. It has no port for metrics, so that nobody
    tries to scrape it.
    """
    return [
        service(plan),
        _slice(plan, service_name(plan), service_name(plan), (("none", PORT),)),
        _slice(plan, child_name(plan.name, "router", "nowhere"), router_name(plan), grpc_ports(plan)),
    ]


def service(plan: Plan) -> Document:
    """The Service, which chooses no pods: without a slice there is no address at all."""
    spec = {"ports": [{"name": "none", "port": PORT}]}
    return document(plan, "v1", "Service", service_name(plan), "nowhere", spec)


def refs(plan: Plan) -> list[dict[str, Any]]:
    """``backendRefs`` of a rule that leads nowhere."""
    return [to_service(service_name(plan), PORT)]


def service_name(plan: Plan) -> str:
    """The Service's name."""
    return child_name(plan.name, "nowhere")


def _slice(plan: Plan, name: str, service: str, ports: tuple[tuple[str, int], ...]) -> Document:
    """An EndpointSlice of ours: the label says whose, so that Kubernetes' own controller leaves it alone."""
    owner = {"kubernetes.io/service-name": service, "endpointslice.kubernetes.io/managed-by": "routegen"}
    conditions = {"ready": False, "serving": False, "terminating": False}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": plan.namespace, "labels": {**labels(plan, "nowhere"), **owner}},
        "addressType": "IPv4",
        "ports": [{"name": port, "port": number, "protocol": "TCP"} for port, number in ports],
        "endpoints": [{"addresses": [NOBODY], "conditions": conditions}],
    }
