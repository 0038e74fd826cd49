"""Who is measured when: the order of a block's slots, and when each request is due. Pure; everything is in the seed."""

from __future__ import annotations

import random
from collections.abc import Sequence

from .design import Design

Slot = tuple[str, ...]
"""Arms that are loaded at the same time."""


def order(slots: Sequence[Slot], *, seed: int, block: int) -> tuple[Slot, ...]:
    """The order of the slots in one block: drawn anew for each, independently of all others.

    So an arm is as likely before another as behind it, whatever the machine does and in whatever rhythm. That is what
    :func:`routegen.bench.stats.interval` rests on; a pattern, such as each order followed by its reverse, could keep
    step with a neighbour's.
    """
    shuffled = list(slots)
    random.Random(f"{seed} order {block}").shuffle(shuffled)  # noqa: S311 - repeatable on purpose
    return tuple(shuffled)


def arrivals(design: Design, block: int, count: int) -> tuple[float, ...]:
    """When each of ``count`` requests of an open loop is due, in seconds from the part's start.

    They are the same for every arm of a block. Poisson arrivals have independent exponential gaps, scaled so that each
    block lasts what the rate says: it brings the same load, and only its burstiness is random.

    :raises ValueError: a closed loop has no arrival times.
    """
    load = design.load
    if load.rate is None:
        raise ValueError("a closed loop has no arrival times")
    if load.kind == "constant":
        return tuple(number / load.rate for number in range(count))
    draw = random.Random(f"{design.seed} arrivals {block}")  # noqa: S311 - repeatable on purpose
    gaps = [draw.expovariate(1.0) for _ in range(count)]
    scale = count / load.rate / sum(gaps)
    due, times = 0.0, []
    for gap in gaps:
        times.append(due)
        due += gap * scale
    return tuple(times)
