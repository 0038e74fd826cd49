"""Two routes.yaml whose documents are applied to one cluster: where they would take from each other without a word.

``kubectl apply`` says nothing of it. An object that both render is whoever applied it last's; a second policy of a
Gateway is never used; and of two HTTPRoutes that match alike the older one gets the requests (Gateway API,
HTTPRouteRule, "Matches"). Several files share a Gateway well where one of them makes it and each has host names of its
own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from routegen.common.problems import Remark
from routegen.plan import Plan
from routegen.targets import find

_GATEWAY: Final = ("spec", "gateway")
_NAMED: Final = 3
"""Objects that are called by their names."""
_GATEWAYS_OWN: Final = frozenset({"Gateway"})


def clashes(plan: Plan, other: Plan, file: str) -> Iterator[Remark]:
    """What of ``plan`` can't be beside ``other`` in one cluster.

    :param file: what to call the other one's file.
    """
    if not (_in_cluster(plan) and _in_cluster(other)):
        return  # a configuration for one Envoy is beside nothing
    if (plan.namespace, plan.name) == (other.namespace, other.name):
        sentence = f"{file} is {plan.namespace}/{plan.name} too, and each would overwrite the other"
        yield _refused(("metadata", "name"), sentence)
        return
    if both := _objects(plan) & _objects(other):
        names = [f"{kind} {namespace}/{name}" for kind, namespace, name in sorted(both)]
        told = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        sentence = f"{file} renders {told} too; choose a name that doesn't lead to the same ones"
        yield _refused(("metadata", "name"), sentence)
    if _gateway(plan) == _gateway(other):
        yield from _on_one_gateway(plan, other, file)


def _on_one_gateway(plan: Plan, other: Plan, file: str) -> Iterator[Remark]:
    name = "/".join(_gateway(plan))
    if plan.gateway.create and other.gateway.create:
        yield _refused(
            (*_GATEWAY, "create"),
            f"{file} makes the Gateway {name} too: the last one applied wins, and of two ClientTrafficPolicies"
            " the second is never used; let one file make it, and set `create: false` here or there",
        )
    elif plan.gateway.create != other.gateway.create and plan.namespace != other.namespace:
        maker, guest = (plan, other) if plan.gateway.create else (other, plan)
        yield _refused(
            (*_GATEWAY, "create"),
            f"the Gateway {name}, made for {maker.name}, lets in HTTPRoutes of namespace {maker.namespace} only, not"
            f" those of {guest.name} in {guest.namespace}; make the Gateway apart from both (`create: false` in both)",
        )
    if plan.routing_header != other.routing_header and plan.gateway.create != other.gateway.create:
        yield _refused(
            ("spec", "routingHeader"),
            f"{file} has {other.routing_header}, and only one of both is removed from what clients of the Gateway"
            f" {name} send; use the same",
        )
    if hosts := _shared_hosts(plan, other):
        paths = [path for path in plan.paths if path in other.paths]
        taken = f"POST {paths[0]}" if paths else "GET /v1/models"
        yield _refused(
            (*_GATEWAY, "hostnames"),
            f"{file} serves {hosts} on the Gateway {name} too: {taken} and others go to whichever was applied first;"
            " give each file host names of its own",
        )


def _shared_hosts(plan: Plan, other: Plan) -> str | None:
    """The hosts that both serve on equal terms, in words: a more particular name wins anyway."""
    ours, theirs = ({host.lower() for host in one.gateway.hostnames} for one in (plan, other))
    if not ours and not theirs:
        return "all hosts"
    return ", ".join(sorted(ours & theirs)) if ours & theirs else None


def _in_cluster(plan: Plan) -> bool:
    return find(plan.gateway.target).capabilities.deploys_router


def _gateway(plan: Plan) -> tuple[str, str]:
    return plan.gateway.namespace, plan.gateway.name


def _objects(plan: Plan) -> set[tuple[str, str, str]]:
    """(kind, namespace, name) of all that is rendered, but for the Gateway, of which more is said."""
    return {
        (one.kind, one.document["metadata"]["namespace"], one.name)
        for one in find(plan.gateway.target).render(plan).documents
        if one.kind not in _GATEWAYS_OWN
    }


def _refused(path: tuple[str | int, ...], sentence: str) -> Remark:
    return Remark(path, sentence, refused=True)
