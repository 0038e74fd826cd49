"""What a Gateway that is somebody else's must hold, looked for in a cluster (``create: false``).

``routegen render`` prints these lines; nothing renders them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from routegen.common.problems import Trouble
from routegen.emit.envoy_gateway import proxy
from routegen.emit.envoy_gateway.policies import API
from routegen.plan import Plan

Objects = Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]


def read(plan: Plan) -> Iterator[tuple[str, str, str | None]]:
    """What has to be listed: (version, kind, namespace)."""
    if not plan.gateway.create:
        for kind in ("ClientTrafficPolicy", "EnvoyProxy"):
            yield API, kind, plan.gateway.namespace


def troubles(plan: Plan, objects: Objects) -> Iterator[Trouble]:
    """What is missing of the lines."""
    if plan.gateway.create:
        return
    namespace = plan.gateway.namespace
    attached = [one["spec"] for one in objects.get(("ClientTrafficPolicy", namespace), ()) if _is_on(one, plan)]
    if not any(plan.routing_header in _removed(spec) for spec in attached):
        yield Trouble(
            f"nothing removes a client's own {plan.routing_header} before the routes",
            "put the lines that `routegen render` prints into its ClientTrafficPolicy",
        )
    named = _proxy_name(plan, objects)
    settings = [one["spec"] for one in objects.get(("EnvoyProxy", namespace), ()) if one["metadata"]["name"] == named]
    wanted = proxy.filter_order()
    # Without an EnvoyProxy of its own the GatewayClass's may hold them; that one may be anywhere.
    if settings and not all(line in (settings[0].get("filterOrder") or []) for line in wanted):
        yield Trouble(
            f"authorization and rate limits run behind the router (EnvoyProxy {named})",
            "put the filterOrder that `routegen render` prints into it",
        )


def _is_on(policy: Mapping[str, Any], plan: Plan) -> bool:
    spec = policy["spec"]
    references = [*(spec.get("targetRefs") or []), *([spec["targetRef"]] if "targetRef" in spec else [])]
    return any((one["kind"], one["name"]) == ("Gateway", plan.gateway.name) for one in references)


def _removed(spec: Mapping[str, Any]) -> set[str]:
    early = (spec.get("headers") or {}).get("earlyRequestHeaders") or {}
    return {name.lower() for name in early.get("remove") or []}


def _proxy_name(plan: Plan, objects: Objects) -> str | None:
    for one in objects.get(("Gateway", plan.gateway.namespace), ()):
        if one["metadata"]["name"] == plan.gateway.name:
            reference = (one["spec"].get("infrastructure") or {}).get("parametersRef") or {}
            name: str | None = reference.get("name") if reference.get("kind") == "EnvoyProxy" else None
            return name
    return None
