"""Runs the router with one thing changed: ``variant_router.py CHANGE`` and then the router's own options."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Mapping

from routegen_router import __main__, grpc_transport, journal, loops, memory

MB = 1024 * 1024


def options(*more: tuple[str, int | str]) -> None:
    """Give gRPC's server further options."""
    usual = grpc_transport.channel_options
    grpc_transport.channel_options = lambda longest: [*usual(longest), *more]  # type: ignore[list-item,assignment]


def returned() -> None:
    """Leave the C library as it is."""
    memory.keep_freed = lambda: False


def own_loop() -> None:
    """Take asyncio's event loop."""
    loops.factory = lambda: asyncio.new_event_loop


def silent() -> None:
    """Count decisions, but write nothing."""
    journal._log.setLevel("ERROR")  # noqa: SLF001


CHANGES: Mapping[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "returned": returned,
    "asyncio": own_loop,
    "frames": lambda: options(("grpc.http2.max_frame_size", MB)),
    "windows": lambda: options(("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 8 * MB)),
    "reads": lambda: options(
        ("grpc.experimental.tcp_read_chunk_size", MB),
        ("grpc.experimental.tcp_min_read_chunk_size", MB // 16),
        ("grpc.experimental.tcp_max_read_chunk_size", 4 * MB),
    ),
    "throughput": lambda: options(("grpc.optimization_target", "throughput")),
    "filters": lambda: options(
        ("grpc.enable_per_message_compression", 0),
        ("grpc.enable_per_message_decompression", 0),
        ("grpc.enable_deadline_checks", 0),
    ),
    "lock": lambda: sys.setswitchinterval(0.1),
    "collections": gc.disable,
    "log": silent,
}

if __name__ == "__main__":
    CHANGES[sys.argv.pop(1)]()
    sys.exit(__main__.main())
