"""Names that appear in several parts of the configuration, in statistics and in the access log."""

from __future__ import annotations

from typing import Final

ROUTES: Final = "routegen"
"""The route configuration, and the prefix of the listener's statistics: ``http.routegen.…``."""

ROUTER_CLUSTER: Final = "router"
WAITING: Final = "waiting"
"""The route where a request waits for its decision, and the cluster without endpoints that it leads to."""

METADATA: Final = "routegen"
"""Dynamic metadata namespace of the router's replies: keys ``backend``, ``rule``, ``reject``."""

BUFFER: Final = "envoy.filters.http.buffer"
EXT_PROC: Final = "envoy.filters.http.ext_proc"


def engine(backend: str) -> str:
    """The route and the cluster of one backend; no other name has this prefix."""
    return f"engine/{backend}"
