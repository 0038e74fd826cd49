"""Rendered documents beside what is live: which objects are there, as rendered, and taken by their controllers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from routegen.common.problems import Trouble
from routegen.emit.kubernetes.objects import ROUTER, WAITING_ROUTE, selector_labels
from routegen.plan import Plan
from routegen.status import conditions, deployment, routers
from routegen.status.drift import differences
from routegen.status.reading import Live, Object
from routegen.status.report import Item, Report, RouterItem
from routegen.targets import Rendered, Target

_TOLD: Final = 4
"""Differences of one object that are told."""
_INSTANCE: Final = "app.kubernetes.io/instance"
_KEPT: Final = frozenset({"ConfigMap"})
"""Kinds of which old ones stay, for a rollback."""
_APPLY: Final = "`routegen render | kubectl apply -f -`"


def judge(plan: Plan, target: Target, documents: Sequence[Rendered], live: Live) -> Report:
    """Everything that is to be said."""
    items = [*_around(plan, live), *(_judged(plan, one, live) for one in documents), *_left_over(plan, documents, live)]
    if found := tuple(target.examine_live(plan, live.objects, live.answers)):
        items.append(Item("Gateway", plan.gateway.namespace, plan.gateway.name, found))
    unread = [f"{kind} in {namespace or 'the cluster'}: {why}" for (kind, namespace), why in live.refused.items()]
    unread += [f"{one.place}: {why}; {one.instead}" for one, why in live.unasked.items()]
    unread += target.unseen(live.objects, live.answers)
    return Report(
        plan.name,
        plan.namespace,
        plan.gateway.target,
        tuple(item for item in items if (item.kind, item.namespace) not in live.refused),
        tuple(_routers(plan, live)),
        tuple(unread),
    )


def _around(plan: Plan, live: Live) -> Iterator[Item]:
    """What is not rendered and must be there."""
    wanted = [("GatewayClass", "", plan.gateway.class_name)] if plan.gateway.create else []
    wanted += [] if plan.gateway.create else [("Gateway", plan.gateway.namespace, plan.gateway.name)]
    for kind, namespace, name in wanted:
        if kind in live.unknown:
            yield Item(kind, namespace, name, (_unknown(kind),))
        elif (found := live.find(kind, namespace, name)) is None:
            known = ", ".join(one["metadata"]["name"] for one in live.objects.get((kind, namespace), [])) or "none"
            yield Item(kind, namespace, name, (Trouble(f"is not there; known: {known}", "mend spec.gateway"),))
        else:
            yield Item(kind, namespace, name, tuple(conditions.troubles(found, plan)), _note(found))


def _judged(plan: Plan, rendered: Rendered, live: Live) -> Item:
    kind, namespace = rendered.kind, rendered.document["metadata"]["namespace"]
    found = live.find(kind, namespace, rendered.document["metadata"]["name"])
    troubles: tuple[Trouble, ...]
    if kind in live.unknown:
        troubles = (_unknown(kind),)
    elif found is None:
        troubles = (Trouble("is not there", f"{_APPLY} makes it"),)
    else:
        troubles = tuple(_of_object(plan, rendered, found, live))
    return Item(kind, namespace, rendered.document["metadata"]["name"], troubles, _note(found) if found else "")


def _of_object(plan: Plan, rendered: Rendered, found: Object, live: Live) -> Iterator[Trouble]:
    owner = (found["metadata"].get("labels") or {}).get(_INSTANCE)
    if owner is not None and owner != plan.name:
        yield Trouble(
            f"belongs to {owner}, which renders it too",
            "`routegen validate --with` that file says what to change",
        )
    elif different := list(differences(rendered.document, found)):
        more = f" and {len(different) - _TOLD} more" if len(different) > _TOLD else ""
        yield Trouble(f"isn't as rendered: {'; '.join(different[:_TOLD])}{more}", f"{_APPLY} puts it back")
    yield from conditions.troubles(found, plan)
    if found["kind"] == "Deployment":
        yield from deployment.rollout(found)
    if found["kind"] == "HTTPRoute" and _component(found) == WAITING_ROUTE:
        yield from _rivals(plan, found, live)


def _rivals(plan: Plan, waiting: Object, live: Live) -> Iterator[Trouble]:
    """Other files' waiting routes on the same Gateway, for the same hosts: the older one gets the requests."""
    hosts = set(waiting["spec"].get("hostnames") or [])
    for (kind, _), listed in live.objects.items():
        for other in listed if kind == "HTTPRoute" else []:
            owner = (other["metadata"].get("labels") or {}).get(_INSTANCE)
            if owner == plan.name or _component(other) != WAITING_ROUTE or not _on(other, plan):
                continue
            others = set(other["spec"].get("hostnames") or [])
            if hosts & others or not (hosts or others):
                shared = ", ".join(sorted(hosts & others)) or "all hosts"
                yield Trouble(
                    f"{owner} serves {shared} on this Gateway too, and the older of both gets the requests",
                    "give each file host names of its own (spec.gateway.hostnames)",
                )


def _on(route: Object, plan: Plan) -> bool:
    """Whether a route is on the plan's Gateway."""
    namespace = route["metadata"]["namespace"]
    return any(
        (one.get("namespace", namespace), one["name"]) == (plan.gateway.namespace, plan.gateway.name)
        for one in route["spec"].get("parentRefs") or []
    )


def _component(found: Object) -> str | None:
    labels = found["metadata"].get("labels") or {}
    component: str | None = labels.get("app.kubernetes.io/component")
    return component if labels.get("app.kubernetes.io/managed-by") == "routegen" else None


def _left_over(plan: Plan, documents: Sequence[Rendered], live: Live) -> Iterator[Item]:
    """Ours by their labels, and rendered no more."""
    made = {(one.kind, one.document["metadata"]["namespace"], one.name) for one in documents}
    for (kind, namespace), listed in live.objects.items():
        for one in listed if kind not in _KEPT else []:
            name, labels = one["metadata"]["name"], one["metadata"].get("labels") or {}
            ours = (labels.get(_INSTANCE), labels.get("app.kubernetes.io/managed-by")) == (plan.name, "routegen")
            if ours and kind != "Pod" and (kind, namespace, name) not in made:
                command = f"`kubectl -n {namespace} delete {kind.lower()} {name}`"
                yield Item(kind, namespace, name, (Trouble("is rendered no more, and still at work", command),))


def _routers(plan: Plan, live: Live) -> Iterator[RouterItem]:
    for pod in deployment.pods(live.objects.get(("Pod", plan.namespace), []), selector_labels(plan, ROUTER)):
        name = pod["metadata"]["name"]
        told = live.registries.get(name)
        if isinstance(told, bytes):
            yield routers.read(name, told, plan)
        elif isinstance(told, str):
            forward = f"`kubectl -n {plan.namespace} port-forward {name} 9464`, then /registry there"
            yield RouterItem(name, (Trouble(f"can't be asked through the API server: {told}", forward),))
        else:
            troubles = tuple(deployment.waiting(pod)) or (
                Trouble("isn't ready", "its log names the engines in trouble"),
            )
            yield RouterItem(name, troubles)


def _unknown(kind: str) -> Trouble:
    return Trouble(f"this cluster doesn't know the kind {kind}", "install the gateway, with its CRDs")


def _note(found: Object) -> str:
    """A Gateway's addresses."""
    if found["kind"] != "Gateway":
        return ""
    addresses = [one.get("value", "") for one in (found.get("status") or {}).get("addresses") or []]
    return f"at {', '.join(addresses)}" if addresses else ""
