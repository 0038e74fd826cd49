"""How far the router's rollout is, and what holds it up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from routegen.common.problems import Trouble

_TO_DO: Final = {
    "ImagePullBackOff": "put an image that can be pulled into spec.router.image",
    "ErrImagePull": "put an image that can be pulled into spec.router.image",
    "InvalidImageName": "mend spec.router.image",
    "CrashLoopBackOff": "`kubectl logs` of the pod says why",
    "CreateContainerConfigError": "a ConfigMap or Secret that it mounts is missing: the message names it",
}


def rollout(live: Mapping[str, Any]) -> Iterator[Trouble]:
    """What is wrong with the Deployment by its status."""
    status, wanted = live.get("status") or {}, live["spec"].get("replicas", 1)
    name, namespace = live["metadata"]["name"], live["metadata"]["namespace"]
    follow = f"`kubectl -n {namespace} rollout status deployment/{name}` waits; the pods below say what is wrong"
    if status.get("observedGeneration", 0) < live["metadata"].get("generation", 0):
        yield Trouble("the cluster hasn't begun to roll out its last change", follow)
        return
    updated, available = (status.get(f"{key}Replicas", 0) for key in ("updated", "available"))
    if updated < wanted:
        yield Trouble(f"{updated} of {wanted} routers have the last change", follow)
    if available < wanted:
        yield Trouble(f"{available} of {wanted} routers are available", follow)


def pods(live: Sequence[Mapping[str, Any]], selector: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """The pods of these labels, by name."""
    return sorted(
        (one for one in live if selector.items() <= (one["metadata"].get("labels") or {}).items()),
        key=lambda one: str(one["metadata"]["name"]),
    )


def waiting(pod: Mapping[str, Any]) -> Iterator[Trouble]:
    """Why a pod's containers don't run, or it isn't scheduled."""
    status = pod.get("status") or {}
    for container in status.get("containerStatuses") or []:
        if waits := (container.get("state") or {}).get("waiting"):
            reason = waits.get("reason", "")
            said = " ".join(str(waits.get("message", "")).split())
            yield Trouble(f"waits: {reason}{f': {said}' if said else ''}", _TO_DO.get(reason, "`kubectl describe pod`"))
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            said = condition.get("message", condition.get("reason", ""))
            yield Trouble(f"isn't scheduled: {said}", "make room, or ask for less in spec.router.resources")


def ready(pod: Mapping[str, Any]) -> bool:
    """Whether it is."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
