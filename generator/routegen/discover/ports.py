"""The port of a Service or a pod where an engine answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .things import Thing

_USUAL: Final = ("http", "https", "openai", "api", "serve", "http-openai")


@dataclass(frozen=True)
class EnginePort:
    """A Service's port."""

    number: int
    target: int
    """The pods' port; the same where it has a name that no container says."""
    tls: bool
    others: tuple[int, ...]
    """The Service's further ports, of which any could have been meant."""


def engine_port(service: Thing, pods: Sequence[Thing]) -> EnginePort | None:
    """The port of a Service that is an engine's; ``None``: it has none that speaks TCP."""
    ports = [one for one in service.spec.get("ports") or () if one.get("protocol", "TCP") == "TCP"]
    if not ports:
        return None
    chosen = next((one for name in _USUAL for one in ports if one.get("name") == name), ports[0])
    rest = tuple(int(one["port"]) for one in ports if one is not chosen)
    tls = chosen.get("appProtocol") == "https" or chosen.get("name") == "https"
    return EnginePort(int(chosen["port"]), _target(chosen, pods), tls, rest)


def _target(port: Mapping[str, Any], pods: Sequence[Thing]) -> int:
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target
    named = (
        one["containerPort"]
        for pod in pods
        for container in pod.spec.get("containers") or ()
        for one in container.get("ports") or ()
        if one.get("name") == target
    )
    return int(next(named, port["port"]))
