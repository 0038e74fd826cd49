"""How often the bench's verdict is wrong, and how often it is there: ``nice python benchmarks/bench_verdicts.py``.

Simulates whole runs on the machines of machines.py and judges each with the bench's own code; prints the tables of
docs/bench-accuracy.md, or writes them there with ``--write``. ``--runs 200`` is a quick look.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist, fmean

import numpy as np
from machines import LENGTHS, MACHINES, STILL_WARMING, Floats, Machine

from routegen.bench.looks import Look, levels, spaced
from routegen.bench.metrics import BY_KEY
from routegen.bench.settled import unsettled
from routegen.bench.setup import BLOCKS, CONFIDENCE
from routegen.bench.verdict import Effect, Pair, compare

PAGE = Path(__file__).resolve().parents[1] / "docs" / "bench-accuracy.md"
TRUTHS = (0.0, 0.02, 0.05, 0.10)
MOST = 200
"""Blocks of a run that goes on until it is decided."""
BATCH = 100
MARGIN = 0.03
UNTRUSTED = ("no verdict", "unsettled")
"""Outcomes in which a check failed, so that there is no verdict."""
TOLERATED = 0.01
"""More failures than this, and there is no verdict at all."""


@dataclass
class Tally:
    """What became of all runs of one row and truth."""

    outcomes: Counter[str] = field(default_factory=Counter)
    covered: int = 0
    halves: list[float] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)

    @property
    def runs(self) -> int:
        """How many there were."""
        return self.outcomes.total()

    @property
    def trusted(self) -> int:
        """How many passed every check, so that their intervals can be used."""
        return self.runs - sum(self.outcomes[one] for one in UNTRUSTED)

    def share(self, *outcomes: str) -> float:
        """Of all runs."""
        return sum(self.outcomes[one] for one in outcomes) / self.runs


def simulated(machine: Machine, truth: float, runs: int, blocks: int, seed: int) -> Iterator[tuple[list[Pair], str]]:
    """Runs: the blocks' values, and the arm that may not win for its failures (or both)."""
    draw = np.random.default_rng([seed, round(1000 * truth), *machine.name.encode()])
    for start in range(0, runs, BATCH):
        count = min(BATCH, runs - start)
        took, failed = machine.runs(draw, count, blocks, truth)
        medians = np.exp(np.median(took, axis=3))
        ratios = np.exp(np.median(took[:, :, 1] - took[:, :, 0], axis=2))
        failures = failed.sum(axis=(1, 3))
        for run in range(count):
            barred = _barred(*failures[run].tolist(), sent=machine.requests * blocks)
            yield _pairs(medians[run], ratios[run]), barred


def _pairs(medians: Floats, ratios: Floats) -> list[Pair]:
    found = zip(medians.tolist(), ratios.tolist(), strict=True)
    return [Pair(block, base, other, ratio) for block, ((base, other), ratio) in enumerate(found)]


def _barred(base: int, other: int, *, sent: int) -> str:
    if max(base, other) > TOLERATED * sent:
        return "both"
    return "" if base == other else ("base better" if base > other else "other better")


def judged(pairs: list[Pair], barred: str, look: Look) -> tuple[str, Effect]:
    """The verdict at a look; ``no verdict`` or ``unsettled`` where a check would fail."""
    found = compare(BY_KEY["e2e"], pairs[: look.blocks], level=look.level, margin=MARGIN)
    if barred == "both":
        return "no verdict", found
    if unsettled(found.pairs):
        return "unsettled", found
    return ("inconclusive" if found.outcome == barred else found.outcome), found


def tally(machine: Machine, truth: float, runs: int, looks: tuple[Look, ...], seed: int = 1) -> Tally:
    """Judge every run at each look, until it is decided."""
    found = Tally()
    for pairs, barred in simulated(machine, truth, runs, looks[-1].blocks, seed):
        for look in looks:
            outcome, effect = judged(pairs, barred, look)
            if outcome not in {"inconclusive", "unsettled"}:
                break
        assert effect.low is not None
        assert effect.high is not None
        found.outcomes[outcome] += 1
        found.covered += outcome not in UNTRUSTED and effect.low <= truth <= effect.high
        found.halves.append((math.log1p(effect.high) - math.log1p(effect.low)) / 2)
        found.blocks.append(look.blocks)
    return found


def upper(share: float, runs: int) -> float:
    """The upper end of a share's 95 % interval (Wilson, 1927)."""
    z = NormalDist().inv_cdf(0.975)
    centre = share + z * z / (2 * runs)
    return (centre + z * math.sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs))) / (1 + z * z / runs)


def once(runs: int) -> Iterator[str]:
    """The table of runs of the default size."""
    yield "| machine | false better (at most) | coverage | half interval | equivalent | 2 % found | 5 % | 10 % |"
    yield "|---|---|---|---|---|---|---|---|"
    looks = (Look(BLOCKS, 1 - CONFIDENCE),)
    for machine in MACHINES:
        equal, *slower = [tally(machine, truth, runs, looks) for truth in TRUTHS]
        false = equal.share("base better", "other better")
        wrong = max(one.share("other better") for one in slower)
        covered = sum(one.covered for one in (equal, *slower)) / sum(one.trusted for one in (equal, *slower))
        power = " | ".join(f"{one.share('base better'):.1%}" for one in slower)
        note = f"; wrong way round {wrong:.2%}" if wrong else ""
        yield (
            f"| {machine.name} | {false:.1%} ({upper(false, runs):.1%}){note} | {covered:.1%} "
            f"| ±{math.expm1(fmean(equal.halves)):.1%} | {equal.share('equivalent'):.1%} | {power} |"
        )


def until_decided(runs: int) -> Iterator[str]:
    """The table of runs with looks on the way."""
    yield "| machine | false better (at most) | equal: equivalent, blocks | 5 %, blocks | equivalent | 10 %, blocks |"
    yield "|---|---|---|---|---|---|"
    blocks = spaced(MOST)
    looks = tuple(map(Look, blocks, levels(blocks, 1 - CONFIDENCE)))
    for machine in MACHINES:
        equal, five, ten = (tally(machine, truth, runs, looks) for truth in (0.0, 0.05, 0.10))
        false = equal.share("base better", "other better")
        yield (
            f"| {machine.name} | {false:.1%} ({upper(false, runs):.1%}) "
            f"| {equal.share('equivalent'):.1%}, {fmean(equal.blocks):.0f} "
            f"| {five.share('base better'):.1%}, {fmean(five.blocks):.0f} | {five.share('equivalent'):.1%} "
            f"| {ten.share('base better'):.1%}, {fmean(ten.blocks):.0f} |"
        )


def by_prompt(runs: int) -> Iterator[str]:
    """The table of prompts whose lengths differ: compared prompt by prompt, and by the arms' medians."""
    yield "| machine | lengths | half interval by prompt | by medians | 5 % found by prompt | by medians |"
    yield "|---|---|---|---|---|---|"
    look = Look(BLOCKS, 1 - CONFIDENCE)
    for machine in LENGTHS:
        halves, found = [], []
        for strip in (False, True):
            seen = [
                judged([Pair(pair.block, pair.base, pair.other) for pair in pairs] if strip else pairs, barred, look)
                for pairs, barred in simulated(machine, 0.05, runs, BLOCKS, 1)
            ]
            ends = [(math.log1p(effect.high or 0.0) - math.log1p(effect.low or 0.0)) / 2 for _, effect in seen]
            halves.append(f"±{math.expm1(fmean(ends)):.1%}")
            found.append(f"{fmean(outcome == 'base better' for outcome, _ in seen):.1%}")
        yield f"| {machine.name} | {machine.lengths:g} | {' | '.join((*halves, *found))} |"


def still_warming(runs: int) -> Iterator[str]:
    """The table of arms that are slow when the warm-up is over: what a run of either size says."""
    yield "| one arm begins | 40 blocks: better | no verdict | `--until-decided`: better | no verdict |"
    yield "|---|---|---|---|---|"
    blocks = spaced(MOST)
    sizes = (Look(BLOCKS, 1 - CONFIDENCE),), tuple(map(Look, blocks, levels(blocks, 1 - CONFIDENCE)))
    for machine in STILL_WARMING:
        found = [tally(machine, 0.0, runs, looks) for looks in sizes]
        told = (f"{one.share('base better', 'other better'):.1%} | {one.share(*UNTRUSTED):.1%}" for one in found)
        yield f"| {machine.name} | {' | '.join(told)} |"


def main() -> int:
    """Print the tables, or put them into the page."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=2000, help="simulated runs a row and truth (default: 2000)")
    options.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    options.add_argument("--row", metavar="MACHINE", help="only false verdicts on this machine, one look")
    options.add_argument("--seed", type=int, default=1, help="with --row: of its runs (default: 1)")
    given = options.parse_args()
    if given.row:
        [machine] = [one for one in MACHINES if one.name == given.row]
        false = tally(machine, 0.0, given.runs, (Look(BLOCKS, 1 - CONFIDENCE),), given.seed)
        share = false.share("base better", "other better")
        print(
            f"{machine.name}: false better in {share:.1%} of {given.runs} runs (at most {upper(share, given.runs):.1%})"
        )
        return 0
    page = PAGE.read_text(encoding="utf-8") if given.write else ""
    for name, table in (
        ("once", once),
        ("until-decided", until_decided),
        ("by-prompt", by_prompt),
        ("still-warming", still_warming),
    ):
        lines = []
        for line in table(given.runs):
            print(line, flush=True)
            lines.append(line)
        text = "\n".join([f"<!-- {name}: {given.runs} runs -->", *lines, ""])
        page = re.sub(rf"<!-- {name}: \d+ runs -->\n(\|.*\n)*", text.replace("\\", r"\\"), page)
        print()
    if given.write:
        PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
