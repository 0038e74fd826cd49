"""Target ``istio``: Istio 1.31 and newer as a gateway on Kubernetes.

Documents come in the order in which they are safe to apply: the EnvoyFilter before the routes, since without it a
client's own routing header would choose the engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from routegen.common.asking import Answers, Question
from routegen.common.problems import Remark, Trouble
from routegen.emit.envoy import names
from routegen.emit.gateway_api import gateway, httproute
from routegen.emit.gateway_api.reach import Reach
from routegen.emit.istio import destination_rules, live, refused
from routegen.emit.istio.reach import reach
from routegen.emit.kubernetes import network_policy, nowhere, router_deployment
from routegen.emit.kubernetes.objects import Document
from routegen.plan import Plan, PoolRef
from routegen.targets import kubernetes
from routegen.targets.target import Capabilities, Objects, Output, Target


class Istio(Target):
    """Kubernetes objects of Gateway API and Istio, and the router's own."""

    name: ClassVar = "istio"
    gateway_class: ClassVar = "istio"
    capabilities: ClassVar = Capabilities(
        certificates=frozenset({"secrets"}),
        creates_gateway=True,
        binds_addresses=False,
        deploys_router=True,
        workers=False,
        first_byte="backends",
        pools=True,
        pool_tls=False,
        second_choices=False,
        no_mirrors=kubernetes.NO_MIRRORS,
        bounds_memory=False,
        verifies_addresses=False,
    )

    def examine(self, plan: Plan) -> Iterable[Remark]:
        """What the API server or Istio would refuse, and what must be so in the cluster."""
        yield from kubernetes.remarks(plan)
        yield from refused.refused(plan)
        if not plan.gateway.create:
            yield Remark(("spec", "gateway", "create"), _shared(plan))
        yield from _pools(plan)

    def also_read(self, plan: Plan) -> Iterable[tuple[str, str, str | None]]:
        """The pods of the Gateway, and istiod's."""
        return live.read(plan)

    def questions(self, plan: Plan, objects: Objects) -> Iterable[Question]:
        """What they are, and what they do."""
        return live.questions(plan, objects)

    def examine_live(self, plan: Plan, objects: Objects, answers: Answers) -> Iterable[Trouble]:
        """Whether the EnvoyFilter has its effect, of which no object's status tells."""
        return live.troubles(plan, objects, answers)

    def unseen(self, objects: Objects, answers: Answers) -> Iterable[str]:
        """What istiod and the proxies don't tell, with the command that does."""
        return live.unseen(objects, answers)

    def render(self, plan: Plan) -> Output:
        """Make every object that serves ``plan``."""
        # Envoy's types take half a second to import, which nobody else should pay for.
        from routegen.emit.istio.envoy_filter import envoy_filter  # noqa: PLC0415

        reached = {backend.name: reach(plan, backend) for backend in plan.backends}
        routes = list(_routes(plan, reached))
        documents = [
            envoy_filter(plan, routes),
            *([gateway.gateway(plan)] if plan.gateway.create else []),
            *router_deployment.router_documents(plan),
            *network_policy.documents(plan),
            destination_rules.router_rule(plan),
            nowhere.service(plan),
            *(document for one in reached.values() for document in one.documents),
            *destination_rules.engine_rules(plan),
            *routes,
        ]
        return Output(tuple(kubernetes.rendered(document, plan) for document in documents))

    def check(self, output: Output) -> tuple[str, ...]:
        """What is too large for ``kubectl apply`` as it is mostly used.

        :raises UserError: an object is too large for the API server.
        """
        return kubernetes.too_large(output)


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
        # A rule that does nothing is a direct response, to which the EnvoyFilter gives its status.
        yield from httproute.not_found_routes(plan, {})


def _shared(plan: Plan) -> str:
    return (
        f"Gateway {plan.gateway.namespace}/{plan.gateway.name} is not rendered. The EnvoyFilter changes it all the"
        f" same: {plan.routing_header} is removed from every request to any of its listeners, and two filters stand in"
        " its chain, which only these routes switch on. Istio must have made the Gateway's Deployment: an EnvoyFilter"
        " finds proxies by the label that it gives them"
    )


def _pools(plan: Plan) -> Iterable[Remark]:
    """Said once: it holds for all of them."""
    for backend in plan.backends:
        if isinstance(backend.reach, PoolRef):
            yield Remark(
                ("spec", "backends", backend.name, "inferencePool"),
                "needs ENABLE_GATEWAY_API_INFERENCE_EXTENSION=true in istiod's environment. The router's filter stands"
                " before the pickers', which Istio adds where such a pool is served: without one, every request is 503",
            )
            return
