"""Whether the arms differed as much at the end of the run as at its beginning: who warms up is slow at first. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from .checks import Check
from .comparisons import Compared
from .looks import LEAST_BLOCKS
from .stats import median, signed_ranks
from .verdict import Pair

SETTLED: Final = "settled"
"""The check's id."""

DOUBT: Final = 0.01
"""The share of looks at which this check fails by chance, where arms differ alike all the time."""


def settled(compared: Iterable[Compared]) -> Iterator[Check]:
    """A check for each comparison of enough blocks, in its primary metric."""
    for one in compared:
        pairs = one.primary.pairs
        if one.comparison.question == "control" or len(pairs) < LEAST_BLOCKS:
            continue
        who = f"{one.comparison.other} beside {one.comparison.base}"
        if not unsettled(pairs):
            yield Check(id=SETTLED, level="ok", message=f"{who}: as different at the end as at the beginning.")
            continue
        yield Check(
            id=SETTLED,
            level="fail",
            message=f"{who}: the difference moved by {100 * math.expm1(abs(median(_moved(pairs)))):.1f} % between the "
            "run's beginning and its end. One of them was still warming up, or something else came or went on one side "
            "only: measure a new run with more --warmup.",
        )


def unsettled(pairs: Sequence[Pair]) -> bool:
    """Whether the difference moved by more than chance explains.

    The first block's (a log-ratio) is held against the last one's, the second's against the last but one's, and so on.
    Were the arms' true difference the same all the time, each of these differences of differences would be as likely to
    have the other sign, because a coin gave each block's order; so Wilcoxon's signed ranks say how probable they are by
    chance, whatever the machine did.
    """
    return signed_ranks(_moved(pairs)) < DOUBT


def _moved(pairs: Sequence[Pair]) -> list[float]:
    ratios = [math.log(pair.ratio) for pair in pairs]
    return [early - late for early, late in zip(ratios, reversed(ratios), strict=True)][: len(ratios) // 2]
