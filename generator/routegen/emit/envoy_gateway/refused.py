"""What Envoy Gateway refuses, or serves otherwise than it was meant, of what a plan may say.

Its API server takes most of these objects, and the controller then calls them invalid: routes answer 500, or a policy
is passed over. Sources: ``internal/gatewayapi`` and ``internal/xds/bootstrap`` of Envoy Gateway 1.8 and 1.9.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from routegen.common.addresses import is_ip
from routegen.common.problems import Remark
from routegen.emit.envoy_gateway.reach import grouped
from routegen.emit.kubernetes.addresses import unreachable
from routegen.plan import Addresses, Backend, Plan, ServiceRef

MAX_REFS: Final = 16
"""``backendRefs`` of one rule (Gateway API, HTTPRouteRule)."""
_LOW_PORTS: Final = 1024
_SHIFT: Final = 10000
"""What is added to a listener's port below 1024, because the proxy isn't root."""
_OWN_PORTS: Final = {19000: "admin", 19001: "metrics", 19002: "shutdown", 19003: "readiness"}
"""What the proxy's pod itself listens on."""


def refused(plan: Plan) -> Iterator[Remark]:
    """Everything that this gateway can't serve."""
    if plan.gateway.create:
        yield from _listeners(plan)
    for backend in plan.backends:
        yield from _endpoints(backend)
        yield from _server_name(backend)
    yield from _shared_services(plan.backends)


def _listeners(plan: Plan) -> Iterator[Remark]:
    """Listeners that would be bound to a port that is taken."""
    bound: dict[int, int] = {}
    for index, listener in enumerate(plan.gateway.listeners):
        port = listener.port + _SHIFT if listener.port < _LOW_PORTS else listener.port
        place = ("spec", "gateway", "listeners", index, "port")
        if port in _OWN_PORTS:
            yield Remark(
                place, f"{listener.port} is the port of Envoy Gateway's own {_OWN_PORTS[port]} listener", refused=True
            )
        first = bound.setdefault(port, listener.port)
        if first != listener.port:
            yield Remark(
                place,
                f"Envoy Gateway binds {listener.port} and {first} to the same port, {port}: it adds 10000 below 1024",
                refused=True,
            )


def _endpoints(backend: Backend) -> Iterator[Remark]:
    """Addresses that a ``Backend`` can't hold."""
    if not isinstance(backend.reach, Addresses):
        return
    place: tuple[str | int, ...] = ("spec", "backends", backend.name, "endpoints")
    for index, (host, _) in enumerate(backend.reach.endpoints):
        if why := unreachable(host, "Envoy Gateway"):
            yield Remark((*place, index), why, refused=True)
    if (count := len(grouped(backend.reach, backend.tls))) > MAX_REFS:
        yield Remark(
            place,
            f"make {count} Backends (one a name that is verified, or 256 addresses), and a route takes {MAX_REFS};"
            " with tls, a serverName for all of them makes one",
            refused=True,
        )


def _server_name(backend: Backend) -> Iterator[Remark]:
    """A BackendTLSPolicy verifies a DNS name (Gateway API, PreciseHostname)."""
    tls = backend.tls
    if tls is not None and tls.verify and tls.server_name is not None and is_ip(tls.server_name):
        place = ("spec", "backends", backend.name, "tls", "serverName")
        yield Remark(place, f"{tls.server_name} is an address, and a certificate is verified by a name", refused=True)


def _shared_services(backends: Sequence[Backend]) -> Iterator[Remark]:
    """A BackendTLSPolicy holds for all ports of its Service, and a second one for the same Service is Conflicted."""
    first: dict[tuple[str, str], Backend] = {}
    for backend in backends:
        if not isinstance(backend.reach, ServiceRef) or (backend.tls is not None and not backend.tls.verify):
            continue
        other = first.setdefault((backend.reach.name, backend.reach.namespace), backend)
        if other is not backend and (backend.tls is not None or other.tls is not None):
            yield Remark(
                ("spec", "backends", backend.name),
                f'is a port of the same Service as "{other.name}", and tls holds for all ports; make two Services',
                refused=True,
            )
