"""The EnvoyProxy of the Gateway: the order of its filters.

Envoy Gateway runs authorization and rate limits behind external processing. Moved in front of it, and of the buffer
that collects bodies for it, they hold for everything that the router answers, and before a body is read.
"""

from __future__ import annotations

from typing import Any, Final

from routegen.emit.envoy_gateway.policies import API
from routegen.emit.kubernetes.objects import Document, child_name, document
from routegen.plan import Plan

_BUFFER: Final = "envoy.filters.http.buffer"
_IN_FRONT: Final = ("envoy.filters.http.rbac", "envoy.filters.http.local_ratelimit", "envoy.filters.http.ratelimit")


def envoy_proxy(plan: Plan) -> Document:
    """The object, beside the Gateway; all other settings are those of the GatewayClass."""
    spec = {"mergeType": "StrategicMerge", "filterOrder": filter_order()}
    return document(plan, API, "EnvoyProxy", proxy_name(plan), "gateway", spec, plan.gateway.namespace)


def filter_order() -> list[dict[str, Any]]:
    """Its ``filterOrder``, which an EnvoyProxy that is somebody else's needs as well."""
    return [{"name": name, "before": _BUFFER} for name in _IN_FRONT]


def parameters(plan: Plan) -> dict[str, str]:
    """How the Gateway refers to it (``infrastructure.parametersRef``)."""
    return {"group": API.partition("/")[0], "kind": "EnvoyProxy", "name": proxy_name(plan)}


def proxy_name(plan: Plan) -> str:
    """The object's name."""
    return child_name(plan.name, "proxy")
