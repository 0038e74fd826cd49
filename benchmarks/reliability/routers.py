"""Routers are restarted (SIGTERM), killed (SIGKILL) and given new rules under 100 requests a second."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable
from typing import Final

from .claims import Claim
from .clients import Seen, clients, total
from .rig import Rig, rig, until

RESTARTS: Final = 20
KILLS: Final = 10
RELOADS: Final = 50
BEGIN: Final = 2.0
"""Seconds of calm before anything is broken."""
GONE: Final = 2.0
"""Seconds until a killed router is started again."""


def run() -> Iterable[Claim]:
    """All three, each with processes of its own."""
    seen = asyncio.run(_restart())
    yield from _claims(f"{RESTARTS} restarts (SIGTERM), one of two routers", seen, 0)
    seen = asyncio.run(_kill())
    yield from _claims(f"{KILLS} SIGKILLs of one of two routers", seen, KILLS)
    seen = asyncio.run(_reload())
    yield from _claims(f"{RELOADS} reloads of both routers", seen, 0)


def _claims(what: str, seen: list[Seen], most: int) -> Iterable[Claim]:
    failed, truncated, wrong = (total(seen, kind) for kind in ("failed", "truncated", "wrong"))
    yield Claim(f"{what}: at most {most} requests fail", f"{failed} of {len(seen)}", failed <= most)
    yield Claim(f"{what}: no answer is cut off", f"{truncated} of {len(seen)}", truncated == 0)
    yield Claim(f"{what}: no other engine answers than the one that was asked", f"{wrong} of {len(seen)}", wrong == 0)


async def _restart() -> list[Seen]:
    async with rig() as made, clients(made.url) as seen:
        await asyncio.sleep(BEGIN)
        for number in range(RESTARTS):
            await _begin_anew(made, number % 2, signal.SIGTERM, 0)
    return seen


async def _kill() -> list[Seen]:
    async with rig() as made, clients(made.url) as seen:
        await asyncio.sleep(BEGIN)
        for number in range(KILLS):
            await _begin_anew(made, number % 2, signal.SIGKILL, GONE)
    return seen


async def _reload() -> list[Seen]:
    """The split's weights change; both routers have taken them before the next change."""
    async with rig() as made, clients(made.url) as seen:
        await asyncio.sleep(BEGIN)
        for number in range(RELOADS):
            made.reload(*((70, 30) if number % 2 == 0 else (50, 50)))
            await until(lambda wanted=number + 1: made.reloads() >= wanted)
            await asyncio.sleep(0.5)
    return seen


async def _begin_anew(made: Rig, number: int, how: signal.Signals, gone: float) -> None:
    router = made.routers[number]
    router.signal(how)
    await router.ended()
    await asyncio.sleep(gone)
    router.start()
    await made.ready(number)
