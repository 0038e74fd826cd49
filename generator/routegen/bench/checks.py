"""What could make a comparison's figures mean something else than they seem to.

A check that fails makes the comparison invalid (exit code 3), whatever the verdict says. What an engine does not
report can't be checked, and that is said: "unknown" is never "ok".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from .design import Comparison
from .metrics import Cell
from .records import Recorded, Request
from .stats import quantile

FEW: Final = 0.01
"""Up to this share of failed or unequal requests is tolerated."""

TEMPLATE: Final = 64
"""Tokens that a cold prompt may find in the cache: the chat template, which all prompts begin with."""

LATE: Final = 0.005
"""Seconds that a request may leave late: the timer's millisecond, and its turn among those due at the same time."""

LEAST_BLOCKS: Final = 20


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check's result, for people."""

    id: str
    level: Literal["ok", "note", "unknown", "fail"]
    message: str


def run_checks(recorded: Recorded, cells: Iterable[Cell]) -> list[Check]:
    """Every check on what was measured."""
    by_arm: dict[str, dict[tuple[int, int], Request]] = {}
    for cell in cells:
        found = by_arm.setdefault(cell.arm, {})
        found.update({(request.block, request.prompt): request for request in cell.requests})
    checks = [*_blocks(recorded), *_waiting(by_arm)]
    for arm, requests in by_arm.items():
        checks += _errors(arm, requests.values())
        checks += _cache(recorded, arm, requests.values())
        checks += _backend(recorded, arm, requests.values())
        checks += _endings(arm, requests.values())
    for comparison in recorded.run.comparisons:
        if comparison.base in by_arm and comparison.other in by_arm:
            checks += _tokens(recorded, comparison, by_arm[comparison.base], by_arm[comparison.other])
    return checks


def _blocks(recorded: Recorded) -> Iterator[Check]:
    done, planned = len(recorded.done), recorded.run.design.blocks
    if done < planned:
        yield Check(id="blocks", level="note", message=f"{done} of {planned} blocks were measured; --resume continues.")
    if done < LEAST_BLOCKS:
        yield Check(
            id="few-blocks",
            level="note",
            message=f"{done} block{'' if done == 1 else 's'}: with fewer than {LEAST_BLOCKS} the interval is rough; "
            "no side is called better.",
        )
    if recorded.sessions > 1:
        yield Check(
            id="sessions",
            level="note",
            message=f"Measured in {recorded.sessions} sessions. Adding blocks after looking at a result, again and "
            "again, finds a difference in the end where there is none; decide on the number before.",
        )


def _waiting(by_arm: dict[str, dict[tuple[int, int], Request]]) -> Iterator[Check]:
    """The client must not be what is measured: requests leave when they are due."""
    late = [request.sent - request.scheduled for requests in by_arm.values() for request in requests.values()]
    ends = [request.end for requests in by_arm.values() for request in requests.values() if request.end]
    if not late or not ends:
        return
    worst, whole = quantile(late, 0.99), quantile(ends, 0.5)
    text = f"99 % of the requests were sent within {worst * 1000:.1f} ms of their due time"
    share = worst / whole
    if worst <= LATE or share <= 2 * FEW:
        yield Check(id="client", level="ok", message=f"{text}.")
    else:
        yield Check(
            id="client",
            level="fail" if share > 10 * FEW else "note",
            message=f"{text}, {share:.0%} of the median answer's time: this client could not keep up. "
            "Give it a CPU of its own, or ask for less load.",
        )


def _errors(arm: str, requests: Iterable[Request]) -> Iterator[Check]:
    everything = list(requests)
    kinds: dict[str, int] = {}
    for request in everything:
        if request.error is not None:
            kinds[request.error] = kinds.get(request.error, 0) + 1
    failed = sum(kinds.values())
    if not failed:
        yield Check(id="errors", level="ok", message=f"{arm}: all {len(everything)} requests were answered.")
        return
    listed = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    level: Literal["note", "fail"] = "fail" if failed > FEW * len(everything) else "note"
    message = f"{arm}: {failed} of {len(everything)} requests failed ({listed}); their latencies are missing below."
    yield Check(id="errors", level=level, message=message)


def _cache(recorded: Recorded, arm: str, requests: Iterable[Request]) -> Iterator[Check]:
    policy = recorded.run.design.cache
    known = [request for request in requests if request.cached_tokens is not None and request.prompt_tokens]
    if policy == "as-is":
        return
    if not known:
        yield Check(
            id="cache",
            level="unknown",
            message=f"{arm}: the engine reports no cached tokens, so nobody can tell whether prompts were {policy} "
            "(vLLM: --enable-prompt-tokens-details; SGLang: --enable-cache-report).",
        )
        return
    hits = sum((request.cached_tokens or 0) > max(TEMPLATE, (request.prompt_tokens or 0) // 10) for request in known)
    share = hits / len(known)
    right = share <= FEW if policy == "cold" else share >= 1 - FEW
    message = f"{arm}: {hits} of {len(known)} prompts were found in the prefix cache; they were to be {policy}."
    yield Check(id="cache", level="ok" if right else "fail", message=message)


def _backend(recorded: Recorded, arm: str, requests: Iterable[Request]) -> Iterator[Check]:
    if recorded.run.arm(arm).via != "gateway":
        return
    silent = sum(request.backend is None and request.error is None for request in requests)
    if silent:
        message = f"{arm}: {silent} answers did not name the backend that gave them, so it can't be checked."
        yield Check(id="backend", level="unknown", message=message)
    else:
        yield Check(id="backend", level="ok", message=f"{arm}: every answer names the backend that was asked for.")


def _endings(arm: str, requests: Iterable[Request]) -> Iterator[Check]:
    unmarked = sum(not request.done_marker and request.error is None for request in requests)
    if unmarked:
        yield Check(id="done", level="note", message=f"{arm}: {unmarked} answers ended well, but without [DONE].")


def _tokens(
    recorded: Recorded,
    comparison: Comparison,
    base: dict[tuple[int, int], Request],
    other: dict[tuple[int, int], Request],
) -> Iterator[Check]:
    """The same prompt must be as long for both engines, and so must the answers that are timed."""
    both = [(base[key], other[key]) for key in base.keys() & other.keys()]
    both = [(one, two) for one, two in both if one.error is None and two.error is None]
    sides = f"{comparison.base} and {comparison.other}"
    for what, field in (("prompt", "prompt_tokens"), ("completion", "completion_tokens")):
        counts = [(getattr(one, field), getattr(two, field)) for one, two in both]
        known = [(one, two) for one, two in counts if one is not None and two is not None]
        if not known:
            yield Check(id=f"{what}-tokens", level="unknown", message=f"{sides}: usage does not tell {what} tokens.")
            continue
        unequal = sum(one != two for one, two in known)
        bound = what == "prompt" or recorded.run.design.ignore_eos
        wrong = unequal > FEW * len(known)
        text = f"{sides}: {what} tokens differ in {unequal} of {len(known)} pairs"
        if not wrong:
            yield Check(id=f"{what}-tokens", level="ok", message=f"{text}.")
            continue
        why = {
            "prompt": ": another tokenizer, chat template or model, so the two did different work.",
            "completion": ": the two did different work; compare per token (tpot), or make both honour ignore_eos.",
        }[what]
        yield Check(id=f"{what}-tokens", level="fail" if bound else "note", message=text + why)
