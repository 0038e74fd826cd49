"""From two arms' block values to one of: better, equivalent, inconclusive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from .metrics import Metric
from .stats import Interval, blocks_to_reach, blocks_to_settle, holm, interval

Outcome = Literal["base better", "other better", "equivalent", "inconclusive", "no verdict"]
"""``no verdict``: a check failed, so the figures mean nothing."""


class Pair(msgspec.Struct, frozen=True):
    """One block's values of the two arms."""

    block: int
    base: float
    other: float
    by_prompt: float | None = None
    """The median of ``other / base`` over the prompts that both answered; ``None`` where the metric isn't one of single
    requests."""

    @property
    def ratio(self) -> float:
        """``other / base`` as it is compared: prompt by prompt where that can be, for prompts differ more than arms."""
        return self.other / self.base if self.by_prompt is None else self.by_prompt


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """How ``other`` compares with ``base`` in one metric. Shares: 0.05 is 5 % more than ``base``."""

    metric: str
    pairs: tuple[Pair, ...]
    """The blocks in which both arms have a value above zero."""
    difference: float | None = None
    """``other / base - 1``, from the centre of the blocks' log-ratios; ``None`` below six, as the next."""
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    """Holm's, over the family that this effect belongs to."""
    floor: float | None = None
    """The noise floor: what identical arms would show by chance."""
    floor_from: Literal["interval", "control"] = "interval"
    """Half of this effect's own interval, or measured by an arm that repeats the base."""
    outcome: Outcome = "inconclusive"
    blocks_needed: int | None = None
    """About how many blocks in all would settle an inconclusive outcome; ``None``: so many that nobody should wait, or
    there is a ``reason``."""
    reason: str | None = None
    """Why an outcome is inconclusive, where not for the noise."""


def compare(
    metric: Metric, pairs: Sequence[Pair], *, level: float, margin: float, control: Effect | None = None
) -> Effect:
    """The effect in ``metric``, its p value not yet adjusted for others.

    :param level: the share of intervals that may miss.
    :param control: the same metric's effect between an arm and its repetition, which measures the noise floor.
    """
    usable = tuple(pair for pair in pairs if pair.base > 0 and pair.other > 0)
    found = interval([math.log(pair.ratio) for pair in usable], level)
    if found is None:
        return Effect(metric=metric.key, pairs=usable)
    measured = _measured(control)
    outcome = decide(metric, found, floor=measured or 0.0, margin=margin)
    needed = None
    if outcome == "inconclusive":
        needed = blocks_to_settle(found, len(usable), margin=math.log1p(margin), floor=measured or 0.0)
    return Effect(
        metric=metric.key,
        pairs=usable,
        difference=math.expm1(found.estimate),
        low=math.expm1(found.low),
        high=math.expm1(found.high),
        p=found.p,
        p_adjusted=found.p,
        floor=math.expm1(found.half if measured is None else measured),
        floor_from="interval" if measured is None else "control",
        outcome=outcome,
        blocks_needed=needed,
    )


def _measured(control: Effect | None) -> float | None:
    """The noise floor as a log-ratio: half the control's interval, or its estimate where that is larger."""
    if control is None or control.difference is None or control.low is None or control.high is None:
        return None
    half = (math.log1p(control.high) - math.log1p(control.low)) / 2
    return max(half, abs(math.log1p(control.difference)))


def decide(metric: Metric, found: Interval, *, floor: float, margin: float) -> Outcome:
    """The rule, in this order.

    1. Equivalent: the whole interval lies within the margin, so whatever difference there is does not matter.
    2. Better: the interval leaves zero out, and the estimate lies outside the margin and above a measured noise floor.
    3. Inconclusive.
    """
    bound = math.log1p(margin)
    if -bound < found.low and found.high < bound:
        return "equivalent"
    if found.low <= 0 <= found.high or abs(found.estimate) <= max(bound, floor):
        return "inconclusive"
    return "other better" if (found.estimate < 0) == (metric.better == "lower") else "base better"


def withhold(effect: Effect) -> Effect:
    """The figures without a verdict."""
    return msgspec.structs.replace(effect, outcome="no verdict", blocks_needed=None, reason=None)


def hold(effect: Effect, reason: str, needed: int | None = None) -> Effect:
    """Inconclusive, for another reason than the noise."""
    return msgspec.structs.replace(effect, outcome="inconclusive", blocks_needed=needed, reason=reason)


def adjust(effects: Sequence[Effect], level: float) -> list[Effect]:
    """Holm over a family of effects: a "better" that the family's size doesn't allow becomes inconclusive."""
    known = [(index, effect.p) for index, effect in enumerate(effects) if effect.p is not None]
    found = list(effects)
    for (index, p), adjusted in zip(known, holm([p for _, p in known]), strict=True):
        effect = found[index] = msgspec.structs.replace(effects[index], p_adjusted=adjusted)
        if adjusted > level and effect.outcome.endswith("better"):
            needed = blocks_to_reach(level, p=p, adjusted=adjusted, blocks=len(effect.pairs))
            found[index] = msgspec.structs.replace(effect, outcome="inconclusive", blocks_needed=needed)
    return found
