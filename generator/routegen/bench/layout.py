"""From arms to what is measured in which order's groups, and what is asked of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from routegen.common.problems import UserError

from .design import Arm, Comparison

Mode = Literal["solo", "together", "interference"]


@dataclass(frozen=True, slots=True)
class Layout:
    """What is measured, in which groups, and what is asked."""

    arms: tuple[Arm, ...]
    slots: tuple[tuple[str, ...], ...]
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True)
class _Groups:
    """The arms by how they are loaded."""

    alone: Sequence[Arm]
    repeated: Sequence[Arm]
    """The A/A control's."""
    joined: Sequence[Arm]

    @property
    def all(self) -> tuple[Arm, ...]:
        return (*self.alone, *self.repeated, *self.joined)


def lay_out(arms: Sequence[Arm], *, mode: Mode, control: bool, cache: str) -> Layout:
    """Group ``arms`` into slots and say what is compared; engines are compared with the first.

    :raises UserError: nothing could be compared, or the cache policy would make the comparison wrong.
    """
    groups = _groups(arms, mode, control=control)
    comparisons = tuple(_comparisons(groups))
    _require_own_names(groups.all)
    if not comparisons:
        raise UserError(
            f'"{arms[0].name}" alone can\'t be compared with anything: name a second engine, or measure --way both, '
            "or ask for the noise floor with --control"
        )
    if cache == "as-is":
        _require_own_caches(groups.all)
    return Layout(groups.all, tuple(_slots(groups)), comparisons)


def _groups(arms: Sequence[Arm], mode: Mode, *, control: bool) -> _Groups:
    if mode == "together" and control:
        raise UserError("the A/A control needs arms that are measured one at a time: --mode solo or interference")
    first = arms[0]
    return _Groups(
        alone=[] if mode == "together" else arms,
        repeated=[msgspec.structs.replace(first, name=f"{first.name} again", repeats=first.name)] if control else [],
        joined=[] if mode == "solo" else [_joined(arm, mode) for arm in arms],
    )


def _joined(arm: Arm, mode: Mode) -> Arm:
    name = arm.name if mode == "together" else f"{arm.name} together"
    return msgspec.structs.replace(arm, name=name, together=True)


def _slots(groups: _Groups) -> Iterator[tuple[str, ...]]:
    """One for each arm that is loaded alone, and one for all arms of a way that are loaded at once."""
    for arm in (*groups.alone, *groups.repeated):
        yield (arm.name,)
    for via in ("gateway", "direct"):
        if together := tuple(arm.name for arm in groups.joined if arm.via == via):
            yield together


def _comparisons(groups: _Groups) -> Iterator[Comparison]:
    yield from _engines(groups.alone)
    yield from _engines(groups.joined)
    yield from _overheads(groups.alone or groups.joined)
    for alone, loaded in zip(groups.alone, groups.joined, strict=False):
        yield Comparison(base=alone.name, other=loaded.name, question="interference")
    for arm in groups.repeated:
        yield Comparison(base=arm.repeats or "", other=arm.name, question="control")


def _engines(arms: Sequence[Arm]) -> Iterator[Comparison]:
    """Each way's engines against the first one on that way."""
    for via in ("gateway", "direct"):
        same = [arm for arm in arms if arm.via == via]
        for arm in same[1:]:
            yield Comparison(base=same[0].name, other=arm.name, question="engines")


def _overheads(arms: Sequence[Arm]) -> Iterator[Comparison]:
    """Each engine's arm through the gateway beside its direct one."""
    direct = {arm.engine: arm for arm in arms if arm.via == "direct"}
    for arm in arms:
        if arm.via == "gateway" and arm.engine in direct:
            yield Comparison(base=direct[arm.engine].name, other=arm.name, question="overhead")


def _require_own_names(arms: Sequence[Arm]) -> None:
    if taken := [name for name, count in Counter(arm.name for arm in arms).items() if count > 1]:
        raise UserError(f'"{taken[0]}" is what the bench calls another arm; give that engine another name')


def _require_own_caches(arms: Sequence[Arm]) -> None:
    if shared := sorted(engine for engine, count in Counter(arm.engine for arm in arms).items() if count > 1):
        raise UserError(
            f"--cache as-is would let one arm find the prompts of another in the cache of {', '.join(shared)}; "
            "use --cache cold or warm"
        )
