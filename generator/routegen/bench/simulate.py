"""How often the verdict is wrong, on a machine whose drift is written down: ``python -m routegen.bench.simulate``.

Simulates whole comparisons of two engines, equal or truly different, and counts the verdicts of this bench's design
beside those of the design that is usual: all requests of one engine, then all of the other, and a test over requests.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass
from statistics import NormalDist, fmean, variance
from typing import Final

from .metrics import BY_KEY
from .schedule import order
from .stats import median
from .verdict import Pair, compare

COMPARISONS: Final = 200
BLOCKS: Final = 40
REQUESTS: Final = 16
"""Per arm and block, as the number of blocks: the default size."""
LEVEL: Final = 0.04
_E2E: Final = BY_KEY["e2e"]


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine whose speed wanders.

    The log of its latency is an AR(1) walk with one step a part (a part is one arm's share of a block, some seconds):
    ``drift = memory * drift + N(0, step)``. Every request has its own noise on top, ``N(0, noise)``, and a part is a
    third slower throughout with probability ``hiccups``.
    """

    memory: float = 0.97
    step: float = 0.02
    noise: float = 0.15
    hiccups: float = 0.0

    def parts(self, draw: random.Random) -> _Parts:
        """The machine from now on."""
        return _Parts(self, draw)


class _Parts:
    def __init__(self, machine: Machine, draw: random.Random) -> None:
        self._machine, self._draw, self._drift = machine, draw, 0.0

    def next(self, requests: int, factor: float) -> list[float]:
        """The latencies of one part; ``factor`` is the engine's own slowness."""
        machine, draw = self._machine, self._draw
        self._drift = machine.memory * self._drift + draw.gauss(0, machine.step)
        mood = self._drift + (0.3 if draw.random() < machine.hiccups else 0.0)
        return [factor * math.exp(mood + draw.gauss(0, machine.noise)) for _ in range(requests)]


def interleaved(machine: Machine, difference: float, seed: int) -> str:
    """This bench's verdict on two engines, the other truly slower by ``difference``."""
    parts = machine.parts(random.Random(f"interleaved {seed}"))  # noqa: S311 - repeatable on purpose
    slowness = {"base": 1.0, "other": 1.0 + difference}
    pairs = []
    for block in range(BLOCKS):
        found = {
            arm: parts.next(REQUESTS, slowness[arm])
            for (arm,) in order([("base",), ("other",)], seed=seed, block=block)
        }
        ratios = [other / base for base, other in zip(found["base"], found["other"], strict=True)]
        pairs.append(Pair(block, median(found["base"]), median(found["other"]), median(ratios)))
    return compare(_E2E, pairs, level=LEVEL, margin=0.03).outcome


def sequential(machine: Machine, difference: float, seed: int) -> str:
    """The usual design's verdict on as many requests: one engine, then the other; Welch's test over the requests."""
    parts = machine.parts(random.Random(f"sequential {seed}"))  # noqa: S311 - repeatable on purpose
    base, other = (
        [value for _ in range(BLOCKS) for value in parts.next(REQUESTS, factor)] for factor in (1.0, 1.0 + difference)
    )
    error = math.sqrt(variance(base) / len(base) + variance(other) / len(other))
    distance = (fmean(other) - fmean(base)) / error
    if abs(distance) < NormalDist().inv_cdf(0.975):
        return "inconclusive"
    return "base better" if distance > 0 else "other better"


def main() -> None:
    """Print the share of each verdict."""
    print(f"{COMPARISONS} simulated comparisons a line, {BLOCKS} blocks of {REQUESTS} requests an engine")
    print(f"{'machine':<34}{'truth':<14}{'design':<14}{'base':>7}{'other':>7}{'equivalent':>12}{'inconclusive':>14}")
    machines = {
        "steady": Machine(step=0.0),
        "drift 2 % a part": Machine(),
        "drift 4 % a part": Machine(step=0.04),
        "drift 2 %, 1 part in 20 disturbed": Machine(hiccups=0.05),
    }
    for name, machine in machines.items():
        for difference in (0.0, 0.05):
            for design in (sequential, interleaved):
                counted = Counter(design(machine, difference, seed) for seed in range(COMPARISONS))
                shares = [
                    f"{counted[outcome] / COMPARISONS:.1%}"
                    for outcome in ("base better", "other better", "equivalent", "inconclusive")
                ]
                truth = f"{difference:.0%} slower" if difference else "equal"
                print(
                    f"{name:<34}{truth:<14}{design.__name__:<14}"
                    f"{shares[0]:>7}{shares[1]:>7}{shares[2]:>12}{shares[3]:>14}"
                )


if __name__ == "__main__":
    main()
