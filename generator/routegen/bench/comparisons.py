"""Every comparison of a run, as far as its last planned look allows a verdict. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

import msgspec

from .design import Comparison, Design, Run
from .looks import LEAST_BLOCKS, Look, reached
from .metrics import BY_KEY, COMPARED, Cell, Metric, by_prompt
from .records import Block, Recorded
from .stats import FEWEST, blocks_for, median, reachable, spread
from .verdict import Effect, Outcome, Pair, adjust, compare, hold

Cells = Mapping[str, Mapping[int, Cell]]
"""Arm -> block -> its requests."""


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What more blocks like those measured would tell, in the primary metric."""

    margin: float
    """At this margin equal arms would be called equivalent in 4 of 5 runs of the design's size; 0.06 is 6 %."""
    blocks: int
    """So many blocks would do it at the design's own margin."""
    seconds: float
    """How long a block of the whole run takes."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one comparison."""

    comparison: Comparison
    primary: Effect
    """In the metric that was declared before the run."""
    others: tuple[Effect, ...]
    outlook: Outlook | None = None
    """``None`` below six blocks."""

    @property
    def effects(self) -> tuple[Effect, ...]:
        """All of them, the primary first."""
        return (self.primary, *self.others)

    def each(self, change: Callable[[Effect], Effect]) -> Compared:
        """The same with ``change`` applied to every effect."""
        return msgspec.structs.replace(self, primary=change(self.primary), others=tuple(map(change, self.others)))


def compare_all(recorded: Recorded, cells: Cells) -> list[Compared]:
    """Every comparison, in the run's order.

    Holm runs over the primary metric of all comparisons but the controls', and over all their other metrics.
    """
    run, design = recorded.run, recorded.run.design
    look = reached(design, recorded.done)
    level = look.level if look is not None else 1 - design.confidence
    seen = cells if look is None else _up_to(look, cells)
    rows = list(zip(run.comparisons, _effects(run, seen, level), strict=True))
    asked = [effects for comparison, effects in rows if comparison.question != "control"]
    firsts = adjust([effects[0] for effects in asked], level)
    others = iter(adjust([effect for effects in asked for effect in effects[1:]], level))
    for effects, first in zip(asked, firsts, strict=True):
        effects[:] = [first, *islice(others, len(effects) - 1)]
    found = [
        Compared(
            comparison=comparison,
            primary=first,
            others=tuple(rest),
            outlook=_outlook(design, first, recorded.blocks),
        )
        for comparison, (first, *rest) in rows
    ]
    if look is None:
        return [one.each(partial(_too_early, design, len(recorded.done))) for one in found]
    return [_failing_less(one.each(_enough), seen) for one in found]


def _up_to(look: Look, cells: Cells) -> Cells:
    """What had been measured at that look; later blocks wait for the next."""
    return {
        arm: {block: cell for block, cell in blocks.items() if block < look.blocks} for arm, blocks in cells.items()
    }


def _effects(run: Run, cells: Cells, level: float) -> Iterator[list[Effect]]:
    """Each comparison's effects, the primary first; the controls' are found first, for they measure the noise floor."""
    keys = [run.design.primary, *(key for key in COMPARED if key != run.design.primary)]
    controls: dict[tuple[str, str], Effect] = {}
    rows: dict[Comparison, list[Effect]] = {}
    for comparison in sorted(run.comparisons, key=lambda item: item.question != "control"):
        found = []
        for key in keys:
            pairs = list(_pairs(BY_KEY[key], cells.get(comparison.base, {}), cells.get(comparison.other, {})))
            control = controls.get((comparison.base, key))
            effect = compare(BY_KEY[key], pairs, level=level, margin=run.design.margin, control=control)
            if comparison.question == "control":
                controls[comparison.base, key] = effect
            found.append(effect)
        rows[comparison] = [effect for effect in found if effect.pairs or effect.metric == run.design.primary]
    return (rows[comparison] for comparison in run.comparisons)


def _pairs(metric: Metric, base: Mapping[int, Cell], other: Mapping[int, Cell]) -> Iterator[Pair]:
    for block in sorted(base.keys() & other.keys()):
        one, two = metric.block(base[block]), metric.block(other[block])
        if one is not None and two is not None:
            yield Pair(block, one, two, by_prompt(metric, base[block], other[block]))


def _too_early(design: Design, done: int, effect: Effect) -> Effect:
    """Before the first look nothing is decided, however it stands."""
    first = next((blocks for blocks in design.looks or (design.blocks,) if blocks >= LEAST_BLOCKS), None)
    if first is None:
        reason = f"{done} blocks are too few: a verdict needs {LEAST_BLOCKS}"
    else:
        reason = f"{done} of {first} blocks are measured, and the verdict is on {first}"
    return hold(effect, reason, first or LEAST_BLOCKS)


def _enough(effect: Effect) -> Effect:
    if len(effect.pairs) >= LEAST_BLOCKS:
        return effect
    return hold(effect, f"{len(effect.pairs)} blocks have a figure: a verdict needs {LEAST_BLOCKS}")


def _failing_less(compared: Compared, cells: Cells) -> Compared:
    """Nobody is better whose requests failed more often, in whatever metric: an error is quickly given."""
    base, other = compared.comparison.base, compared.comparison.other
    failed, share = {}, {}
    for arm in (base, other):
        sent = [request for cell in cells.get(arm, {}).values() for request in cell.requests]
        failed[arm] = sum(request.error is not None for request in sent)
        share[arm] = failed[arm] / max(len(sent), 1)
    if share[base] == share[other]:
        return compared
    worse, less = (base, other) if share[base] > share[other] else (other, base)
    winning: Outcome = "base better" if worse == base else "other better"
    reason = (
        f"{worse} would be better, but more of its requests failed: {failed[worse]} beside {failed[less]} of {less}"
    )
    return compared.each(lambda effect: hold(effect, reason) if effect.outcome == winning else effect)


def _outlook(design: Design, effect: Effect, blocks: Sequence[Block]) -> Outlook | None:
    if len(effect.pairs) < FEWEST:
        return None
    deviation = spread([math.log(pair.ratio) for pair in effect.pairs])
    level = 1 - design.confidence
    return Outlook(
        margin=math.expm1(reachable(deviation, design.blocks, level)),
        blocks=blocks_for(deviation, math.log1p(design.margin), level),
        seconds=median(
            [max(part.ended for part in one.parts) - min(part.started for part in one.parts) for one in blocks]
        ),
    )
