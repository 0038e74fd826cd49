"""Asks engines which models they serve, again and again, and looks every second whether they are there.

A good answer is kept until a better one comes, with its age. What an engine's silence or refusal means is decided in
:mod:`~routegen_router.condition`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from .ask import ask, is_warming
from .condition import Polled
from .config import Backend, Config, Key, Poll
from .fetch import PollError
from .models import Answer, Known, Snapshot, offered
from .probe import Door

JITTER: Final = 0.1
"""Each wait is up to this share shorter or longer, so that routers don't ask in step."""
THREADS: Final = 64
"""Questions under way at the same time."""
PATIENCE: Final = 10.0
"""Seconds that an answer may take. The configured timeout is how long others wait for it: an engine under load that
takes 3 s for its list of models is slow, not dead."""
RETRY: Final = 5.0
"""Seconds until an engine that didn't answer is asked again, where the interval is longer."""
LOOK: Final = 1.0
"""Seconds between two looks whether an engine takes connections, and between two questions to one that warms up."""

_log = logging.getLogger("routegen.poller")


class Registry:
    """The model registry of one configuration; polls from :meth:`start` to :meth:`stop`.

    Lives on one event loop; :meth:`view` and :attr:`backends` may be read from any thread.
    """

    def __init__(self, config: Config, before: Registry | None, changed: Callable[[], None]) -> None:
        """Prepare, without asking anybody yet.

        :param before: what an earlier configuration's registry knows of backends that haven't changed is kept.
        :param changed: called whenever something was learned.
        """
        self._settings = config.models
        self._changed = changed
        self._tasks: list[asyncio.Task[None]] = []
        self._threads: ThreadPoolExecutor | None = None
        self._asked = asyncio.Event()
        self.backends: Mapping[str, Polled] = {
            backend.name: _carried(backend, before) or Polled(Known(backend, asked=backend.poll is None))
            for backend in config.backends
        }
        self._snapshot = self._look()

    def view(self) -> Snapshot:
        """What is known now."""
        return self._snapshot

    @property
    def asked(self) -> bool:
        """Whether every polled engine was asked: it has answered, or not within the timeout."""
        return self._asked.is_set()

    @property
    def hopeful(self) -> bool:
        """Whether an engine whose models nobody knows may tell them any moment."""
        return any(entry.waiting and not entry.known.answered for entry in self.backends.values())

    def start(self) -> None:
        """Ask every polled backend at once, and then each at its own times."""
        polled = [(entry.known.backend, entry.known.backend.poll) for entry in self.backends.values()]
        places = sum(len(poll.urls) for _, poll in polled if poll is not None)
        if not places:
            return
        self._threads = ThreadPoolExecutor(min(places, THREADS), thread_name_prefix="poller")
        for backend, poll in polled:
            if poll is not None:
                door, came_up = Door(poll.urls), asyncio.Event()
                self._tasks.append(asyncio.create_task(self._poll(backend, poll, door, came_up, self._threads)))
                self._tasks.append(asyncio.create_task(self._watch(backend.name, door, came_up)))

    async def wait_until_asked(self, seconds: float) -> None:
        """Wait until every polled engine was asked, but no longer than that."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._asked.wait(), seconds)

    async def stop(self) -> None:
        """Stop asking; what is known stays readable."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _watch(self, name: str, door: Door, came_up: asyncio.Event) -> None:
        """Look whether the engine takes connections, for as long as it is polled."""
        while True:
            error = await door.look()
            before = self.backends[name]
            self._learn(name, before.looked(error))
            if error is None and before.shut is not None:
                came_up.set()
            await asyncio.sleep(_jittered(LOOK))

    async def _poll(
        self, backend: Backend, poll: Poll, door: Door, came_up: asyncio.Event, threads: ThreadPoolExecutor
    ) -> None:
        """Ask for the models at the configured interval, when the engine comes up, and while it warms up."""
        name = backend.name
        while True:
            question = asyncio.create_task(self._ask(backend, poll, door, threads))
            try:
                done, _ = await asyncio.wait({question}, timeout=self._settings.timeout)
                if not done:
                    self._learn(name, self.backends[name].slow())
                await question
            finally:
                question.cancel()
            now = self.backends[name]
            wait = LOOK if now.warming else RETRY if now.failures else self._settings.interval
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(came_up.wait(), _jittered(min(wait, self._settings.interval)))
            came_up.clear()

    async def _ask(self, backend: Backend, poll: Poll, door: Door, threads: ThreadPoolExecutor) -> None:
        """Ask one question and learn from the answer."""
        loop, timeout, name = asyncio.get_running_loop(), self._settings.timeout, backend.name
        before = self.backends[name]
        warming = before.warming
        if warming or not before.known.asked:
            await door.look()  # whom to ask, where an engine has several addresses
            warming = await loop.run_in_executor(threads, is_warming, door.urls()[0], poll, backend.key, timeout)
        answer = await self._first_answer(backend.key, poll, door.urls(), threads)
        answer = offered(answer, backend) if isinstance(answer, Answer) else answer
        now = self.backends[name]
        now = now.answered(answer) if isinstance(answer, Answer) else now.failed(answer)
        # Where nobody listens, nothing was said of warmth.
        self._learn(name, now if now.shut is not None else now.warm(warming=warming))

    async def _first_answer(
        self, key: Key | None, poll: Poll, urls: list[str], threads: ThreadPoolExecutor
    ) -> Answer | PollError:
        """Ask one address after the other, the next where one fails or takes longer than the timeout."""
        loop, timeout = asyncio.get_running_loop(), self._settings.timeout
        waiting: set[asyncio.Future[Answer | PollError]] = set()
        failure: PollError | None = None
        while urls or waiting:
            if urls:
                url = urls.pop(0)
                waiting.add(loop.run_in_executor(threads, _patiently, url, poll, key, timeout))
            done, waiting = await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            for answer in (question.result() for question in done):
                if isinstance(answer, Answer):
                    return answer
                failure = _telling(failure, answer)
        assert failure is not None  # every question ends in an answer or a failure
        return failure

    def _learn(self, name: str, after: Polled) -> None:
        before = self.backends[name]
        if after == before:
            return
        self.backends = {**self.backends, name: after}
        if _differ(before.known, after.known):  # looking through long lists of models holds up decisions
            self._snapshot = self._look()
        report(before, after, self.backends)
        self._changed()

    def _look(self) -> Snapshot:
        if all(entry.known.asked for entry in self.backends.values()):
            self._asked.set()
        return Snapshot(entry.known for entry in self.backends.values())


def poll_all(config: Config) -> dict[str, Answer | PollError]:
    """Ask every polled backend once, at the same time; for ``routegen explain``.

    Takes at most the poll's timeout, for each address of a backend that doesn't answer.
    """
    polled = [(backend.name, backend.poll, backend.key) for backend in config.backends if backend.poll is not None]
    with ThreadPoolExecutor(max(len(polled), 1)) as threads:
        asked = {name: threads.submit(_one_by_one, poll, key, config.models.timeout) for name, poll, key in polled}
    told = {name: future.result() for name, future in asked.items()}
    return {
        backend.name: offered(answer, backend) if isinstance(answer, Answer) else answer
        for backend in config.backends
        if (answer := told.get(backend.name)) is not None
    }


def _one_by_one(poll: Poll, key: Key | None, timeout: float) -> Answer | PollError:
    failure: PollError | None = None
    for url in poll.urls:
        answer = ask(url, poll, key, connect=timeout, patience=timeout)
        if isinstance(answer, Answer):
            return answer
        failure = _telling(failure, answer)
    assert failure is not None  # config.py sees to it that there is an address
    return failure


def _patiently(url: str, poll: Poll, key: Key | None, timeout: float) -> Answer | PollError:
    return ask(url, poll, key, connect=timeout, patience=max(timeout, PATIENCE))


def _telling(one: PollError | None, other: PollError) -> PollError:
    """Of two addresses' failures the one that says more of the engine: that it lives, or at least isn't refused."""
    if one is None or (other.answers and not one.answers):
        return other
    return other if one.kind == "refused" else one


def _carried(backend: Backend, before: Registry | None) -> Polled | None:
    entry = before.backends.get(backend.name) if before is not None else None
    return entry if entry is not None and entry.known.backend == backend else None


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - not a secret


def _differ(before: Known, after: Known) -> bool:
    """Whether there is more to know than a new time."""

    def facts(known: Known) -> tuple[object, ...]:
        answer = known.answer
        return known.alive, known.asked, answer and (answer.models, answer.owner, answer.cards)

    return facts(before) != facts(after)


def report(before: Polled, after: Polled, backends: Mapping[str, Polled]) -> None:
    """Log what has changed of one engine, and only that."""
    backend, answer = after.known.backend, after.known.answer
    fields: dict[str, object] = {"backend": backend.name}
    if after.error is not None and (before.error is None or before.error.kind != after.error.kind):
        _log.warning("poll failed", extra={"fields": {**fields, "kind": after.error.kind, "error": str(after.error)}})
    if after.trouble != before.trouble and after.trouble == "warming":
        _log.info("engine is up and warming up", extra={"fields": fields})
    if after.stopped and not before.stopped:
        why = {"trouble": after.trouble, "failures": after.failures}
        _log.warning("engine stopped answering", extra={"fields": {**fields, **why}})
    if before.stopped and not after.stopped:
        _log.info("engine is back", extra={"fields": fields})
    if answer is None or answer is before.known.answer:
        return
    told_before = before.known.answer.owner if before.known.answer is not None else None
    if before.error is not None or before.known.answer is None:
        _log.info("engine answers", extra={"fields": {**fields, "models": len(answer.models), "owner": answer.owner}})
    if backend.owner and answer.owner and answer.owner not in (backend.owner, told_before):
        _log.warning(
            "engine tells another owner than the configured one, which is used",
            extra={"fields": {**fields, "configured": backend.owner, "told": answer.owner}},
        )
    owner = after.known.owner
    if owner not in {before.known.owner, backend.name} and owner in backends:
        _log.warning(
            "engine tells another backend's name as its owner; the name means that backend alone, set ownedBy",
            extra={"fields": {**fields, "told": owner}},
        )
