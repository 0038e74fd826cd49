"""Threads that ask their sources about once a second and append what they say to the run folder."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Protocol, Self

from routegen.bench.records import Clock, Sample, append

PERIOD: Final = 1.0
"""Seconds from one question to the next."""

_PATIENCE: Final = 10.0
"""Seconds that a source may take to finish when sampling ends; its thread is abandoned then."""

Kind = Literal["client", "pod", "node", "gpu", "engine"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source says of one subject: figures, or why there are none."""

    kind: Kind
    subject: str
    values: dict[str, float] = field(default_factory=dict)
    absent: str | None = None


class Source(Protocol):
    """Something that can be asked."""

    def read(self) -> Iterable[Reading]:
        """Its figures now. May take seconds; raises nothing."""


class Sampler:
    """Samples while it is entered."""

    def __init__(self, folder: Path, clock: Clock, sources: Sequence[Source], period: float = PERIOD) -> None:
        self._folder, self._clock, self._period = folder, clock, period
        self._ended, self._writing = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(source,), daemon=True) for source in sources]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(_PATIENCE)

    def _ask(self, source: Source) -> None:
        said: dict[tuple[Kind, str], str | None] = {}
        due = self._clock.now()
        while not self._ended.is_set():
            at = self._clock.now()
            samples = []
            for reading in source.read():
                subject = (reading.kind, reading.subject)
                if reading.absent is None or said.get(subject) != reading.absent:  # a reason is told once
                    samples.append(_sample(at, reading))
                said[subject] = reading.absent
            with self._writing:
                append(self._folder, samples)
            due = max(due + self._period, self._clock.now())
            self._ended.wait(due - self._clock.now())


def _sample(at: float, reading: Reading) -> Sample:
    values = {name: round(value, 6) for name, value in reading.values.items()}
    return Sample(at=round(at, 3), source=reading.kind, subject=reading.subject, values=values, absent=reading.absent)
