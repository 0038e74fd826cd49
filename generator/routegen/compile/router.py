"""The router's part of the plan: its deployment and its model registry."""

from __future__ import annotations

from routegen.common.addresses import host_port, is_ip
from routegen.common.positions import Path
from routegen.compile.names import Findings
from routegen.compile.router_tls import compile_router_tls
from routegen.compile.units import is_size, seconds, size
from routegen.compile.workers import places, workers
from routegen.plan.router import NetworkPolicy, Peer, Router
from routegen.spec.models import RouterSpec, Spec
from routegen.spec.network_policy import NetworkPolicySpec, PeerSpec
from routegen.targets import Target
from routegen_router.config import Models

_MIB = 1 << 20
_COPIES = 2
"""A body stands in memory as gRPC received it, and as the message that Python reads. So does what replaces it."""
_LONGEST = 4
"""Of the longest bodies, beyond those in flight, in each process that decides and its readers: one is decoded beyond
the bound, another is on its way to a reader, and both stand there too."""
_OWN_MEMORY = 160 * _MIB
"""Of a process that decides and its readers, without any body."""
_STEP = 256 * _MIB
"""What a default limit that isn't enough is raised to a multiple of …"""
_MOST = 4096 * _MIB
"""… up to here; more is somebody's own decision."""
_FIRST = 64 * _MIB
"""Of the first process, where there are workers."""


def compile_router(spec: Spec, target: Target, findings: Findings, *, deployed: bool = True) -> Router:
    """The router's deployment.

    :param deployed: as :func:`~routegen.compile.backends.compile_backends` has it.
    """
    router = spec.router
    path: Path = ("spec", "router")
    if router.failure.backend is not None:
        findings.one_backend((*path, "failure", "backend"), router.failure.backend)
    count = workers(router, target)
    limits = dict(router.resources.limits)
    needed = _memory(router, size(spec.max_body_bytes), count)
    if size(router.max_inflight_bytes) // count < size(spec.max_body_bytes):
        each = f", shared by {count} workers," if count > 1 else ""
        findings.add(
            (*path, "maxInflightBytes"),
            f"{router.max_inflight_bytes}{each} is less than maxBodyBytes ({spec.max_body_bytes})"
            + (" for each" if each else "")
            + ": that body never fits",
        )
    elif "limits" not in router.resources.model_fields_set and size(limits["memory"]) < needed <= _MOST:
        limits["memory"] = f"{-(-needed // _STEP) * _STEP // _MIB}Mi"
    elif target.capabilities.deploys_router:
        _check_memory(router, needed, spec.max_body_bytes, count, path, findings)
    findings.no_twins((*path, "addresses"), router.addresses)
    if any(address.startswith("unix:") for address in router.addresses) and any(map(_is_dns, router.addresses)):
        findings.add((*path, "addresses"), "unix: addresses can't stand beside DNS names; use IP addresses")
    return Router(
        image=router.image,
        replicas=router.replicas,
        resources=tuple(
            (kind, tuple(amounts.items()))
            for kind, amounts in (("requests", router.resources.requests), ("limits", limits))
        ),
        addresses=places(router, count, path, findings),
        workers=count,
        max_inflight_bytes=size(router.max_inflight_bytes),
        failure_backend=router.failure.backend,
        network_policy=_network_policy(router.network_policy),
        tls=compile_router_tls(router, target, findings, deployed=deployed),
    )


def _network_policy(spec: NetworkPolicySpec | None) -> NetworkPolicy | None:
    return None if spec is None else NetworkPolicy(_peer(spec.gateway), tuple(map(_peer, spec.metrics)))


def _peer(spec: PeerSpec) -> Peer:
    return Peer(spec.namespace, tuple(spec.labels.items()))


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


def _memory(router: RouterSpec, longest: int, count: int) -> int:
    """What a router's pod may need, in bytes."""
    inflight = size(router.max_inflight_bytes)
    bodies = _COPIES * (inflight + inflight // 8)  # small requests may use an eighth more
    return bodies + count * (_OWN_MEMORY + _LONGEST * longest) + (_FIRST if count > 1 else 0)


def _check_memory(router: RouterSpec, needed: int, longest: str, count: int, path: Path, findings: Findings) -> None:
    """A router that may hold more than its limit is killed before it can refuse."""
    limit = router.resources.limits.get("memory")
    if limit is not None and is_size(limit) and size(limit) < needed:
        several = f" and {count} workers" if count > 1 else ""
        findings.add(
            (*path, "resources", "limits", "memory"),
            f"{limit} is less than the {-(-needed // _MIB)}Mi that a router with maxInflightBytes"
            f" {router.max_inflight_bytes}{several} may need where bodies have {-(-size(longest) // _MIB)}Mi; raise it,"
            " or the router dies",
        )
