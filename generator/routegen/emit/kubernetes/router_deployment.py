"""The router in Kubernetes: its configuration, Deployment, Service and disruption budget.

These read best as the manifests they are, so they are templates. What a template gives is parsed back to plain data:
output has one style, and a value can never break out of its place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import yaml

from routegen.emit.kubernetes.objects import ROUTER, Document, child_name, labels, selector_labels
from routegen.emit.router_config import router_config
from routegen.plan import Addresses, Backend, Plan
from routegen_router.config import dump

if TYPE_CHECKING:
    from jinja2 import Environment

GRPC_PORT: Final = 50051
"""The first worker's; the others have the ports behind it."""
HTTP_PORT: Final = 9464
"""Metrics and probes."""
_AUTHORITIES: Final = "/etc/routegen-ca"
"""Where the router's pod has the certificates of authorities, one folder a ConfigMap."""
_KEYS: Final = "/etc/routegen-keys"
"""Where it has the engines' API keys, one folder a Secret."""
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where PyYAML was built with it: parsing is most of what rendering these costs."""


def router_documents(plan: Plan) -> list[Document]:
    """ConfigMap, Service, Deployment, PodDisruptionBudget, in that order."""
    config_maps = sorted({name for backend in plan.backends if (name := _mountable(plan, backend)) is not None})
    secrets = sorted(
        {backend.api_key.secret for backend in plan.backends if backend.api_key and backend.api_key.secret}
    )
    config = dump(router_config(_in_pod(plan))).decode()
    values = {
        "name": router_name(plan),
        "namespace": plan.namespace,
        "labels": labels(plan, ROUTER),
        "selector": selector_labels(plan, ROUTER),
        "config": config,
        "config_map": child_name(plan.name, ROUTER, sha256(config.encode()).hexdigest()[:10]),
        "volumes": [
            *(
                _mounted(f"ca-{index}", f"{_AUTHORITIES}/{name}", {"configMap": {"name": name}})
                for index, name in enumerate(config_maps)
            ),
            *(
                _mounted(f"key-{index}", f"{_KEYS}/{name}", {"secret": {"secretName": name}})
                for index, name in enumerate(secrets)
            ),
        ],
        "replicas": plan.router.replicas,
        "image": plan.router.image,
        "resources": {kind: dict(amounts) for kind, amounts in plan.router.resources},
        "grpc_ports": grpc_ports(plan),
        "http_port": HTTP_PORT,
    }
    return [_fill(f"router-{part}.yaml.j2", values) for part in ("config", "service", "deployment", "budget")]


def router_name(plan: Plan) -> str:
    """The name of the router's Service and Deployment."""
    return child_name(plan.name, ROUTER)


def grpc_ports(plan: Plan) -> tuple[tuple[str, int], ...]:
    """The name and number of each worker's port, in the pod and in its Service alike."""
    numbers = range(plan.router.workers)
    return tuple((f"grpc-{number + 1}" if number else "grpc", GRPC_PORT + number) for number in numbers)


def unverifiable(plan: Plan) -> tuple[Backend, ...]:
    """The backends whose authority's certificate the router can't have: a pod mounts its own namespace's ConfigMaps."""
    return tuple(
        backend
        for backend in plan.backends
        if backend.poll_urls
        and backend.tls is not None
        and backend.tls.ca_config_map is not None
        and _mountable(plan, backend) is None
    )


def _mountable(plan: Plan, backend: Backend) -> str | None:
    """The ConfigMap with the certificate that the router verifies this engine by."""
    if not backend.poll_urls or backend.tls is None:
        return None
    elsewhere = not isinstance(backend.reach, Addresses) and backend.reach.namespace != plan.namespace
    return None if elsewhere else backend.tls.ca_config_map


def _in_pod(plan: Plan) -> Plan:
    """The plan with certificates and keys where the router's pod has them."""
    backends = tuple(_backend_in_pod(plan, backend) for backend in plan.backends)
    return replace(plan, backends=backends)


def _backend_in_pod(plan: Plan, backend: Backend) -> Backend:
    tls, key, authority = backend.tls, backend.api_key, _mountable(plan, backend)
    if tls is not None and authority is not None:
        tls = replace(tls, ca_file=f"{_AUTHORITIES}/{authority}/ca.crt")
    if key is not None and key.secret is not None:
        key = replace(key, env=None, file=f"{_KEYS}/{key.secret}/{key.secret_key}")
    return replace(backend, tls=tls, api_key=key)


def _mounted(name: str, path: str, source: Mapping[str, Any]) -> dict[str, Any]:
    """A volume, and where the router's container has it."""
    return {
        "mount": {"name": name, "mountPath": path, "readOnly": True},
        "volume": {"name": name, **source},
    }


def _fill(template: str, values: Mapping[str, Any]) -> Document:
    parsed = yaml.load(_templates().get_template(template).render(values), Loader=_LOADER)  # noqa: S506 - a safe one
    assert isinstance(parsed, dict)
    return parsed


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - `validate` needs none

    # JSON is YAML on one line, so a value stays one value whatever is in it. (`autoescape` is HTML's.)
    loader = PackageLoader("routegen.emit.kubernetes")
    environment = Environment(loader=loader, undefined=StrictUndefined, autoescape=False)  # noqa: S701
    environment.filters["yaml"] = json.dumps
    return environment
