"""What a mock engine is told to do: which models, how fast, how wrong."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, Self, get_args

FaultKind = Literal["status", "reset", "no-done", "hang"]
FAULTS: Final[tuple[FaultKind, ...]] = get_args(FaultKind)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail every generation."""

    kind: FaultKind
    """``status``: an error answer; ``reset``: the connection is cut (RST) half-way through the answer; ``no-done``: a
    stream ends without its ``[DONE]``; ``hang``: nothing is answered until the client gives up."""
    status: int = 503

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``reset``, ``no-done``, ``hang``, ``status`` or ``status:429``.

        :raises ValueError: it is none of these.
        """
        kind, _, status = text.partition(":")
        for known in FAULTS:
            if kind == known and (not status or kind == "status"):
                return cls(known, int(status or 503))
        raise ValueError(f"unknown fault {text!r}; known: {', '.join(FAULTS)}, status:CODE")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a mock engine acts; may be exchanged while it runs and then holds for the requests that follow.

    Times are seconds. The first token of an answer is due ``ttft`` after the request's headers arrived (or after there
    was a place for it), each one after it ``tpot`` later.
    """

    models: tuple[str, ...] = ("mock-model",)
    """Ids, and globs (``llama-8b-*``) for models that are served but not listed; at least one id."""
    max_model_len: int = 32768
    """What it says of each model; it doesn't refuse longer ones."""
    ttft: float = 0.0
    tpot: float = 0.0
    jitter: float = 0.0
    """Standard deviation of each wait as a share of it (0.1: 10 %), normally distributed around what was told."""
    seed: int = 0
    """Equal seeds give equal waits, request by request."""
    slots: int | None = None
    """Answers that are generated at the same time; more wait for a place, as in an engine whose batch is full.
    Fixed when the engine is made."""
    answer_tokens: int = 16
    """An answer's length where the request doesn't limit it, or lets the engine stop (``ignore_eos`` absent)."""
    report_cached_tokens: bool = True
    """Whether ``usage.prompt_tokens_details.cached_tokens`` is given."""
    fault: Fault | None = None

    def deadlines(self, start: float, request: int, tokens: int) -> Iterator[float]:
        """When each token of the ``request``-th generation is due, on the clock of ``start``."""
        draw = random.Random(f"{self.seed}:{request}")  # noqa: S311 - latencies, no secrets
        due = start
        for index in range(tokens):
            wait = self.tpot if index else self.ttft
            due += max(0.0, draw.gauss(wait, wait * self.jitter)) if self.jitter else wait
            yield due


async def until(deadline: float) -> None:
    """Sleep until :func:`time.perf_counter` shows ``deadline``.

    Deadlines are absolute, so what the event loop's timer is late (about half a millisecond on uvloop, more than one on
    asyncio's own loop) never adds up over a stream.
    """
    left = deadline - time.perf_counter()
    if left > 0:
        await asyncio.sleep(left)
