"""How late the client comes, counted as what came meanwhile would feel it."""

from __future__ import annotations

import asyncio
import time

import pytest

from routegen.bench.lateness import TICK, Lateness, watched


def test_a_long_absence_counts_for_every_moment_in_it() -> None:
    late = Lateness()
    due = late.came(1.0, 1.0)
    assert late.mean == 0.0
    assert late.came(due, due + 19 * TICK) == pytest.approx(due + 20 * TICK)
    assert late.mean == pytest.approx(sum(range(20)) * TICK / 21)


async def test_a_loop_that_is_held_up_is_seen() -> None:
    async with watched(time.perf_counter) as late:
        await asyncio.sleep(0.03)
        before = late.mean
        time.sleep(0.3)  # noqa: ASYNC251 - what must not happen
        await asyncio.sleep(0.03)
    assert late.mean > before
    assert late.mean > 0.05, "half of it is spent away, 150 ms on average"
