"""What stands in a routes.yaml and means nothing to the target: said, so that nobody waits for its effect."""

from __future__ import annotations

from collections.abc import Iterator

from routegen.common.positions import Path
from routegen.compile.names import Findings
from routegen.targets import Capabilities, Target


def note_unused(target: Target, findings: Findings) -> None:
    """Note every key that the file has and ``target`` doesn't read."""
    for pattern, reason in _unread(target.capabilities):
        findings.note_all(pattern, f"the target {target.name} doesn't use it: {reason}")


def _unread(can: Capabilities) -> Iterator[tuple[Path, str]]:
    """Paths (``*`` is any key) that mean nothing without a capability, and why."""
    if not can.creates_gateway:
        for key in ("name", "namespace", "className", "create"):
            yield ("spec", "gateway", key), "it renders no Gateway object"
    if not can.binds_addresses:
        yield ("spec", "gateway", "listeners", "*", "address"), "its listeners take no address"
    if not can.bounds_memory:
        yield ("spec", "gateway", "memory"), "the gateway's own configuration says how much memory it has"
    if not can.second_choices:
        yield ("spec", "failover"), "its routes know no second choice; an unnamed choice fails with its engine"
    if can.pools:
        yield ("spec", "backends", "*", "inferencePool", "picker"), "the pool itself names its picker"
    if can.deploys_router:
        yield ("spec", "router", "addresses"), "it deploys the router and finds it by its Service"
    else:
        for key in ("image", "networkPolicy", "replicas", "resources"):
            yield ("spec", "router", key), "it deploys no router, and finds it at router.addresses"
