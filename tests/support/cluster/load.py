"""A small steady load, and what became of each request."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from support.gateway import Reply

WORKERS: Final = 4
PAUSE: Final = 0.1


@dataclass
class Outcomes:
    """Counts by status; 0: no answer."""

    statuses: Counter[int] = field(default_factory=Counter)
    trouble: list[str] = field(default_factory=list)
    """What was wrong with those that weren't 200, and when."""

    @property
    def total(self) -> int:
        """How many."""
        return sum(self.statuses.values())


@contextmanager
def load(send: Callable[[int], Reply]) -> Iterator[Outcomes]:
    """Call ``send`` from four threads, ten times a second each at most, until the block ends."""
    outcomes, ended, lock = Outcomes(), threading.Event(), threading.Lock()
    began = time.monotonic()

    def work(number: int) -> None:
        while not ended.wait(PAUSE):
            number += WORKERS
            try:
                reply = send(number)
                status, said = reply.status, f"{reply.status} {reply.body[:120]!r}"
            except OSError as error:
                status, said = 0, repr(error)
            with lock:
                outcomes.statuses[status] += 1
                if status != 200:
                    outcomes.trouble.append(f"{time.monotonic() - began:.1f} s: {said}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(WORKERS)]
    for thread in threads:
        thread.start()
    try:
        yield outcomes
    finally:
        ended.set()
        for thread in threads:
            thread.join()
