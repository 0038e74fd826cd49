"""Names that appear in several parts of the configuration, in statistics and in the access log."""

from __future__ import annotations

from typing import Final

ROUTES: Final = "routegen"
"""The route configuration, and the prefix of the listener's statistics: ``http.routegen.…``."""

ROUTER_CLUSTER: Final = "router"
WAITING: Final = "waiting"
"""The route where a request waits for its decision, and the cluster without endpoints that it leads to."""

METADATA: Final = "routegen"
"""Dynamic metadata namespace of the router's replies: keys ``backend``, ``rule``, ``second``, ``reject``."""

DECIDED: Final = f"%DYNAMIC_METADATA({METADATA}:backend)%"
"""The backend that the router decided for, in a header's value; empty, and then no header, where it decided nothing.
Gateways hand Envoy's own format on."""

BUFFER: Final = "envoy.filters.http.buffer"
ENGINE: Final = "engine"
"""The key, in the metadata of an engine's endpoints, of its backend's name: it tells who really answered."""
ANSWERED: Final = f"%UPSTREAM_METADATA({METADATA}:{ENGINE})%"
"""The backend whose engine answered, or was tried last."""

EXT_PROC: Final = "envoy.filters.http.ext_proc"
PICKER: Final = "envoy.filters.http.ext_proc.picker"
ENDPOINT: Final = "x-gateway-destination-endpoint"
"""The header, and the key in :data:`BALANCING`, of the endpoint that a picker picked (Endpoint Picker Protocol of the
Gateway API Inference Extension)."""
BALANCING: Final = "envoy.lb"
"""Dynamic metadata namespace of a picker's replies."""


def pair(first: str, second: str) -> str:
    """The route and the cluster of a request with a second choice; no other name has this prefix."""
    return f"second/{first}/{second}"


def engine(backend: str) -> str:
    """The route and the cluster of one backend; no other name has this prefix."""
    return f"engine/{backend}"


def mirror(backend: str) -> str:
    """The cluster of the copies of one backend's requests; no other name has this prefix."""
    return f"mirror/{backend}"


def picker(backend: str) -> str:
    """The cluster of a pool's endpoint picker; no other name has this prefix."""
    return f"picker/{backend}"
