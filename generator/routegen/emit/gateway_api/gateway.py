"""The Gateway: the address that clients connect to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from routegen.emit.kubernetes.objects import Document, document
from routegen.plan import Listener, Plan


def gateway(plan: Plan, parameters: Mapping[str, str] | None = None) -> Document:
    """The Gateway, open to HTTPRoutes of the routes' own namespace only.

    :param parameters: the object with settings of its proxy (``infrastructure.parametersRef``).
    """
    spec = {
        "gatewayClassName": plan.gateway.class_name,
        "listeners": [_listener(listener, plan) for listener in plan.gateway.listeners],
        **({"infrastructure": {"parametersRef": dict(parameters)}} if parameters else {}),
    }
    return document(
        plan,
        "gateway.networking.k8s.io/v1",
        "Gateway",
        plan.gateway.name,
        "gateway",
        spec,
        namespace=plan.gateway.namespace,
    )


def _listener(listener: Listener, plan: Plan) -> dict[str, Any]:
    secret = listener.tls.secret if listener.tls is not None else None
    return {
        "name": listener.name,
        "port": listener.port,
        "protocol": "HTTP" if secret is None else "HTTPS",
        **(
            {}
            if secret is None
            else {"tls": {"mode": "Terminate", "certificateRefs": [{"group": "", "kind": "Secret", "name": secret}]}}
        ),
        "allowedRoutes": {"namespaces": _namespaces(plan)},
    }


def _namespaces(plan: Plan) -> dict[str, Any]:
    if plan.gateway.namespace == plan.namespace:
        return {"from": "Same"}
    # Every namespace bears its own name as this label (Kubernetes 1.22 and newer).
    return {"from": "Selector", "selector": {"matchLabels": {"kubernetes.io/metadata.name": plan.namespace}}}
