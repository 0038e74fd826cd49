"""Objects of a live cluster, as the audit reads manifests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from routegen.audit.reading import Manifest
from routegen.cluster import Cluster, RefusedError, UnknownKindError
from routegen.common.positions import Document
from routegen.common.problems import UserError

_KINDS: Final = (
    ("serving.kserve.io/v1alpha2", "LLMInferenceService"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "ReplicaSet"),
    ("batch/v1", "Job"),
    ("argoproj.io/v1alpha1", "Rollout"),
    ("serving.kserve.io/v1beta1", "InferenceService"),
    ("serving.kserve.io/v1alpha1", "ServingRuntime"),
    ("serving.kserve.io/v1alpha1", "ClusterServingRuntime"),
    ("serving.kserve.io/v1alpha2", "LLMInferenceServiceConfig"),
    ("ray.io/v1", "RayService"),
    ("ray.io/v1", "RayCluster"),
    ("nvidia.com/v1alpha1", "DynamoGraphDeployment"),
    ("orchestration.aibrix.ai/v1alpha1", "StormService"),
    ("v1", "Pod"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "PersistentVolumeClaim"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("keda.sh/v1alpha1", "ScaledObject"),
    ("inference.networking.k8s.io/v1", "InferencePool"),
    ("v1", "Node"),
)
_NEEDED: Final = {"Deployment", "LLMInferenceService", "Pod", "Service", "StatefulSet"}
"""What a user has to be allowed to read. Of the other kinds it is said that they weren't read."""


def read_cluster(context: str | None, namespace: str | None) -> tuple[list[Manifest], list[str]]:
    """The cluster's objects that the audit looks at, and what it was not allowed to read.

    :raises UserError: the package ``kubernetes`` is missing, or the cluster can't be reached or read.
    """
    cluster = Cluster(context)
    manifests: list[Manifest] = []
    unread: list[str] = []
    for version, kind in _KINDS:
        try:
            found = cluster.list(version, kind, namespace)
        except UnknownKindError:
            continue
        except RefusedError as error:
            if kind in _NEEDED:
                raise UserError(f"can't read the cluster's {kind}s: {error}") from error
            unread.append(f"{kind}: {error}")
            continue
        manifests += _objects(found, version, kind, context or "current context")
    return manifests, unread


def _objects(found: list[dict[str, Any]], version: str, kind: str, context: str) -> Iterator[Manifest]:
    for value in found:
        whole = {"apiVersion": version, "kind": kind, **value}
        document = Document(f"cluster ({context})", whole, {}, 0)
        yield Manifest(document, (), whole)
