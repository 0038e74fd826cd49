"""InferencePools: what the plan holds of one, and whether the target can follow it."""

from __future__ import annotations

from routegen.common.addresses import host_port
from routegen.common.positions import Path
from routegen.compile.names import Findings
from routegen.compile.units import seconds, size
from routegen.compile.upstream_tls import check_certificates, check_tls_sources, compile_tls
from routegen.plan import Backend, Picker, PoolRef
from routegen.spec.pools import InferencePoolSpec, PickerSpec
from routegen.targets import Target


def compile_pool(given: InferencePoolSpec, namespace: str) -> PoolRef:
    """The pool; ``namespace`` is the routes'."""
    return PoolRef(
        name=given.name,
        namespace=given.namespace or namespace,
        endpoints=tuple(map(host_port, given.endpoints or ())),
        picker=_picker(given.picker),
    )


def _picker(given: PickerSpec | None) -> Picker | None:
    if given is None:
        return None
    return Picker(
        endpoints=tuple(map(host_port, given.endpoints)),
        fail_open=given.failure_mode == "FailOpen",
        tls=compile_tls(given.tls),
        health_port=given.health_port,
        timeout=seconds(given.timeout),
        max_body_bytes=size(given.max_body_bytes),
    )


def check_pool(backend: Backend, pool: PoolRef, path: Path, target: Target, findings: Findings) -> None:
    """Note what keeps ``target`` from following the pool."""
    can, place = target.capabilities, (*path, "inferencePool")
    if not (can.pools or can.asks_pickers):
        findings.add(place, f"the target {target.name} can't follow a pool: {can.no_pools}")
        return
    if backend.tls is not None and not can.pool_tls:
        findings.add((*path, "tls"), f"the target {target.name} can't speak TLS to an InferencePool; use service")
    if not can.asks_pickers:
        return
    if not pool.endpoints:
        findings.add(
            place,
            f"the target {target.name} reads no pool from a cluster; add endpoints: [NAME:PORT], the name of a headless"
            " Service with the pool's selector",
        )
    if pool.picker is None:
        findings.add(
            place,
            f"the target {target.name} reads no pool from a cluster; add picker: {{endpoints: [NAME:PORT]}}, its"
            " endpoint picker's Service",
        )
    else:
        tls = (*place, "picker", "tls")
        check_certificates(pool.picker.tls, pool.picker, tls, target, findings)
        check_tls_sources(pool.picker.tls, tls, target, findings)
