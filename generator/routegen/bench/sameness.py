"""Whether the engines answer alike: with greedy sampling they should; a faster one that doesn't is no bargain. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .answers import STEP, alike
from .design import Comparison
from .records import PROBE, Recorded, Request
from .stats import median


class Sameness:
    """Two arms' answers to the same prompts."""

    def __init__(self, base: Mapping[int, Request], other: Mapping[int, Request]) -> None:
        both = [(base[prompt].marks, other[prompt].marks) for prompt in base.keys() & other.keys()]
        self._found = [alike(one, two) for one, two in both if one and two]

    @property
    def count(self) -> int:
        """The prompts that both answered."""
        return len(self._found)

    @property
    def same(self) -> int:
        """The answers that are alike to the end."""
        return sum(found for found, _ in self._found)

    @property
    def until(self) -> int:
        """Characters that the others have in common, at the median."""
        return int(median([length for found, length in self._found if not found] or [0]))

    @property
    def strange(self) -> bool:
        """Whether no answer even begins like the other's: another model, another template, or one of them is broken."""
        return self.count > 0 and self.same == 0 and self.until < STEP


def samenesses(recorded: Recorded) -> Iterator[tuple[Comparison, Sameness]]:
    """Each comparison's, by the probes of the last session that has any for both arms."""
    probes: dict[int, dict[str, dict[int, Request]]] = {}
    for request in recorded.requests:
        if request.block == PROBE:
            probes.setdefault(request.session, {}).setdefault(request.arm, {})[request.prompt] = request
    last = probes[max(probes)] if probes else {}
    for comparison in recorded.run.comparisons:
        yield comparison, Sameness(last.get(comparison.base, {}), last.get(comparison.other, {}))
