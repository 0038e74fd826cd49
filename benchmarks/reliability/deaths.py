"""One of two engines under a split is killed (SIGKILL) again and again, and started again after a while."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from .claims import Claim
from .clients import Seen, clients, total
from .rig import rig

TIMES: Final = 20
NOTICED: Final = 2.0
"""Seconds after a death in which requests that name nobody may fail."""
LONGEST: Final = 12.0
"""Seconds that an answer takes at most."""
DOWN: Final = 8.0
"""Seconds until the engine is started again."""


def run() -> Iterable[Claim]:
    """Count by whom requests named and when they were sent."""
    seen, spans = asyncio.run(_kill())
    by_chance = [one for one in seen if one.asked is None]
    early = [one for one in by_chance if any(_may_fail(one, killed) for killed, _ in spans)]
    late = total((one for one in by_chance if one not in early), "failed")
    named = [one for one in seen if one.asked == "two" and any(dead + 0.1 <= one.at < back for dead, back in spans)]
    refused = sum(one.status == HTTPStatus.SERVICE_UNAVAILABLE for one in named)
    silent, wrong = total(seen, "cut_in_silence"), total(seen, "wrong")
    other = total((one for one in seen if one.asked == "one"), "failed")
    yield Claim(
        f"{TIMES} deaths: requests that name nobody fail only within 2 s of one, or where the dead engine had them",
        f"{late} later, {total(early, 'failed')} then, of {len(by_chance)}",
        late == 0,
    )
    yield Claim("what breaks does so visibly", f"{silent} answers looked whole", silent == 0)
    yield Claim("who names the dead engine gets 503", f"{refused} of {len(named)}", refused == len(named))
    yield Claim("who names the other one notices nothing", f"{other} failed", other == 0)
    yield Claim("no other engine answers than the one that was asked", f"{wrong} of {len(seen)}", wrong == 0)


async def _kill() -> tuple[list[Seen], list[tuple[float, float]]]:
    """What was seen, and from when to when the engine was gone."""
    spans = []
    async with rig() as made, clients(made.url) as seen:
        await asyncio.sleep(2)
        for _ in range(TIMES):
            engine = made.engines["two"]
            killed = time.monotonic()
            engine.signal(signal.SIGKILL)
            await engine.ended()
            await asyncio.sleep(DOWN)
            spans.append((killed, time.monotonic()))
            engine.start()
            await made.back("two")
            await asyncio.sleep(1)
    return seen, spans


def _may_fail(one: Seen, killed: float) -> bool:
    """Whether the dead engine had accepted it, which a stream may do 10 s before, or nobody knew of the death yet."""
    return (one.engine == "two" and killed - LONGEST <= one.at < killed) or killed <= one.at < killed + NOTICED
