"""What is measured: every metric's formula, once. docs/bench.md names them by the ids given here.

Names clash between tools ("ITL" is three different things), so a figure of this bench always carries its formula's
id. A metric is one of two kinds: a figure of every request (or of every chunk), whose block value is its median, or
one figure of an arm's whole part of a block. A failed request has no latency of its own: to leave it out would make the
engine that fails look faster, so it counts as one that took the whole timeout.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Literal

from .design import Load, Slo
from .records import Request
from .stats import median, needed, quantile

STEADY: Final = 4
"""Requests a worker of a closed loop sends at least, for a steady state between its first and its last."""

_HALF: Final = 0.5
"""The share of values below the median."""

_NO_LATENCY: Final = frozenset({"chunk_gap", "wait"})
"""Metrics of single requests in which a failure is no worst case: pieces of an answer, and the client's own."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The requests of one arm in one block; its window is from the first sending to the last answer's end."""

    arm: str
    block: int
    requests: tuple[Request, ...]
    slo: Slo
    timeout: float = math.inf
    """Seconds; what a failed request counts as."""
    load: Load | None = None
    """How its requests arrived."""

    @property
    def good(self) -> tuple[Request, ...]:
        """The requests that were answered in full."""
        return tuple(request for request in self.requests if request.error is None)

    @property
    def seconds(self) -> float:
        """The window's length."""
        return max(map(_ended, self.requests)) - min(request.sent for request in self.requests)


@dataclass(frozen=True, slots=True)
class Metric:
    """One formula."""

    id: str
    key: str
    """As in ``--primary`` and the JSON report."""
    title: str
    unit: Literal["s", "1/s", "tokens/s", "share"]
    better: Literal["lower", "higher"]
    formula: str
    each: Callable[[Request], Sequence[float]] | None = None
    """The figures of one request."""
    whole: Callable[[Cell], float | None] | None = None
    """The figure of a cell."""
    share: float = 0.5
    """Of a block's requests that lie below its figure: the median, or a tail."""

    @property
    def of(self) -> str:
        """The key of the metric whose tail this is, or its own."""
        return self.key if self.share == _HALF else self.key.rpartition("_")[0]

    @property
    def needs(self) -> int:
        """The least number of requests in a block that say anything about its figure."""
        return needed(self.share) if self.of != self.key else 1

    def values(self, cell: Cell) -> list[float]:
        """The cell's figures: one a request (or a chunk), or the single one of the whole cell."""
        if self.each is not None:
            return [value for request in cell.good for value in self.each(request)]
        assert self.whole is not None  # a metric has one of the two
        value = self.whole(cell) if cell.requests else None
        return [] if value is None else [value]

    def outcomes(self, cell: Cell) -> list[float]:
        """As :meth:`values`, and the timeout for each request that failed, where that is a latency."""
        values = self.values(cell)
        if self.each is None or self.key in _NO_LATENCY or (cell.good and not values):
            return values
        return values + [cell.timeout] * (len(cell.requests) - len(cell.good))

    def block(self, cell: Cell) -> float | None:
        """The cell's one figure that is compared between arms; ``None`` where it has none."""
        values = self.outcomes(cell)
        return quantile(values, self.share) if len(values) >= self.needs else None


def by_prompt(metric: Metric, base: Cell, other: Cell) -> float | None:
    """The median, over the prompts of a block, of one arm's figure divided by the other's.

    Both arms get the same prompts, which may differ among themselves much more than the arms do. A failed request
    counts as the timeout here too.

    :returns: ``None`` where a request has no figure of its own, or several; for tails, which are no medians; and where
        a figure is 0.
    """
    if metric.each is None or metric.share != _HALF or metric.key in _NO_LATENCY:
        return None
    ones, twos = _of_prompts(metric, base), _of_prompts(metric, other)
    both = [(ones[prompt], twos[prompt]) for prompt in ones.keys() & twos.keys()]
    if not both or min(map(min, both)) <= 0:
        return None
    return math.exp(median([math.log(two / one) for one, two in both]))


def _of_prompts(metric: Metric, cell: Cell) -> dict[int, float]:
    assert metric.each is not None
    found = {}
    for request in cell.requests:
        values = metric.each(request) if request.error is None else (cell.timeout,)
        if values:
            found[request.prompt] = values[0]
    return found


def _ttft(request: Request) -> Sequence[float]:
    return () if request.first is None else (request.first,)


def _ttft_content(request: Request) -> Sequence[float]:
    return () if request.first_content is None else (request.first_content,)


def _e2e(request: Request) -> Sequence[float]:
    return request.chunks[-1:]


def _e2e_scheduled(request: Request) -> Sequence[float]:
    return [request.sent - request.scheduled + value for value in request.chunks[-1:]]


def _wait(request: Request) -> Sequence[float]:
    return (request.sent - request.scheduled,)


def _tpot(request: Request) -> Sequence[float]:
    if request.first is None or request.completion_tokens is None or request.completion_tokens < 2:  # noqa: PLR2004
        return ()
    return [(end - request.first) / (request.completion_tokens - 1) for end in request.chunks[-1:]]


def _gaps(request: Request) -> Sequence[float]:
    return [later - earlier for earlier, later in pairwise(request.chunks)]


def _longest_gap(request: Request) -> Sequence[float]:
    gaps = _gaps(request)
    return (max(gaps),) if gaps else ()


def _request_rate(cell: Cell) -> float | None:
    return len(cell.good) / cell.seconds if cell.good else 0.0


def _token_rate(cell: Cell) -> float | None:
    counted = [request.completion_tokens for request in cell.good]
    return None if None in counted else sum(count or 0 for count in counted) / cell.seconds


def _steady_token_rate(cell: Cell) -> float | None:
    """Tokens that arrived between the first answer's end and the last sending, while all workers are busy.

    An answer's tokens are spread evenly over its chunks. None where there is no steady state to speak of: fewer than
    :data:`STEADY` requests a worker, or, in an open loop, less time than two answers take.
    """
    if cell.load is not None and steady_needs(cell.load) > len(cell.requests):
        return None
    start = min(map(_ended, cell.requests))
    until = max(request.sent for request in cell.requests)
    usual = median([_ended(request) - request.sent for request in cell.requests])
    if until <= start or any(request.completion_tokens is None for request in cell.good):
        return None
    if cell.load is not None and cell.load.concurrency is None and until - start < 2 * usual:
        return None
    tokens = 0.0
    for request in cell.good:
        arrived = sum(start < request.sent + chunk <= until for chunk in request.chunks)
        tokens += (request.completion_tokens or 0) * arrived / max(len(request.chunks), 1)
    return tokens / (until - start)


def steady_needs(load: Load) -> int:
    """The least number of requests in a block for M11: with fewer its window is a rest of milliseconds."""
    return STEADY * (load.concurrency or 0)


def _goodput(cell: Cell) -> float | None:
    if cell.slo == Slo():
        return None
    return sum(meets(request, cell.slo) for request in cell.good) / cell.seconds


def _errors(cell: Cell) -> float | None:
    return 1 - len(cell.good) / len(cell.requests)


def meets(request: Request, slo: Slo) -> bool:
    """Whether an answered request kept every limit of ``slo``; one token has no TPOT and keeps any (DistServe)."""
    pairs = ((slo.ttft, _ttft), (slo.tpot, _tpot), (slo.e2e, _e2e))
    return all(value <= limit for limit, figure in pairs if limit is not None for value in figure(request))


def _ended(request: Request) -> float:
    return request.sent + max(request.end or 0.0, *request.chunks[-1:], 0.0)


METRICS: Final = tuple(
    Metric(*fields)
    for fields in (
        ("M01", "ttft", "Time to first token", "s", "lower", "first text, reasoning included, - sent", _ttft),
        (
            "M02",
            "ttft_content",
            "Time to first content",
            "s",
            "lower",
            "first text not reasoning - sent",
            _ttft_content,
        ),
        ("M03", "tpot", "Time per output token", "s", "lower", "(M05 - M01) / (completion tokens - 1)", _tpot),
        ("M04", "chunk_gap", "Gap between chunks", "s", "lower", "chunk - the chunk before; all chunks pooled", _gaps),
        ("M05", "e2e", "End to end", "s", "lower", "last text - sent", _e2e),
        ("M06", "e2e_scheduled", "End to end from due time", "s", "lower", "last text - scheduled", _e2e_scheduled),
        ("M07", "wait", "Waiting in the client", "s", "lower", "sent - scheduled", _wait),
        ("M08", "longest_gap", "Longest gap of an answer", "s", "lower", "max of a request's M04", _longest_gap),
        ("M09", "request_rate", "Requests", "1/s", "higher", "answered requests / window", None, _request_rate),
        ("M10", "token_rate", "Output tokens", "tokens/s", "higher", "completion tokens / window", None, _token_rate),
        (
            "M11",
            "steady_token_rate",
            "Output tokens, steady",
            "tokens/s",
            "higher",
            "tokens between the first answer's end and the last sending / that time",
            None,
            _steady_token_rate,
        ),
        ("M12", "goodput", "Goodput", "1/s", "higher", "answers that keep every limit / window", None, _goodput),
        ("M13", "errors", "Failed requests", "share", "lower", "failed / sent", None, _errors),
    )
)
"""Every metric, in the order in which reports show them."""

TAILS: Final = tuple(
    replace(
        metric,
        id=f"{metric.id}p{percent}",
        key=f"{metric.key}_p{percent}",
        title=f"{metric.title}, p{percent}",
        formula=f"p{percent} of a block's {metric.id}",
        share=percent / 100,
    )
    for metric in METRICS
    if metric.key in {"ttft", "tpot", "e2e", "e2e_scheduled", "longest_gap"}
    for percent in (95, 99)
)
"""What can be primary beside :data:`COMPARED`; shown only where it is."""

BY_KEY: Final = {metric.key: metric for metric in (*METRICS, *TAILS)}

COMPARED: Final = ("e2e", "ttft", "tpot", "longest_gap", "request_rate", "token_rate", "steady_token_rate", "goodput")
"""The metrics that get a verdict. Not M04: engines put different numbers of tokens into a chunk. Not M02, M06 and M07,
which are there to be looked at beside M01 and M05; not M13, whose differences make a comparison invalid instead."""
