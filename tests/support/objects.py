"""Kubernetes objects as an API server lists them, for tests that read a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Object = dict[str, Any]


def thing(kind: str, name: str, spec: Mapping[str, Any], *, namespace: str = "inference", **metadata: Any) -> Object:
    """An object; ``metadata`` is further fields of its metadata."""
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace, **metadata}, "spec": dict(spec)}


def llm(name: str, model: str = "m", **metadata: Any) -> Object:
    """An LLMInferenceService."""
    return thing("LLMInferenceService", name, {"model": {"name": model, "uri": f"hf://{model}"}}, **metadata)


def pod(
    name: str,
    labels: Mapping[str, str],
    *,
    ready: bool = True,
    ports: Sequence[Mapping[str, Any]] = (),
    **metadata: Any,
) -> Object:
    """A pod with one container."""
    containers = [{"name": "main", "image": "engine", "ports": list(ports)}]
    made = thing("Pod", name, {"containers": containers}, labels=dict(labels), **metadata)
    made["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    return made


def service(name: str, selector: Mapping[str, str], *ports: Any, headless: bool = False, **metadata: Any) -> Object:
    """A Service; a port is a number or the whole entry."""
    entries = [port if isinstance(port, dict) else {"port": port, "targetPort": port} for port in ports or (8000,)]
    spec: Object = {"selector": dict(selector), "ports": entries}
    return thing("Service", name, spec | ({"clusterIP": "None"} if headless else {}), **metadata)


def pool(
    name: str, selector: Mapping[str, str], picker: str, *ports: int, mode: str = "FailOpen", **metadata: Any
) -> Object:
    """An InferencePool."""
    spec = {
        "selector": {"matchLabels": dict(selector)},
        "targetPorts": [{"number": port} for port in ports or (8000,)],
        "endpointPickerRef": {
            "group": "",
            "kind": "Service",
            "name": picker,
            "port": {"number": 9002},
            "failureMode": mode,
        },
    }
    return thing("InferencePool", name, spec, **metadata)


def deployment(name: str, labels: Mapping[str, str], *arguments: str) -> Object:
    """A Deployment whose container gets these arguments."""
    container = {"name": name, "image": name, "args": list(arguments)}
    template = {"metadata": {"labels": dict(labels)}, "spec": {"containers": [container]}}
    return thing("Deployment", name, {"selector": {"matchLabels": dict(labels)}, "template": template})
