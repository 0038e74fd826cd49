"""What could make a comparison's figures mean something else than they seem to.

A check that fails makes the comparison invalid: exit code 3, and no verdict. What an engine does not report can't be
checked, and that is said: "unknown" is never "ok".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import sub
from typing import Final, Literal

import msgspec

from .design import Comparison
from .looks import LEAST_BLOCKS
from .metrics import BY_KEY, Cell
from .records import Recorded, Request
from .sameness import samenesses
from .stats import quantile

FEW: Final = 0.01
"""Up to this share of failed or unequal requests is tolerated."""

TEMPLATE: Final = 64
"""Tokens that a cold prompt may find in the cache: the chat template, which all prompts begin with."""

MORE: Final = 1.25
"""Times the tokens of a shared prefix may be counted: it was made without a tokenizer."""

TALKATIVE: Final = 2.0
"""How many times as much text as the other an engine may give for as many tokens."""

THIN: Final = 0.25
"""An answer with less than this share of the usual text for its tokens has not all of them."""

SOME: Final = 0.05
"""Up to this share more of an engine's answers than of the other's may be thin: texts differ."""

PER_ANSWER: Final = frozenset({"e2e", "e2e_scheduled", "request_rate", "goodput"})
"""Metrics that are about whole answers, and so mean nothing where answers are of other lengths."""

LATE: Final = 0.005
"""Seconds that a request may leave late: the timer's millisecond, and its turn among those due at the same time."""


READING: Final = 0.03
"""The part of the time to first token that may be the client's own."""

TIMER: Final = 0.001
"""Seconds by which timers are late on an idle machine: they count whole milliseconds."""


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
    checks = [*_blocks(recorded), *_waiting(by_arm), *_reading(recorded, by_arm), *_answers(recorded)]
    for arm, requests in by_arm.items():
        checks += _errors(arm, requests.values())
        checks += _cache(recorded, arm, requests.values())
        checks += _backend(recorded, arm, requests.values())
        checks += _endings(arm, requests.values())
    for comparison in recorded.run.comparisons:
        if comparison.base in by_arm and comparison.other in by_arm:
            checks += _tokens(recorded, comparison, by_arm[comparison.base], by_arm[comparison.other])
            checks += _text(comparison, by_arm[comparison.base].values(), by_arm[comparison.other].values())
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
            "there is no verdict.",
        )
    if recorded.sessions > 1:
        message = f"Measured in {recorded.sessions} sessions; the engines were warmed up again at the start of each."
        yield Check(id="sessions", level="note", message=message)


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


def _reading(recorded: Recorded, by_arm: dict[str, dict[tuple[int, int], Request]]) -> Iterator[Check]:
    """Nor may it read late: that would be counted as the engine's time to the first token.

    The median over the parts: one that was disturbed can't decide a comparison, and doesn't spoil it either.
    """
    late: dict[str, list[float]] = {}
    for part in (part for block in recorded.blocks for part in block.parts):
        for arm in part.arms:
            if part.late is not None:
                late.setdefault(arm, []).append(max(part.late - TIMER, 0.0))
    found = [
        (quantile(late[arm], 0.5), quantile(firsts, 0.5))
        for arm, requests in by_arm.items()
        if arm in late and (firsts := [one.first for one in requests.values() if one.first and one.error is None])
    ]
    if not found:
        yield Check(id="reading", level="unknown", message="Nobody watched whether the client read in time.")
        return
    delay, first = max(found, key=lambda one: one[0] / one[1])
    share = delay / first
    text = (
        f"In half of the parts the client came up to {delay * 1000:.1f} ms late on average, {share:.1%} of the median "
        "time to first token"
    )
    if share <= READING:
        yield Check(id="reading", level="ok", message=f"{text}.")
    else:
        yield Check(
            id="reading",
            level="fail" if share > 10 * FEW else "note",
            message=f"{text}: that much of it may be the client's. Give it a CPU of its own, or ask for less load.",
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
    message = f"{arm}: {failed} of {len(everything)} requests failed ({listed}); each counts as a whole timeout."
    yield Check(id="errors", level=level, message=message)


def _cache(recorded: Recorded, arm: str, requests: Iterable[Request]) -> Iterator[Check]:
    policy = recorded.run.design.cache
    known = [request for request in requests if request.cached_tokens is not None and request.prompt_tokens]
    own = recorded.run.design.workload
    if policy == "as-is" or (own is not None and own.turns > 1):  # a conversation's turns share their beginnings
        return
    if not known:
        yield Check(
            id="cache",
            level="unknown",
            message=f"{arm}: the engine reports no cached tokens, so nobody can tell whether prompts were {policy} "
            "(vLLM: --enable-prompt-tokens-details; SGLang: --enable-cache-report).",
        )
        return
    shared = round(MORE * recorded.run.design.shared_prefix)
    hits = sum(
        (request.cached_tokens or 0) > shared + max(TEMPLATE, (request.prompt_tokens or 0) // 10) for request in known
    )
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
        bound = (
            what == "prompt" or recorded.run.design.ignore_eos or BY_KEY[recorded.run.design.primary].of in PER_ANSWER
        )
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


def _text(comparison: Comparison, base: Iterable[Request], other: Iterable[Request]) -> Iterator[Check]:
    """The tokens that are counted must be there, and be an answer: fast nonsense is not faster."""
    sides = {comparison.base: list(base), comparison.other: list(other)}
    good = {arm: [request for request in requests if request.error is None] for arm, requests in sides.items()}
    counted = all(request.completion_tokens is not None for requests in good.values() for request in requests)
    density = {arm: _characters(requests, per_token=counted) for arm, requests in good.items()}
    known = {arm: figure for arm, figure in density.items() if figure is not None}
    names = " and ".join(sides)
    if len(known) < len(sides):
        yield Check(id="text", level="unknown", message=f"{names}: nobody counted how much text their answers hold.")
    else:
        usual = max(known.values())
        thin = {arm: _thin(requests, THIN * usual, per_token=counted) for arm, requests in good.items()}
        told = ", ".join(f"{arm} {figure:.1f} ({thin[arm]:.0%} thin)" for arm, figure in known.items())
        wrong = usual > TALKATIVE * min(known.values()) or abs(sub(*thin.values())) > SOME
        why = ": one of the two counts tokens that it doesn't send, or answers something else" if wrong else ""
        message = f"{names}: characters of text {'a token' if counted else 'an answer'}: {told}{why}."
        yield Check(id="text", level="fail" if wrong else "ok", message=message)
    shares = {arm: sum(request.repeats for request in found) / max(len(found), 1) for arm, found in good.items()}
    broken = [arm for arm, share in shares.items() if share > FEW]
    if broken:
        told = ", ".join(f"{shares[arm]:.0%} of {arm}'s" for arm in broken)
        message = f"{names}: {told} answers are one piece of text over and over; look at what the model says."
        yield Check(id="repeats", level="fail" if len(broken) == 1 else "note", message=message)


def _thin(requests: Sequence[Request], least: float, *, per_token: bool) -> float:
    """The share of answers with less text than ``least``."""
    return sum((_characters([request], per_token=per_token) or 0) < least for request in requests) / len(requests)


def _answers(recorded: Recorded) -> Iterator[Check]:
    """Whether the engines say the same; differences in the last digits make long answers part, so that is no fault."""
    design = recorded.run.design
    if not design.probes:
        return
    if design.sampling.get("temperature", 0) != 0:
        yield Check(id="answers", level="unknown", message="Answers are sampled, not greedy, and so not compared.")
        return
    for comparison, found in samenesses(recorded):
        sides = f"{comparison.base} and {comparison.other}"
        if not found.count:
            yield Check(id="answers", level="unknown", message=f"{sides}: no answers to compare.")
            continue
        text = f"{sides}: {found.same} of {found.count} answers to the same prompts are alike"
        if found.same == found.count:
            yield Check(id="answers", level="ok", message=f"{text}.")
            continue
        why = "; not one even begins alike: is it the same model and chat template?" if found.strange else ""
        rest = f", the others for about {found.until} characters" if not found.strange else ""
        yield Check(id="answers", level="note", message=f"{text}{rest}{why or '.'}")


def _characters(requests: Sequence[Request], *, per_token: bool) -> float | None:
    """A token's (by the engine's own count), or an answer's; ``None`` where nobody counted."""
    found = [request.characters for request in requests if request.characters is not None]
    units = sum((request.completion_tokens or 0) if per_token else 1 for request in requests)
    return sum(found) / units if len(found) == len(requests) and units else None
