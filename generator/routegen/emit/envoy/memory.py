"""What keeps Envoy's memory bounded, at the cost of those who fill it (docs/decisions, "What Envoy may hold").

Whenever bytes of an HTTP/1.1 request arrive while the heap is fuller than :data:`SHED_FROM`, the request is refused
with a probability that grows to 1 at the bound. Bytes arrive in pieces of :data:`PIECE`, so a large upload takes that
chance hundreds of times, a small request once. Streams of HTTP/2, on whose connection others may be, are reset one by
one, the largest first. The action ``stop_accepting_requests`` is left out: it answers 503 to everybody for as long as
the memory is held. The bound is a figure and not the container's (``cgroup_memory``): with that, Envoy doesn't start
outside a container.
"""

from __future__ import annotations

from typing import Final

from envoy_data_plane.envoy.config.bootstrap import v3 as bootstrap
from envoy_data_plane.envoy.config.overload import v3 as overload
from envoy_data_plane.envoy.extensions.resource_monitors.downstream_connections import v3 as connections
from envoy_data_plane.envoy.extensions.resource_monitors.fixed_heap import v3 as fixed_heap

from routegen.plan import Plan

from .messages import packed, seconds

HEAP: Final = 0.75
"""The part of ``gateway.memory`` that the heap may fill: the rest is for the program itself, for freed pages, and for
what arrives before Envoy looks at its heap again."""

SHED_FROM: Final = 0.7
"""The part of the heap's bound from which on load is shed."""

FULL_FROM: Final = 0.85
"""The part of it from which on complete requests are refused as well: an engine would hold them, some of them twice."""

PIECE: Final = 64 * 1024
"""Bytes of a request that Envoy reads at a time (its own default is 1 MiB)."""

MAX_CONNECTIONS: Final = 50_000
"""Clients' connections, all listeners together; more are closed at once."""

_LARGE: Final = 20
"""Streams of HTTP/2 that hold less than 2 to the power of this are never reset: 1 MiB."""

_HEAP: Final = "envoy.resource_monitors.fixed_heap"


def heap_bound(plan: Plan) -> int:
    """Bytes that the heap may fill."""
    return int(HEAP * plan.gateway.memory)


def allocator(plan: Plan) -> bootstrap.MemoryAllocatorManager:
    """Give freed memory back while the heap is full; by itself the allocator keeps it."""
    return bootstrap.MemoryAllocatorManager(soft_memory_limit_bytes=int(SHED_FROM * heap_bound(plan)))


def overload_manager(plan: Plan) -> overload.OverloadManager:
    """Watch the heap and the number of connections, and shed."""
    connected = connections.DownstreamConnectionsConfig(max_active_downstream_connections=MAX_CONNECTIONS)
    heap = fixed_heap.FixedHeapConfig(max_heap_size_bytes=heap_bound(plan))
    return overload.OverloadManager(
        refresh_interval=seconds(0.05),  # a burst of uploads brings hundreds of megabytes in a quarter of a second
        resource_monitors=[
            overload.ResourceMonitor(
                name="envoy.resource_monitors.global_downstream_max_connections", typed_config=packed(connected)
            ),
            overload.ResourceMonitor(name=_HEAP, typed_config=packed(heap)),
        ],
        actions=[
            overload.OverloadAction(
                name="envoy.overload_actions.shrink_heap",
                triggers=[overload.Trigger(name=_HEAP, threshold=overload.ThresholdTrigger(value=SHED_FROM))],
            ),
            overload.OverloadAction(
                name="envoy.overload_actions.reset_high_memory_stream", triggers=[_growing(SHED_FROM)]
            ),
        ],
        loadshed_points=[
            overload.LoadShedPoint(name=f"envoy.load_shed_points.{point}", triggers=[_growing(begins)])
            for point, begins in (
                ("http1_server_abort_dispatch", SHED_FROM),
                ("http_downstream_filter_check", FULL_FROM),
            )
        ],
        buffer_factory_config=overload.BufferFactoryConfig(minimum_account_to_track_power_of_two=_LARGE),
    )


def _growing(begins: float) -> overload.Trigger:
    scaled = overload.ScaledTrigger(scaling_threshold=begins, saturation_threshold=1.0)
    return overload.Trigger(name=_HEAP, scaled=scaled)
