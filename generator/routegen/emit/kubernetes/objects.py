"""What all Kubernetes documents share: names, labels, quantities, and the frame of an object."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from routegen.plan import Plan

Document = dict[str, Any]
"""One Kubernetes object, keys in output order."""

MAX_LABEL: Final = 63
"""The longest DNS label (RFC 1123): Service names, label values, and pod names' parts."""

INFERENCE_ROUTE: Final = "inference-route"
"""The component label of the HTTPRoutes of decided requests; the router is on them too."""
MODELS_ROUTE: Final = "models-route"
"""The component label of the HTTPRoute of the list of models, which the router answers."""
WAITING_ROUTE: Final = "waiting-route"
"""The component label of the HTTPRoutes where requests wait for the router's decision."""
UNREAD_ROUTE: Final = "unread-route"
"""The component label of the HTTPRoutes where requests wait for a decision that needs no body."""
PASSTHROUGH_ROUTE: Final = "passthrough-route"
"""The component label of the HTTPRoutes that reach an engine unread."""
ROUTER: Final = "router"
"""The component label of the router's own objects."""


def child_name(parent: str, *parts: str, limit: int = MAX_LABEL) -> str:
    """``parent-part-…``, shortened with a hash of the whole where it would be longer than ``limit``."""
    name = "-".join((parent, *parts))
    if len(name) <= limit:
        return name
    digest = sha256(name.encode()).hexdigest()[:8]
    return f"{name[: limit - 9].rstrip('-.')}-{digest}"


def selector_labels(plan: Plan, component: str) -> dict[str, str]:
    """The labels that tell these routes' objects of one component from all others; never changed once applied."""
    return {
        "app.kubernetes.io/name": "routegen",
        "app.kubernetes.io/instance": plan.name,
        "app.kubernetes.io/component": component,
    }


def labels(plan: Plan, component: str) -> dict[str, str]:
    """All labels of an object (the recommended ones of Kubernetes' documentation)."""
    return {**selector_labels(plan, component), "app.kubernetes.io/managed-by": "routegen"}


def document(
    plan: Plan, api_version: str, kind: str, name: str, component: str, spec: Mapping[str, Any], namespace: str = ""
) -> Document:
    """An object with a spec; ``namespace`` where it isn't the routes' own."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace or plan.namespace, "labels": labels(plan, component)},
        "spec": dict(spec),
    }


def to_service(name: str, port: int, namespace: str = "") -> dict[str, Any]:
    """A reference to a Service's port, for a route or a policy.

    It holds what the API server would fill in: kubectl compares lists as a whole, so without that each further
    ``kubectl apply`` would change the object and say so.
    """
    place = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"group": "", "kind": "Service", **place, "port": port, "weight": 1}


def quantity(size: int) -> str:
    """Bytes as a Kubernetes quantity, exactly: ``32Mi``, or plain digits where no binary unit divides it."""
    for unit, factor in (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)
