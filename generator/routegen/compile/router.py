"""The router's part of the plan: its deployment and its model registry."""

from __future__ import annotations

from routegen.common.addresses import host_port, is_ip
from routegen.common.positions import Path
from routegen.compile.names import Findings
from routegen.compile.units import is_size, seconds, size
from routegen.plan import Router
from routegen.spec.models import RouterSpec, Spec
from routegen.targets import Target
from routegen_router.config import Models

_MIB = 1 << 20
_COPIES = 2
"""A body stands in memory as gRPC received it, and as the message that Python reads."""
_OWN_MEMORY = 160 * _MIB
"""Of the router and its readers without any body."""


def compile_router(spec: Spec, target: Target, findings: Findings) -> Router:
    """The router's deployment."""
    router = spec.router
    path: Path = ("spec", "router")
    if router.failure.backend is not None:
        findings.one_backend((*path, "failure", "backend"), router.failure.backend)
    if size(router.max_inflight_bytes) < size(spec.max_body_bytes):
        findings.add(
            (*path, "maxInflightBytes"),
            f"{router.max_inflight_bytes} is less than maxBodyBytes ({spec.max_body_bytes}): that body never fits",
        )
    if target.capabilities.deploys_router:
        _check_memory(router, path, findings)
    findings.no_twins((*path, "addresses"), router.addresses)
    if any(address.startswith("unix:") for address in router.addresses) and any(map(_is_dns, router.addresses)):
        findings.add((*path, "addresses"), "unix: addresses can't stand beside DNS names; use IP addresses")
    return Router(
        image=router.image,
        replicas=router.replicas,
        resources=tuple(
            (kind, tuple(amounts.items()))
            for kind, amounts in (("requests", router.resources.requests), ("limits", router.resources.limits))
        ),
        addresses=tuple(router.addresses),
        max_inflight_bytes=size(router.max_inflight_bytes),
        failure_backend=router.failure.backend,
    )


def compile_models(spec: Spec, findings: Findings) -> Models:
    """The model registry's settings."""
    poll = spec.models.poll
    interval, timeout = seconds(poll.interval), seconds(poll.timeout)
    path: Path = ("spec", "models", "poll")
    if timeout <= 0:
        findings.add((*path, "timeout"), "must be more than nothing")
    if interval < timeout:
        findings.add((*path, "interval"), f"{poll.interval} is shorter than timeout ({poll.timeout})")
    return Models(interval=interval, timeout=timeout, unknown=spec.models.unknown)


def _is_dns(address: str) -> bool:
    return not address.startswith("unix:") and not is_ip(host_port(address)[0])


def _check_memory(router: RouterSpec, path: Path, findings: Findings) -> None:
    """A router that may hold more than its limit is killed before it can refuse."""
    limit = router.resources.limits.get("memory")
    if limit is None or not is_size(limit):
        return
    needed = _COPIES * size(router.max_inflight_bytes) + _OWN_MEMORY
    if size(limit) < needed:
        findings.add(
            (*path, "resources", "limits", "memory"),
            f"{limit} is less than the {-(-needed // _MIB)}Mi that a router with maxInflightBytes"
            f" {router.max_inflight_bytes} may need; raise it, or the router dies",
        )
