"""Target ``envoy-gateway``: Envoy Gateway 1.8 and newer, on Kubernetes.

Documents come in the order in which they are safe to apply: what protects the routes before the routes, and the engine
routes before the route where requests wait for a decision.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from routegen.common.asking import Answers
from routegen.common.problems import Remark, Trouble
from routegen.common.text import to_yaml
from routegen.emit.envoy import names
from routegen.emit.envoy_gateway import live, policies, proxy, refusals, refused
from routegen.emit.envoy_gateway.reach import needs_backend_api, reach
from routegen.emit.gateway_api import gateway, httproute
from routegen.emit.gateway_api.reach import Reach
from routegen.emit.kubernetes import network_policy, nowhere, router_deployment
from routegen.emit.kubernetes.objects import Document
from routegen.plan import Plan
from routegen.targets import kubernetes
from routegen.targets.target import Capabilities, Objects, Output, Target


class EnvoyGateway(Target):
    """Kubernetes objects of Gateway API and Envoy Gateway, and the router's own."""

    name: ClassVar = "envoy-gateway"
    gateway_class: ClassVar = "eg"
    capabilities: ClassVar = Capabilities(
        certificates=frozenset({"secrets"}),
        creates_gateway=True,
        binds_addresses=False,
        deploys_router=True,
        pools=False,
        no_pools="Envoy Gateway switches a picker on by the route that a request matches first, and the pool is chosen"
        " after that, so it would never be asked; use target envoy or istio, or a service with the pool's selector,"
        " which spreads requests over its pods without the picker",
        pool_tls=False,
        second_choices=False,
        first_byte="file",
        no_cors="has it in the policy that also authenticates, of which a Gateway takes one: write it there, as "
        "docs/routes-yaml.md shows, and remove it here",
        no_mirrors=kubernetes.NO_MIRRORS,
        bounds_memory=False,
        verifies_addresses=False,
    )

    def examine(self, plan: Plan) -> Iterable[Remark]:
        """What the API server or the controller would refuse, and what must be so in the cluster."""
        yield from kubernetes.remarks(plan)
        yield from refused.refused(plan)
        yield from _of_gateway(plan)
        yield from _of_backends(plan)

    def also_read(self, plan: Plan) -> Iterable[tuple[str, str, str | None]]:
        """The policies and the proxy's settings of a Gateway that is somebody else's."""
        return live.read(plan)

    def examine_live(self, plan: Plan, objects: Objects, answers: Answers) -> Iterable[Trouble]:  # noqa: ARG002
        """Whether that Gateway holds the lines that :meth:`examine` prints."""
        return live.troubles(plan, objects)

    def render(self, plan: Plan) -> Output:
        """Make every object that serves ``plan``."""
        reached = {backend.name: reach(plan, backend) for backend in plan.backends}
        documents = [
            *_front(plan),
            *router_deployment.router_documents(plan),
            *network_policy.documents(plan),
            *nowhere.documents(plan),
            *(document for one in reached.values() for document in one.documents),
            *_policies(plan),
            *_routes(plan, reached),
        ]
        return Output(tuple(kubernetes.rendered(document, plan) for document in documents))

    def check(self, output: Output) -> tuple[str, ...]:
        """What is too large for ``kubectl apply`` as it is mostly used.

        :raises UserError: an object is too large for the API server.
        """
        return kubernetes.too_large(output)


def _front(plan: Plan) -> Iterable[Document]:
    if plan.gateway.create:
        yield proxy.envoy_proxy(plan)
        yield gateway.gateway(plan, proxy.parameters(plan))
        yield policies.client_traffic_policy(plan)


def _policies(plan: Plan) -> Iterable[Document]:
    if plan.gateway.create:
        yield refusals.not_found(plan)
    yield from policies.backend_traffic_policies(plan)
    yield from policies.extension_policies(plan)


def _routes(plan: Plan, reached: dict[str, Reach]) -> Iterable[Document]:
    for backend in plan.backends:
        yield from httproute.engine_routes(plan, backend, reached[backend.name].refs, names.DECIDED)
    for backend in plan.backends:
        opened = [entry for entry in plan.passthrough if entry.backend == backend.name]
        yield from httproute.passthrough_routes(plan, backend, reached[backend.name].refs, opened)
    fallback = plan.router.failure_backend
    refuse = {"backendRefs": nowhere.refs(plan)}
    yield from httproute.models_routes(plan, refuse)
    yield from httproute.waiting_routes(plan, reached[fallback].refs if fallback else (), refuse)
    if plan.by_headers:
        yield from httproute.unread_routes(plan, reached[fallback].refs if fallback else (), refuse)
    # On somebody else's Gateway a route of everything could take other teams' requests.
    if plan.gateway.create:
        yield from httproute.not_found_routes(plan, refusals.refuse(refusals.not_found(plan)))


def _of_gateway(plan: Plan) -> Iterable[Remark]:
    if not plan.gateway.create:
        yield Remark(("spec", "gateway", "create"), _to_merge(plan))


def _to_merge(plan: Plan) -> str:
    """What must be so of a Gateway that is somebody else's."""
    clients = to_yaml([{"spec": policies.client_traffic_settings(plan)}])
    order = to_yaml([{"spec": {"filterOrder": proxy.filter_order()}}])
    return (
        f"Gateway {plan.gateway.namespace}/{plan.gateway.name} is not rendered. Envoy Gateway"
        " takes one ClientTrafficPolicy a Gateway and calls a second one Conflicted, so put these lines into the"
        f" one that it has, or make one of them, before the routes:\n{clients}"
        "Until then a client's own routing header decides which route its request matches first. The router"
        " overrules it, and where the router fails the answer is 503; but where the router ends its stream"
        " without a reply, and for HTTP/2 requests with trailers and no body, the request goes to the backend"
        " that the client named.\n"
        "Its EnvoyProxy (infrastructure.parametersRef, or the GatewayClass's) must hold these, else authorization and"
        f" rate limits run behind the router and don't hold for what it answers itself:\n{order}"
    )


def _of_backends(plan: Plan) -> Iterable[Remark]:
    by_backend = next(filter(needs_backend_api, plan.backends), None)
    for backend in plan.backends:
        path = ("spec", "backends", backend.name)
        if backend is by_backend:  # once: it holds for all of them
            yield Remark(
                path,
                "addresses and unverified certificates are rendered as Backend objects, which Envoy Gateway reads only"
                " with `extensionApis.enableBackend: true` in its configuration",
            )
