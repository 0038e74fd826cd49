"""Asks engines which models they serve: one ``GET /v1/models`` to each, again and again.

A good answer is kept until a better one comes, with its age. After :data:`FAILURES` failed polls in a row an engine
counts as dead; one good answer brings it back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from .ask import PollError, ask
from .config import Backend, Config
from .models import Answer, Known, Snapshot

FAILURES: Final = 2
JITTER: Final = 0.1
"""Each wait is up to this share shorter or longer, so that routers don't ask in step."""
THREADS: Final = 16
"""Engines asked at the same time."""

_log = logging.getLogger("routegen.poller")


@dataclass(frozen=True, slots=True)
class Polled:
    """What is known of one backend, and how its last poll went."""

    known: Known
    failures: int = 0
    """Failed polls in a row."""
    error: PollError | None = None
    """Why the last poll failed; ``None`` after a good one."""


class Registry:
    """The model registry of one configuration; polls from :meth:`start` to :meth:`stop`.

    Lives on one event loop; :meth:`view` and :attr:`backends` may be read from any thread.
    """

    def __init__(self, config: Config, before: Registry | None, changed: Callable[[], None]) -> None:
        """Prepare, without asking anybody yet.

        :param before: what an earlier configuration's registry knows of backends that haven't changed is kept.
        :param changed: called after each poll.
        """
        self._settings = config.models
        self._changed = changed
        self._tasks: list[asyncio.Task[None]] = []
        self._threads: ThreadPoolExecutor | None = None
        self._complete = asyncio.Event()
        self.backends: Mapping[str, Polled] = {
            backend.name: _carried(backend, before) or Polled(Known(backend)) for backend in config.backends
        }
        self._snapshot = self._look()

    def view(self) -> Snapshot:
        """What is known now."""
        return self._snapshot

    def start(self) -> None:
        """Ask every polled backend at once, and then each at its own times."""
        polled = [entry.known.backend for entry in self.backends.values() if entry.known.backend.poll is not None]
        if not polled:
            return
        self._threads = ThreadPoolExecutor(min(len(polled), THREADS), thread_name_prefix="poller")
        self._tasks = [asyncio.create_task(self._poll(backend, self._threads)) for backend in polled]

    async def heard(self, seconds: float) -> None:
        """Wait until every polled engine has answered once, but no longer than that."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._complete.wait(), seconds)

    async def stop(self) -> None:
        """Stop asking; what is known stays readable."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _poll(self, backend: Backend, threads: ThreadPoolExecutor) -> None:
        assert backend.poll is not None
        loop = asyncio.get_running_loop()
        while True:
            try:
                answer: Answer | PollError = await loop.run_in_executor(
                    threads, ask, backend.poll, self._settings.timeout, backend.key
                )
            except PollError as error:
                answer = error
            self._learn(backend.name, answer)
            wait = self._settings.interval * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - not a secret
            await asyncio.sleep(wait)

    def _learn(self, name: str, answer: Answer | PollError) -> None:
        before = self.backends[name]
        after = _after(before, answer)
        self.backends = {**self.backends, name: after}
        if _changed(before.known, after.known):  # looking through long lists of models holds up decisions
            self._snapshot = self._look()
        _report(before, after)
        owner = after.known.owner
        if owner not in {before.known.owner, name} and owner in self.backends:
            _log.warning(
                "engine tells another backend's name as its owner; the name means that backend alone, set ownedBy",
                extra={"fields": {"backend": name, "told": owner}},
            )
        self._changed()

    def _look(self) -> Snapshot:
        snapshot = Snapshot(entry.known for entry in self.backends.values())
        if snapshot.complete:
            self._complete.set()
        return snapshot


def poll_all(config: Config) -> dict[str, Answer | PollError]:
    """Ask every polled backend once, at the same time; for ``routegen explain``. Takes at most one poll's timeout."""
    polled = [(backend.name, backend.poll, backend.key) for backend in config.backends if backend.poll is not None]
    with ThreadPoolExecutor(max(len(polled), 1)) as threads:
        asked = {name: threads.submit(ask, poll, config.models.timeout, key) for name, poll, key in polled}
    answers: dict[str, Answer | PollError] = {}
    for name, future in asked.items():
        try:
            answers[name] = future.result()
        except PollError as error:
            answers[name] = error
    return answers


def _carried(backend: Backend, before: Registry | None) -> Polled | None:
    entry = before.backends.get(backend.name) if before is not None else None
    return entry if entry is not None and entry.known.backend == backend else None


def _changed(before: Known, after: Known) -> bool:
    """Whether there is more to know than a new time."""

    def facts(known: Known) -> tuple[object, ...]:
        return known.alive, known.answered, known.answer and (known.answer.models, known.answer.owner)

    return facts(before) != facts(after)


def _after(before: Polled, answer: Answer | PollError) -> Polled:
    """What is known after a poll."""
    if isinstance(answer, Answer):
        return Polled(replace(before.known, answer=answer, alive=True))
    failures = before.failures + 1
    alive = before.known.alive and failures < FAILURES
    return Polled(replace(before.known, alive=alive), failures, answer)


def _report(before: Polled, after: Polled) -> None:
    """Log what has changed, and only that."""
    backend, answer = after.known.backend, after.known.answer
    fields: dict[str, object] = {"backend": backend.name}
    if after.error is not None:
        if before.error is None or before.error.kind != after.error.kind:
            _log.warning("poll failed", extra={"fields": {**fields, "error": str(after.error)}})
        if before.known.alive and not after.known.alive:
            _log.warning("engine stopped answering", extra={"fields": {**fields, "failures": after.failures}})
        return
    assert answer is not None
    if before.error is not None or before.known.answer is None:
        _log.info("engine answers", extra={"fields": {**fields, "models": len(answer.models), "owner": answer.owner}})
    told_before = before.known.answer.owner if before.known.answer is not None else None
    if backend.owner and answer.owner and answer.owner not in (backend.owner, told_before):
        _log.warning(
            "engine tells another owner than the configured one, which is used",
            extra={"fields": {**fields, "configured": backend.owner, "told": answer.owner}},
        )
