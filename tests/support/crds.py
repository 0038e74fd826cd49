"""Would the API server take this object? Checks Kubernetes objects without a cluster.

Custom resources are checked against their CustomResourceDefinition, the way the API server does it: unknown fields,
types, defaults, list keys, then the CEL rules. The definitions are files in the folder that ``ROUTEGEN_CRDS`` names.
Built-in kinds are read into the official client's types: what comes out again must be what went in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.crd_rules import broken_rules
from support.crd_schema import with_defaults, wrong_shapes

BUILT_IN = {
    ("v1", "ConfigMap"): "V1ConfigMap",
    ("v1", "PersistentVolumeClaim"): "V1PersistentVolumeClaim",
    ("v1", "Service"): "V1Service",
    ("apps/v1", "Deployment"): "V1Deployment",
    ("batch/v1", "Job"): "V1Job",
    ("discovery.k8s.io/v1", "EndpointSlice"): "V1EndpointSlice",
    ("networking.k8s.io/v1", "NetworkPolicy"): "V1NetworkPolicy",
    ("policy/v1", "PodDisruptionBudget"): "V1PodDisruptionBudget",
}
"""(apiVersion, kind) -> the type of the ``kubernetes`` package."""

HOW_TO_GET_THEM = (
    "set ROUTEGEN_CRDS to a folder with the CRD files of Gateway API and Envoy Gateway; docs/development.md says how"
)


def problems(document: Mapping[str, Any]) -> list[str]:
    """What the API server would say against ``document``; empty where it would take it.

    Skips the calling test where the definitions aren't there, and fails it in CI.
    """
    key = (str(document.get("apiVersion")), str(document.get("kind")))
    if key in BUILT_IN:
        return list(_built_in_problems(document, BUILT_IN[key]))
    schema = definition(*key)
    if schema is None:
        return [f"no definition of {key[1]} in {key[0]}"]
    full = with_defaults(document, schema)
    return [*wrong_shapes(full, schema), *broken_rules(full, schema)]


def definition(version: str, kind: str) -> Mapping[str, Any] | None:
    """The schema of ``kind`` in a served version, from ``ROUTEGEN_CRDS``; skips or fails without that."""
    folder = os.environ.get("ROUTEGEN_CRDS")
    if not folder or not any(Path(folder).glob("*.yaml")):
        if os.environ.get("CI"):
            pytest.fail(f"no CRD schemas: {HOW_TO_GET_THEM}")
        pytest.skip(f"no CRD schemas: {HOW_TO_GET_THEM}")
    # Files are named after the group and the kind's plural. They are megabytes, so only what is needed is read.
    return _definitions(folder, f"{version.partition('/')[0]}_{kind.lower()[:-1]}*.yaml").get((version, kind))


@cache
def _definitions(folder: str, names: str) -> dict[tuple[str, str], dict[str, Any]]:
    found = {}
    for path in sorted(Path(folder).glob(names)):
        spec = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["spec"]
        for version in spec["versions"]:
            if version["served"]:
                schema = version["schema"]["openAPIV3Schema"]
                # Every object has these; their contents are checked by the API server itself, not by the definition.
                schema["properties"] |= {"metadata": _METADATA, "apiVersion": _TEXT, "kind": _TEXT}
                found[(f"{spec['group']}/{version['name']}", spec["names"]["kind"])] = schema
    return found


_TEXT = {"type": "string"}
_LABEL = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_METADATA = {
    "type": "object",
    "required": ["name", "namespace"],
    "properties": {
        "name": {"type": "string", "pattern": _SUBDOMAIN, "maxLength": 253},
        "namespace": {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63},
        "labels": {"type": "object", "additionalProperties": {"type": "string", "pattern": _LABEL, "maxLength": 63}},
        "annotations": {"type": "object", "additionalProperties": _TEXT},
    },
}
"""What our objects may say of themselves (Kubernetes' "Object Names and IDs", "Labels and Selectors")."""


def _built_in_problems(document: Mapping[str, Any], model: str) -> Iterator[str]:
    from kubernetes import client  # noqa: PLC0415 - slow to import; only some tests need it

    yield from (f".metadata{problem}" for problem in wrong_shapes(document["metadata"], _METADATA))
    try:
        read = getattr(client, model).from_dict(document)
    except (ValueError, TypeError, AttributeError) as error:
        yield str(error)
        return
    write: Callable[[Any], Any] = client.ApiClient().sanitize_for_serialization
    yield from _differences(document, write(read), "")


def _differences(given: Any, understood: Any, path: str) -> Iterator[str]:
    """Where the official types lost or changed a value."""
    if isinstance(given, Mapping) and isinstance(understood, Mapping):
        for key, value in given.items():
            if key in understood:
                yield from _differences(value, understood[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}: unknown field"
    elif isinstance(given, list) and isinstance(understood, list) and len(given) == len(understood):
        for index, (one, other) in enumerate(zip(given, understood, strict=True)):
            yield from _differences(one, other, f"{path}[{index}]")
    elif given != understood or type(given) is not type(understood):
        yield f"{path}: {given!r} is read as {understood!r}"
