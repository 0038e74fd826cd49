"""The event loop: uvloop's, where there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


def factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes an event loop on this machine."""
    try:
        import uvloop  # noqa: PLC0415 - it doesn't exist on Windows
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
