"""The EnvoyFilter: what Istio's API has no words for, merged into what it makes for this Gateway.

Patches name routes as Istio does: namespace, HTTPRoute and the rule's place, with dots between. One that names nothing
is passed over without a word, so the names are taken from the HTTPRoutes themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from routegen.emit.envoy import fragments
from routegen.emit.istio.destination_rules import beside_gateway
from routegen.emit.kubernetes.objects import ROUTER, Document, child_name, document
from routegen.emit.kubernetes.router_deployment import GRPC_PORT, router_name
from routegen.plan import Plan, PoolRef

Patch = dict[str, Any]

_LAST: Final = "envoy.filters.http.grpc_stats"
"""The first of the filters that Istio has in every chain behind authentication and authorization."""
_PICKER: Final = "envoy.filters.http.ext_proc"
"""The filter that asks the endpoint pickers; Istio has it where a route of the Gateway leads to an InferencePool."""


def envoy_filter(plan: Plan, routes: Iterable[Document]) -> Document:
    """The object, beside the Gateway.

    :param routes: the HTTPRoutes that are rendered.
    """
    target = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": plan.gateway.name}
    spec = {"targetRefs": [target], "configPatches": [*_listening(plan), _router(plan), *_routing(plan, routes)]}
    name, api = beside_gateway(plan, ROUTER), "networking.istio.io/v1alpha3"
    made = document(plan, api, "EnvoyFilter", name, ROUTER, spec, plan.gateway.namespace)
    # Where gateways get only the clusters that their routes name, the router's would not be among them.
    made["metadata"]["annotations"] = {"envoyfilter.istio.io/referenced-services": _host(plan)}
    return made


def _listening(plan: Plan) -> Iterator[Patch]:
    """On every listener of the Gateway, whatever its port.

    In front of the picker's filter where there is one: it must see the route that the router has chosen.
    """
    pools = any(isinstance(backend.reach, PoolRef) for backend in plan.backends)
    anchor = {"name": fragments.MANAGER, "subFilter": {"name": _PICKER if pools else _LAST}}
    for made in fragments.http_filters(plan, _cluster(plan)):
        yield _patch("HTTP_FILTER", {"listener": {"filterChain": {"filter": anchor}}}, "INSERT_BEFORE", made)
    if plan.gateway.create:
        reading = fragments.connection_manager(plan)
    else:
        ours = [f"{plan.namespace}.{child_name(plan.name, part)}" for part in ("to-", "waiting", "models")]
        reading = fragments.shared_connection_manager(plan, ours)
    manager = {"listener": {"filterChain": {"filter": {"name": fragments.MANAGER}}}}
    yield _patch("NETWORK_FILTER", manager, "MERGE", reading)


def _router(plan: Plan) -> Patch:
    return _patch("CLUSTER", {"cluster": {"name": _cluster(plan)}}, "MERGE", fragments.router_cluster())


def _routing(plan: Plan, routes: Iterable[Document]) -> Iterator[Patch]:
    """What each route does beside what its HTTPRoute says."""
    kinds = {
        child_name(plan.name, "waiting"): fragments.waiting_route(plan),
        child_name(plan.name, "waiting", "unread"): fragments.unread_route(plan),
        child_name(plan.name, "models"): fragments.models_route(plan),
        child_name(plan.name, "not-found"): fragments.not_found_route(),
    }
    for backend in plan.backends:
        kinds[child_name(plan.name, "to", backend.name)] = fragments.engine_route(plan, backend)
        kinds[child_name(plan.name, "passthrough", backend.name)] = fragments.passthrough_route(backend)
    for route in routes:
        name = route["metadata"]["name"]
        for rule in range(len(route["spec"]["rules"])):
            match = {"routeConfiguration": {"vhost": {"route": {"name": f"{plan.namespace}.{name}.{rule}"}}}}
            # A second HTTPRoute of a kind is called name.2; no other has a dot in its name.
            yield _patch("HTTP_ROUTE", match, "MERGE", kinds[name.partition(".")[0]])


def _patch(apply_to: str, match: dict[str, Any], operation: str, value: dict[str, Any]) -> Patch:
    return {
        "applyTo": apply_to,
        "match": {"context": "GATEWAY", **match},
        "patch": {"operation": operation, "value": value},
    }


def _host(plan: Plan) -> str:
    return f"{router_name(plan)}.{plan.namespace}.svc.cluster.local"


def _cluster(plan: Plan) -> str:
    """What Istio calls the router's cluster."""
    return f"outbound|{GRPC_PORT}||{_host(plan)}"
