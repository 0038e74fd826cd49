"""Pods and nodes, from the cluster's metrics API (metrics.k8s.io; metrics-server or another provider)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

from routegen.cluster import Cluster, RefusedError, UnknownKindError

from .sampler import Reading

_VERSION: Final = "metrics.k8s.io/v1beta1"
_TIMEOUT: Final = 5.0
_SUFFIXES: Final = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip


def namespace_of(watched: str) -> str:
    """The namespace of ``NAMESPACE`` or ``NAMESPACE/LABELS``."""
    return watched.partition("/")[0]


class Pods:
    """The pods of some namespaces, all or those with some labels, and the cluster's nodes.

    The API measures every 15 seconds or so; a figure that it repeats is left out.
    """

    def __init__(self, cluster: Cluster, watched: Sequence[str]) -> None:
        """Prepare.

        :param watched: ``NAMESPACE``, or ``NAMESPACE/LABELS`` as ``kubectl top pod -n NAMESPACE -l LABELS`` takes them.
        """
        self._cluster, self._watched = cluster, watched
        self._stamps: dict[tuple[str, str], str] = {}

    def read(self) -> Iterator[Reading]:
        """A reading a pod and a node whose figures are new."""
        for watched in self._watched:
            namespace, _, labels = watched.partition("/")
            yield from self._list("pod", "PodMetrics", namespace, labels or None)
        yield from self._list("node", "NodeMetrics", None)

    def _list(
        self, kind: Literal["pod", "node"], type_: str, namespace: str | None, labels: str | None = None
    ) -> Iterator[Reading]:
        try:
            found = self._cluster.list(_VERSION, type_, namespace, selector=labels, timeout=_TIMEOUT)
        except UnknownKindError:
            yield Reading(kind, "", absent="the cluster has no metrics API (metrics.k8s.io); is metrics-server there?")
            return
        except RefusedError as error:
            yield Reading(kind, "", absent=f"{_VERSION} {type_}: {error}")
            return
        if labels and not found:
            yield Reading(kind, f"{namespace}/{labels}", absent="no pod of these labels has figures yet")
        for item in found:
            name = item["metadata"]["name"]
            subject = name if namespace is None else f"{namespace}/{name}"
            stamp = str(item.get("timestamp"))
            if self._stamps.get((kind, subject)) != stamp:
                self._stamps[kind, subject] = stamp
                yield Reading(kind, subject, _usage(item))


class NoPods:
    """Pods and nodes, where nobody has named a namespace."""

    def read(self) -> Iterator[Reading]:
        """Why there is nothing."""
        for kind in ("pod", "node"):
            yield Reading(kind, "", absent="no namespace was named (--pods NAMESPACE)")


def _usage(item: dict[str, Any]) -> dict[str, float]:
    """A node's usage, or the sum over a pod's containers."""
    parts = [part["usage"] for part in item.get("containers", [item])]
    return {
        "cpu_cores": sum(quantity(part["cpu"]) for part in parts),
        "memory_bytes": sum(quantity(part["memory"]) for part in parts),
    }


def quantity(text: str) -> float:
    """A Kubernetes quantity as the metrics API writes it: ``12345n``, ``250m``, ``3``, ``524288Ki``."""
    number = text.rstrip("".join(_SUFFIXES))
    return float(number) * _SUFFIXES.get(text[len(number) :], 1.0)
