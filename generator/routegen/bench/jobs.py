"""What is sent in a part: the requests' bodies, made beforehand, and which of them follow each other. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from .client import Job, body
from .design import Run
from .prompts import opening, prompt
from .records import PROBE, WARMUP
from .workload import Conversation, Prompt

Group = Sequence[Job]
"""Jobs that follow each other, each sent when the last was answered."""


def make(
    run: Run, arm: str, block: int, *, session: int, key: bytes, own: Sequence[Conversation] = ()
) -> list[list[Job]]:
    """An arm's groups in a block.

    :param key: what the marks of probes are made with.
    :param own: the conversations of the run's own file, where it has one.
    """
    design = run.design
    who = f"{run.id} {session} {arm}"
    numbers = count()
    mark = key if block == PROBE else None
    return [
        [Job(block, next(numbers), body(run.arm(arm), design, turn, tokens), mark, tokens) for turn in turns]
        for turns, tokens in (_own(run, block, who, own) if own and block != PROBE else _made_up(run, block, who))
    ]


def _made_up(run: Run, block: int, who: str) -> Iterator[tuple[Sequence[Prompt], int | None]]:
    design = run.design
    warm = design.cache == "warm" and block != PROBE
    for number in range({WARMUP: design.warmup, PROBE: design.probes}.get(block, design.requests)):
        text = prompt(
            seed=design.seed,
            tokens=design.input_tokens,
            cache="as-is" if block == PROBE else design.cache,
            block=block,
            number=number % design.requests if warm else number,
            nonce=who,
            shared=0 if block == PROBE else design.shared_prefix,
        )
        yield [text], None


def _own(run: Run, block: int, who: str, own: Sequence[Conversation]) -> Iterator[tuple[Sequence[Prompt], int | None]]:
    design = run.design
    size = design.warmup if block == WARMUP else design.requests
    first = 0 if design.cache == "warm" else (design.blocks if block == WARMUP else block) * design.requests
    for number in range(first, first + size):
        place = number % (design.requests if design.cache == "warm" else len(own))
        conversation = own[place % len(own)]
        turns = conversation.turns
        if design.cache == "cold":
            words = opening(f"{design.seed} {who} {block} {number}")
            turns = tuple(_after(words, turn) for turn in turns)
        yield turns, conversation.tokens


def _after(words: str, turn: Prompt) -> Prompt:
    """The prompt with ``words`` before its first text, so that no cache knows its beginning."""
    if isinstance(turn, str):
        return f"{words}\n\n{turn}"
    first: dict[str, Any] = turn[0]
    content = first["content"]
    if isinstance(content, str):
        return [{**first, "content": f"{words}\n\n{content}"}, *turn[1:]]
    return [{**first, "content": [{"type": "text", "text": words}, *(content or ())]}, *turn[1:]]


def due(run: Run, block: int, own: Sequence[Conversation]) -> tuple[float, ...]:
    """When each request of a block is due by the file's own times, in seconds from the part's start."""
    size = run.design.warmup if block == WARMUP else run.design.requests
    first = (run.design.blocks if block == WARMUP else block) * run.design.requests
    times = [own[number % len(own)].at or 0.0 for number in range(first, first + size)]
    return tuple(max(at - times[0], 0.0) for at in times)
