"""Target ``envoy-gateway``: Envoy Gateway 1.8 and newer, on Kubernetes.

Documents come in the order in which they are safe to apply: what protects the routes before the routes, and the engine
routes before the route where requests wait for a decision.
"""

from __future__ import annotations

from collections.abc import Iterable

from routegen.emit import gateway, httproute, policies, router_deployment
from routegen.emit.kubernetes import Document
from routegen.emit.reach import Reach, reach
from routegen.plan import Plan
from routegen.targets import Output, Rendered
from routegen.text import to_yaml


def render(plan: Plan) -> Output:
    """Make every object that serves ``plan``.

    :raises UserError: a backend has an address that Kubernetes can't write down.
    """
    reached = {backend.name: reach(plan, backend) for backend in plan.backends}
    documents = [
        *_front(plan),
        *router_deployment.router_documents(plan),
        *(document for one in reached.values() for document in one.documents),
        *_policies(plan),
        *_routes(plan, reached),
    ]
    # The same sentence may come from several backends.
    notices = dict.fromkeys(notice for one in reached.values() for notice in one.notices)
    return Output(tuple(_rendered(document, plan) for document in documents), (*notices, *_notices(plan)))


def _front(plan: Plan) -> Iterable[Document]:
    if plan.gateway.create:
        yield gateway.gateway(plan)
        yield policies.client_traffic_policy(plan)


def _policies(plan: Plan) -> Iterable[Document]:
    yield policies.route_not_set(plan)
    if plan.gateway.create:
        yield policies.not_found(plan)
    yield from policies.backend_traffic_policies(plan)
    yield from policies.extension_policies(plan)


def _routes(plan: Plan, reached: dict[str, Reach]) -> Iterable[Document]:
    for backend in plan.backends:
        yield from httproute.engine_routes(plan, backend, reached[backend.name].refs)
    for backend in plan.backends:
        opened = [entry for entry in plan.passthrough if entry.backend == backend.name]
        yield from httproute.passthrough_routes(plan, backend, reached[backend.name].refs, opened)
    fallback = plan.router.failure_backend
    refusal = policies.refusal_name(plan)
    yield from httproute.models_routes(plan, refusal)
    yield from httproute.waiting_routes(plan, reached[fallback].refs if fallback else (), refusal)
    # On somebody else's Gateway a route of everything could take other teams' requests.
    if plan.gateway.create:
        yield from httproute.not_found_routes(plan, policies.not_found_name(plan))


def _notices(plan: Plan) -> Iterable[str]:
    if not plan.gateway.create:
        lines = to_yaml([{"spec": policies.client_traffic_settings(plan)}])
        yield (
            f"Gateway {plan.gateway.namespace}/{plan.gateway.name} is not rendered (`create: false`). Envoy Gateway"
            " takes one ClientTrafficPolicy a Gateway and calls a second one Conflicted, so put these lines into the"
            f" one that it has, or make one of them, before the routes:\n{lines}"
            "Until then a client's own routing header decides which route its request matches first. The router"
            " overrules it, and where the router fails the answer is 503; but where the router ends its stream"
            " without a reply, and for HTTP/2 requests with trailers and no body, the request goes to the backend"
            " that the client named."
        )
    for backend in router_deployment.unverifiable(plan):
        assert backend.tls is not None
        yield (
            f"backend {backend.name}: the router can't mount ConfigMap {backend.tls.ca_config_map} from another"
            f" namespace, so it can't ask this engine for its models; list them under `models:` with"
            " `poll: {enabled: false}`"
        )


def _rendered(document: Document, plan: Plan) -> Rendered:
    kind, name = document["kind"], document["metadata"]["name"]
    # The ConfigMap's name changes with its content; its file's shouldn't.
    stem = router_deployment.router_name(plan) if kind == "ConfigMap" else name
    return Rendered(kind=kind, name=name, filename=f"{kind.lower()}-{stem}.yaml", document=document)
