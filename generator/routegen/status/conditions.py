"""What controllers say of an object (Gateway API, "Status and conditions"), as troubles.

Conditions stand in ``status.conditions``; in a Gateway's ``status.listeners``; in a route's ``status.parents`` and a
policy's ``status.ancestors``, once for each that they are attached to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from routegen.common.problems import Trouble
from routegen.plan import Plan

JUDGED: Final = frozenset({"Gateway", "HTTPRoute"})
"""Kinds that a controller must have judged; so must every policy."""
_GOOD: Final = frozenset({"Accepted", "Programmed", "ResolvedRefs", "Merged", "Available"})
"""True where all is well."""
_BAD: Final = frozenset({"Conflicted", "OverlappingTLSConfig", "PartiallyInvalid", "Overridden", "Warning"})
"""True where something is wrong."""
_TO_DO: Final = {
    "NotAllowedByListeners": "let the routes' namespace into the Gateway's listeners (allowedRoutes)",
    "NoMatchingParent": "the Gateway has no such listener: compare spec.gateway with it",
    "NoMatchingListenerHostname": "give a listener of the Gateway these host names, or none",
    "BackendNotFound": "make the Service that the message names, or mend the backend in routes.yaml",
    "RefNotPermitted": "apply the ReferenceGrant: `routegen render --only ReferenceGrant | kubectl apply -f -`",
    "InvalidFilter": "the gateway can't do what a filter of the route says, and drops the rule: apply what is rendered",
    "InvalidKind": "the gateway doesn't know what the route leads to",
    "Conflicted": "an older policy of its kind is attached there: merge the two into one, and delete the other",
    "TargetNotFound": "what the policy is attached to isn't there: apply all that is rendered",
    "AddressNotAssigned": "the Gateway's Service gets no address: is there a load balancer?",
    "NoResources": "the Gateway's proxy doesn't run: look at its Deployment, in the controller's namespace",
}
_ELSE: Final = "`kubectl describe` shows all of it"


def troubles(live: Mapping[str, Any], plan: Plan) -> Iterator[Trouble]:
    """What is wrong with an object by its status."""
    kind, status = live["kind"], live.get("status") or {}
    groups = [status.get("conditions") or []]
    groups += [one.get("conditions") or [] for one in (status.get("listeners") or []) if kind == "Gateway"]
    attached = [*(status.get("parents") or []), *(status.get("ancestors") or [])]
    groups += [one.get("conditions") or [] for one in attached]
    if not any(groups):
        if kind in JUDGED or kind.endswith("Policy"):
            yield Trouble(
                "no controller has judged it",
                f"does the controller of GatewayClass {plan.gateway.class_name} run, and does it know this kind?",
            )
        return
    told = set()
    for condition in (one for group in groups for one in group):
        if (trouble := _trouble(condition, live["metadata"].get("generation"))) and trouble not in told:
            told.add(trouble)
            yield trouble


def _trouble(condition: Mapping[str, Any], generation: int | None) -> Trouble | None:
    kind, status, reason = condition["type"], condition["status"], condition.get("reason", "")
    if (kind in _GOOD and status != "True") or (kind in _BAD and status == "True"):
        message = " ".join(str(condition.get("message", "")).split())
        return Trouble(f"{kind} is {status} ({reason}): {message}", _TO_DO.get(reason, _ELSE))
    seen = condition.get("observedGeneration")
    if kind == "Accepted" and isinstance(seen, int) and isinstance(generation, int) and seen < generation:
        return Trouble("the controller hasn't looked at its last change", "wait; if it stays so, look at its log")
    return None
