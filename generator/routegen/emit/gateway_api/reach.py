"""How HTTPRoutes reach what Gateway API can refer to, and the objects that a reference needs beside it.

A Service or an InferencePool is referred to as it is, with a ReferenceGrant where it lives in another namespace. A
verified certificate is a BackendTLSPolicy. What Gateway API can't refer to (addresses outside the cluster, a
certificate that isn't verified) is each gateway's own business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from routegen.emit.kubernetes.objects import Document, child_name, document, to_service
from routegen.plan import Backend, Plan, PoolRef, ServiceRef

POOL_GROUP: Final = "inference.networking.k8s.io"


@dataclass(frozen=True, slots=True)
class Reach:
    """How one backend is reached."""

    refs: tuple[dict[str, Any], ...]
    """``backendRefs`` of an HTTPRoute's rule."""
    documents: tuple[Document, ...] = ()
    """What those need beside the backend itself."""


def service(plan: Plan, backend: Backend, reach: ServiceRef) -> Reach:
    """A Service's port."""
    documents = _grants(plan, backend, "", "Service", reach.name, reach.namespace)
    if backend.tls is not None:
        target = {"group": "", "kind": "Service", "name": reach.name}
        hostname = backend.tls.server_name or reach.host
        documents.append(tls_policy(plan, backend, child_name(plan.name, backend.name), target, hostname))
    return Reach((to_service(reach.name, reach.port, reach.namespace),), tuple(documents))


def pool(plan: Plan, backend: Backend, reach: PoolRef) -> Reach:
    """An InferencePool, which the gateway must know."""
    assert backend.tls is None, "the compiler refuses TLS to a pool"
    ref = {"group": POOL_GROUP, "kind": "InferencePool", "name": reach.name, "namespace": reach.namespace, "weight": 1}
    grants = _grants(plan, backend, POOL_GROUP, "InferencePool", reach.name, reach.namespace)
    return Reach((ref,), tuple(grants))


def tls_policy(plan: Plan, backend: Backend, name: str, target: dict[str, str], hostname: str) -> Document:
    """TLS to ``target`` with a certificate verified for ``hostname``; the policy lives beside its target."""
    assert backend.tls is not None
    namespace = backend.reach.namespace if isinstance(backend.reach, ServiceRef) else plan.namespace
    validation: dict[str, Any] = {"hostname": hostname}
    if backend.tls.ca_config_map is not None:
        reference = {"group": "", "kind": "ConfigMap", "name": backend.tls.ca_config_map}
        validation["caCertificateRefs"] = [reference]
    else:
        validation["wellKnownCACertificates"] = "System"
    spec = {"targetRefs": [target], "validation": validation}
    return document(plan, "gateway.networking.k8s.io/v1", "BackendTLSPolicy", name, "backend", spec, namespace)


def _grants(plan: Plan, backend: Backend, group: str, kind: str, name: str, namespace: str) -> list[Document]:
    """The permission to refer to another namespace; it lives there, not with the routes."""
    if namespace == plan.namespace:
        return []
    spec = {
        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": plan.namespace}],
        "to": [{"group": group, "kind": kind, "name": name}],
    }
    grant = child_name(plan.namespace, plan.name, backend.name)
    # v1beta1: every version of Gateway API that Envoy Gateway 1.8 and newer ships with serves it.
    version = "gateway.networking.k8s.io/v1beta1"
    return [document(plan, version, "ReferenceGrant", grant, "backend", spec, namespace)]
