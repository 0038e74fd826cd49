"""Kubernetes objects as far as they matter here, and who selects whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

LLM: Final = "LLMInferenceService"
POOL: Final = "InferencePool"
SERVICE: Final = "Service"
POD: Final = "Pod"
DEPLOYMENT: Final = "Deployment"


@dataclass(frozen=True)
class Thing:
    """One object."""

    kind: str
    document: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.document["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.document["metadata"].get("namespace") or "")

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return self.document["metadata"].get("labels") or {}

    @property
    def created(self) -> str:
        """When it was made, as RFC 3339."""
        return str(self.document["metadata"].get("creationTimestamp") or "")

    @property
    def spec(self) -> Mapping[str, Any]:
        """What it shall be."""
        return self.document.get("spec") or {}

    @property
    def status(self) -> Mapping[str, Any]:
        """What it is."""
        return self.document.get("status") or {}

    @property
    def place(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}/{self.name}"

    def __str__(self) -> str:
        return f"{self.kind} {self.place}"

    def is_made_by(self, kind: str) -> bool:
        """Whether an object of this kind made it."""
        owners = self.document["metadata"].get("ownerReferences") or ()
        return any(owner.get("kind") == kind for owner in owners)

    def condition(self, kind: str) -> Mapping[str, Any] | None:
        """One of its conditions."""
        return next((one for one in self.status.get("conditions") or () if one.get("type") == kind), None)


@dataclass(frozen=True)
class Found:
    """All that was read of a cluster."""

    things: tuple[Thing, ...] = ()
    chosen: frozenset[tuple[str, str]] | None = None
    """(kind, namespace/name) of what the user's selector chose; ``None``: there is no selector."""
    unread: tuple[str, ...] = ()
    """What may not be read, as sentences."""
    absent: tuple[str, ...] = ()
    """Kinds that the cluster doesn't have."""

    def of(self, kind: str) -> list[Thing]:
        """All things of a kind, the oldest first."""
        return sorted((one for one in self.things if one.kind == kind), key=lambda one: (one.created, one.place))

    def is_chosen(self, thing: Thing) -> bool:
        """Whether it is one of those that the user wants."""
        return self.chosen is None or (thing.kind, thing.place) in self.chosen

    def pods(self, namespace: str, selector: Mapping[str, str]) -> list[Thing]:
        """The pods that an object of this namespace selects, without those that are at their end."""
        return [pod for pod in selected(self.of(POD), namespace, selector) if _lives(pod)]


def selected(things: Iterable[Thing], namespace: str, selector: Mapping[str, str]) -> list[Thing]:
    """Those of the namespace that have all of these labels; none where there are no labels to have."""
    return [
        one
        for one in things
        if selector and one.namespace == namespace and all(one.labels.get(key) == own for key, own in selector.items())
    ]


def is_ready(pod: Thing) -> bool:
    """Whether a pod says that it is ready."""
    condition = pod.condition("Ready")
    return condition is not None and condition.get("status") == "True"


def one_line(text: str) -> str:
    """A cluster's text for a comment or a message, where a line break would begin something else."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _lives(pod: Thing) -> bool:
    ending = pod.document["metadata"].get("deletionTimestamp") is not None
    return not ending and pod.status.get("phase") not in {"Succeeded", "Failed"}
