"""The router and Envoy with one thing changed, each: what was tried to make a request cheaper, kept or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ours
from setups import Arm, Place, Setup

STARTER = Path(__file__).resolve().parent / "variant_router.py"
BASE = "as it is"
Document = dict[str, Any]


def _router(name: str) -> Callable[[Place], Arm]:
    """The router with a change that ``variant_router.py`` knows."""
    return lambda place: ours.router(place, name=name, program=(str(STARTER), name))


def _envoy(name: str, *removed: str) -> Callable[[Place], Arm]:
    """An Envoy without some fields of its connection manager."""

    def change(document: Document) -> Document:
        for listener in document["static_resources"]["listeners"]:
            manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
            for field in removed:
                del manager[field]
        return document

    return lambda place: ours.router(place, name=name, change=change)


_PATHS = ("normalize_path", "merge_slashes")
SETUPS = (
    Setup(BASE, "as it is", _router("nothing")),
    Setup("unix", "a Unix socket between Envoy and router", lambda place: ours.router(place, unix=True, name="unix")),
    Setup("returned", "freed memory goes back to the system, as glibc has it", _router("returned")),
    Setup("asyncio", "asyncio's own event loop in place of uvloop", _router("asyncio")),
    Setup("frames", "HTTP/2 frames of up to 1 MiB to the router", _router("frames")),
    Setup("windows", "HTTP/2 windows of 8 MiB, and no probing for them", _router("windows")),
    Setup("reads", "gRPC reads up to 4 MiB at a time", _router("reads")),
    Setup("throughput", "gRPC optimises for throughput", _router("throughput")),
    Setup("filters", "gRPC without compression and deadlines", _router("filters")),
    Setup("lock", "Python's lock handed over after 100 ms, not 5", _router("lock")),
    Setup("collections", "no garbage collections", _router("collections")),
    Setup("log", "no log line for a decision", _router("log")),
    Setup("access_log", "Envoy without an access log", _envoy("access_log", "access_log")),
    Setup("early", "Envoy doesn't remove the client's headers", _envoy("early", "early_header_mutation_extensions")),
    Setup("replies", "Envoy without error replies in OpenAI's shape", _envoy("replies", "local_reply_config")),
    Setup("paths", "Envoy doesn't normalise paths", _envoy("paths", *_PATHS)),
    Setup(
        "lean",
        "Envoy without these four",
        _envoy("lean", *_PATHS, "access_log", "early_header_mutation_extensions", "local_reply_config"),
    ),
)
LARGE = tuple(setup for setup in SETUPS if setup.name in {BASE, "unix", "returned"})
