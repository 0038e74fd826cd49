"""What a cluster tells of a pool's pods and its endpoint picker; most of it isn't in the InferencePool."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .things import DEPLOYMENT, SERVICE, Found, Thing, selected

GRPC: Final = 9002
"""The usual port of a picker, and of ``endpointPickerRef`` where it says none."""
_HEALTH: Final = 9003
_OVERHEAD: Final = 200_000
"""Bytes that are kept free of a message's limit."""


@dataclass(frozen=True)
class PickerFound:
    """Where a picker is, and how it wants to be asked."""

    host: str
    port: int
    failure_mode: str
    tls: bool
    health_port: int | None
    max_body_bytes: int | None
    remarks: tuple[str, ...]
    """What was assumed, or should be changed."""


def picker_of(pool: Thing, found: Found) -> PickerFound:
    """Read the pool, the Service that it names, and the arguments of the Deployment behind that."""
    reference = pool.spec.get("endpointPickerRef") or {}
    name, port = str(reference.get("name", "")), int((reference.get("port") or {}).get("number", GRPC))
    service = next((one for one in found.of(SERVICE) if one.namespace == pool.namespace and one.name == name), None)
    arguments = None if service is None else _arguments(service, found)
    remarks = []
    if service is None:
        remarks.append(f"Service {pool.namespace}/{name}, which the pool names, was not found")
    if arguments is None:
        remarks.append("its Deployment was not found: TLS is what pickers do by default")
    arguments = arguments or {}
    health = _health_port(service, arguments, port)
    if service is not None and health is None:
        remarks.append(
            f"its Service has no port for health, so a picker that hangs isn't noticed; add {_HEALTH}, then healthPort"
        )
    limit = _size(arguments.get("grpc-max-recv-msg-size", ""))
    return PickerFound(
        host=f"{name}.{pool.namespace}.svc.cluster.local",
        port=port,
        failure_mode=str(reference.get("failureMode", "FailClose")),
        tls=arguments.get("secure-serving", "true") != "false",
        health_port=health,
        max_body_bytes=None if limit is None else max(limit - _OVERHEAD, 1),
        remarks=tuple(remarks),
    )


def pool_selector(pool: Thing) -> Mapping[str, str]:
    """The labels of its pods."""
    selector: Mapping[str, Any] = pool.spec.get("selector") or {}
    labels: Mapping[str, str] = selector.get("matchLabels") or {}
    return labels


def target_ports(pool: Thing) -> list[int]:
    """The ports on which each of its pods serves."""
    return [int(one["number"]) for one in pool.spec.get("targetPorts") or ()]


def of_same_pods(pool: Thing, found: Found, *, headless: bool) -> Thing | None:
    """A Service that selects exactly the pool's pods."""
    for service in found.of(SERVICE):
        same = service.namespace == pool.namespace and (service.spec.get("selector") or {}) == pool_selector(pool)
        if same and (service.spec.get("clusterIP") == "None") == headless:
            return service
    return None


def _health_port(service: Thing | None, arguments: Mapping[str, str], port: int) -> int | None:
    told = int(arguments.get("grpc-health-port", _HEALTH))
    served = {int(one["port"]) for one in (service.spec.get("ports") or () if service is not None else ())}
    if told in served:
        return told
    return port if arguments.get("health-checking", "false") != "false" else None


def _arguments(service: Thing, found: Found) -> dict[str, str] | None:
    """The flags of the picker's container: ``--flag=value``, ``--flag value`` and ``--flag``, with one dash or two."""
    selector = service.spec.get("selector") or {}
    for deployment in found.of(DEPLOYMENT):
        template = (deployment.spec.get("template") or {}) | {"kind": "Pod"}
        metadata = {"name": deployment.name, **(template.get("metadata") or {}), "namespace": deployment.namespace}
        if not selected([Thing("Pod", {"metadata": metadata})], service.namespace, selector):
            continue
        containers = (template.get("spec") or {}).get("containers") or ()
        return _flags(
            [str(word) for one in containers for word in [*(one.get("command") or ()), *(one.get("args") or ())]]
        )
    return None


def _flags(words: Sequence[str]) -> dict[str, str]:
    flags: dict[str, str] = {}
    for index, word in enumerate(words):
        if match := re.fullmatch(r"--?([a-z][-a-z0-9]*)(?:=(.*))?", word, re.DOTALL):
            follows = words[index + 1] if index + 1 < len(words) else "-"
            flags[match[1]] = match[2] if match[2] is not None else "true" if follows.startswith("-") else follows
    return flags


def _size(text: str) -> int | None:
    """Bytes of ``64MiB``, ``64Mi`` or ``67108864``; ``None`` for anything else."""
    match = re.fullmatch(r"(\d+)(Ki|Mi|Gi)?B?", text)
    return int(match[1]) * {None: 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}[match[2]] if match else None
