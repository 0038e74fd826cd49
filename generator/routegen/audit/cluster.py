"""Objects of a live cluster. The one module that imports ``kubernetes`` (extra ``routegen[cluster]``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from routegen.audit.reading import Manifest, mapping
from routegen.positions import Document
from routegen.problems import UserError

_KINDS: Final = (
    ("serving.kserve.io/v1alpha2", "LLMInferenceService"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"),
    ("v1", "Pod"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "PersistentVolumeClaim"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("keda.sh/v1alpha1", "ScaledObject"),
    ("inference.networking.k8s.io/v1", "InferencePool"),
    ("v1", "Node"),
)
_OPTIONAL: Final = {"ConfigMap", "HorizontalPodAutoscaler", "InferencePool", "Node", "PersistentVolumeClaim"}
"""What may be forbidden to a user who may look at workloads; facts that need them are then "cannot tell"."""
_TIMEOUT_SECONDS: Final = 30


def read_cluster(context: str | None, namespace: str | None) -> tuple[list[Manifest], list[str]]:
    """The cluster's objects that the audit looks at, and what it was not allowed to read.

    Objects that another one made (a Deployment's Pods, an LLMInferenceService's Deployment) are left out: their
    owner is what a user wrote.

    :raises UserError: the package ``kubernetes`` is missing, or the cluster can't be reached or read.
    """
    try:
        from kubernetes import config, dynamic  # noqa: PLC0415 - an optional dependency, and slow to import
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
    except ImportError as error:
        raise UserError("reading a cluster needs the package kubernetes: pip install 'routegen[cluster]'") from error
    try:
        client = dynamic.DynamicClient(config.new_client_from_config(context=context))  # type: ignore[no-untyped-call]
    except Exception as error:  # any failure of its many transports and credential plugins
        raise UserError(f"can't reach the cluster: {_first_line(error)}") from error
    manifests: list[Manifest] = []
    unread: list[str] = []
    for version, kind in _KINDS:
        try:
            resource = client.resources.get(api_version=version, kind=kind)
            answer = resource.get(namespace=namespace, _request_timeout=_TIMEOUT_SECONDS).to_dict()
        except dynamic.exceptions.ResourceNotFoundError:
            continue  # this cluster has no such kind
        except ApiException as error:
            if kind not in _OPTIONAL:
                raise UserError(f"can't read the cluster's {kind}s: {error.status} {error.reason}") from error
            unread.append(f"{kind}: {error.status} {error.reason}")
            continue
        manifests += _objects(answer, version, kind, context or "current context")
    return manifests, unread


def _objects(answer: dict[str, Any], version: str, kind: str, context: str) -> Iterator[Manifest]:
    for value in answer.get("items") or ():
        metadata = mapping(value.get("metadata"))
        if any(mapping(owner).get("controller") for owner in metadata.get("ownerReferences") or ()):
            continue
        whole = {"apiVersion": version, "kind": kind, **value}
        document = Document(f"cluster ({context})", whole, {}, 0)
        yield Manifest(document, (), whole)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]
