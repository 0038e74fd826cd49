"""How one engine is, as far as asking tells, and what each thing learned makes of that. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from .fetch import SURE, PollError
from .models import Answer, Known

FAILURES: Final = 2
"""So many questions in a row without an answer, and an engine counts as dead."""
SILENCES: Final = 3
"""So many connections in a row that nobody took nor refused."""


@dataclass(frozen=True, slots=True)
class Polled:
    """What is known of one backend, and how asking its engine goes."""

    known: Known
    failures: int = 0
    """Questions in a row that an engine which lives would have answered."""
    error: PollError | None = None
    """Why the last question had no good answer; ``None`` after a good one."""
    waiting: bool = False
    """Whether it takes its time for an answer now."""
    shut: PollError | None = None
    """Why it takes no connection; ``None`` where it does."""
    silences: int = 0
    """Connections in a row that came to nothing without being refused."""
    warming: bool = False
    """Whether it is up but can't answer yet, or hasn't said since it came up."""

    stopped: bool = False
    """Whether it had answered before it got into the trouble that keeps requests away."""

    @property
    def trouble(self) -> str | None:
        """What is wrong with it, as one of :data:`~routegen_router.fetch.KINDS`."""
        if self.shut is not None:
            return self.shut.kind
        if self.warming:
            return "warming"
        return self.error.kind if self.error is not None else "timeout" if self.waiting else None

    @property
    def detail(self) -> str | None:
        """What was noticed, in words, where :attr:`trouble` is that of a connection or of the last question."""
        cause = self.shut or self.error
        return str(cause) if cause is not None and cause.kind == self.trouble else None

    def answered(self, answer: Answer) -> Polled:
        """It has told its models."""
        known = replace(self.known, answer=answer, asked=True)
        return _judged(replace(self, known=known, failures=0, error=None, waiting=False))

    def failed(self, error: PollError) -> Polled:
        """It has told nothing of use; it lives nevertheless where ``error`` says so."""
        failures = 0 if error.answers else FAILURES if error.kind in SURE else self.failures + 1
        known = replace(self.known, asked=True)
        after = replace(self, known=known, failures=failures, error=error)
        shut = error if error.kind == "refused" else self.shut
        return _judged(replace(after, waiting=False, shut=shut))

    def slow(self) -> Polled:
        """It hasn't answered yet; that it lives is not in doubt so far."""
        return replace(self, known=replace(self.known, asked=True), waiting=True)

    def warm(self, *, warming: bool) -> Polled:
        """It has said whether it can answer requests."""
        return _judged(replace(self, warming=warming))

    def looked(self, error: PollError | None) -> Polled:
        """Somebody tried to connect; ``error`` says why that failed."""
        if error is None:
            if self.shut is None:
                return replace(self, silences=0)
            return _judged(replace(self, shut=None, silences=0, failures=0, error=None, warming=True))
        silences = 0 if error.kind == "refused" else self.silences + 1
        if error.kind != "refused" and silences < SILENCES:
            return replace(self, silences=silences)
        return _judged(replace(self, shut=error, silences=silences))


def _judged(polled: Polled) -> Polled:
    """The same, with what follows from it: whether the engine gets requests that nobody sent to it by name."""
    alive = polled.shut is None and not polled.warming and polled.failures < FAILURES
    was_well = polled.known.alive and polled.known.answer is not None
    stopped = not alive and (polled.stopped or was_well)
    return replace(polled, known=replace(polled.known, alive=alive), stopped=stopped)
