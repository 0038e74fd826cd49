"""Objects as they are in a cluster where all is well, for ``routegen status``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any


def condition(kind: str, status: str = "True", reason: str = "Fine", message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": 1}


def taken(document: Mapping[str, Any]) -> dict[str, Any]:
    """A rendered object as it is in a cluster where all is well."""
    live = deepcopy(dict(document))
    live["metadata"]["generation"] = 1
    kind, accepted = live["kind"], [condition("Accepted"), condition("ResolvedRefs")]
    if kind == "Gateway":
        listener = {
            "name": "http",
            "conditions": [*accepted, condition("Programmed"), condition("Conflicted", "False")],
        }
        addresses = [{"value": "10.0.0.7"}]
        conditions = [condition("Accepted"), condition("Programmed")]
        live["status"] = {"conditions": conditions, "listeners": [listener], "addresses": addresses}
    elif kind == "HTTPRoute":
        live["status"] = {"parents": [{"conditions": accepted}]}
    elif kind.endswith("Policy"):
        live["status"] = {"ancestors": [{"conditions": [condition("Accepted"), condition("Merged")]}]}
    elif kind == "Deployment":
        counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), 2)
        live["status"] = {"observedGeneration": 1, **counts}
        [container] = live["spec"]["template"]["spec"]["containers"]
        container["resources"]["requests"] = {"cpu": "500m", "memory": "1Gi"}  # in the API server's own form
        container["imagePullPolicy"] = "IfNotPresent"
        live["spec"]["template"]["spec"]["containers"].append({"name": "mesh-sidecar", "image": "m"})
    elif kind == "Service":
        live["spec"]["clusterIP"] = "10.96.0.1"
    return live


def registry(**changes: Any) -> str:
    one = {
        "owner": "vllm",
        "source": "polled",
        "asked": True,
        "alive": True,
        "age_seconds": 3.0,
        "error": None,
        "configured": [],
        "polled": {"models": {"m": 0}, "owner": "vllm"},
    }
    return json.dumps(
        {"asked": True, "complete": True, "backends": [{"name": "vllm", **one}, {"name": "far", **one, **changes}]}
    )
