"""One of a router's two workers is killed (SIGKILL) again and again, under 100 requests a second."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable
from typing import Final

from support.workers import children

from .claims import Claim
from .clients import Seen, clients, total
from .rig import rig, until

WORKERS: Final = 2
KILLS: Final = 20
CALM: Final = 2.0
"""Seconds before the first death, and after each worker is back."""


def run() -> Iterable[Claim]:
    """Count what failed."""
    seen, begun_anew = asyncio.run(_kill())
    failed, truncated, wrong = (total(seen, kind) for kind in ("failed", "truncated", "wrong"))
    yield Claim(f"{KILLS} SIGKILLs: at most one request a kill fails", f"{failed} of {len(seen)}", failed <= KILLS)
    yield Claim("no answer is cut off", f"{truncated} of {len(seen)}", truncated == 0)
    yield Claim("no other engine answers than the one that was asked", f"{wrong} of {len(seen)}", wrong == 0)
    yield Claim("each is replaced, and counted", f"{begun_anew}", begun_anew == KILLS)


async def _kill() -> tuple[list[Seen], int]:
    async with rig(routers_wanted=1, workers=WORKERS) as made, clients(made.url) as seen:
        await asyncio.sleep(CALM)
        for number in range(KILLS):
            os.kill(children(made.routers[0].pid, "routegen_router.worker")[number % WORKERS], signal.SIGKILL)
            await until(lambda wanted=number + 1: made.begun_anew() == wanted)
            await made.ready(0)
            await asyncio.sleep(CALM)
        begun_anew = made.begun_anew()
    return seen, begun_anew
