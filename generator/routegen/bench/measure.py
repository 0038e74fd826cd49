"""The measuring process: ``python -m routegen.bench.measure RUN`` sends what the run folder's design says.

It reads run.json, appends records, prints :mod:`~routegen.bench.progress` events and does nothing else. It ends when
its standard input is closed, so it never outlives the command that started it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import uvloop

from routegen.common.problems import UserError

from . import credentials, jobs
from .client import Client, Job
from .design import Run
from .lateness import watched
from .progress import GO_ON, Answered, Event, Finished, Looking, Started, Warming, encode
from .records import PROBE, WARMUP, Block, Clock, Part, Recorded, Request, append, read
from .schedule import Slot, arrivals, order
from .workload import read as read_workload

Emit = Callable[[Event], None]


async def _always() -> bool:
    return True


async def measure(
    folder: Path,
    emit: Emit,
    environment: Mapping[str, str] = os.environ,
    go_on: Callable[[], Awaitable[bool]] = _always,
) -> None:
    """Measure every block that ``folder`` still lacks.

    :param go_on: whether to, asked at each planned look but the last.
    :raises UserError: an API key can't be read, or an arm answers nothing.
    """
    recorded = read(folder)
    todo = [block for block in range(recorded.run.design.blocks) if block not in recorded.done]
    if not todo:
        return
    async with _session(folder, recorded, emit, environment) as session:
        for slot in recorded.run.slots:
            emit(Warming(slot))
            await session.part(WARMUP, slot)
        for slot in recorded.run.slots if recorded.run.design.probes else ():
            await session.part(PROBE, slot)
        for block in todo:
            parts = []
            for slot in order(recorded.run.slots, seed=recorded.run.design.seed, block=block):
                emit(Started(block, slot))
                parts.append(await session.part(block, slot))
            append(folder, [Block(session=session.number, block=block, parts=tuple(parts))])
            emit(Finished(block))
            if block + 1 in recorded.run.design.looks[:-1]:
                emit(Looking(block + 1))
                if not await go_on():
                    return


@asynccontextmanager
async def _session(
    folder: Path, recorded: Recorded, emit: Emit, environment: Mapping[str, str]
) -> AsyncIterator[_Session]:
    run, clock = recorded.run, Clock(recorded.run.started_at)
    headers = {arm.name: credentials.to_arm(arm, run.api_key_env, environment) for arm in run.arms}
    async with AsyncExitStack() as stack:
        clients = {
            arm.name: await stack.enter_async_context(
                Client(arm, run.design, clock, recorded.sessions, headers[arm.name])
            )
            for arm in run.arms
        }
        yield _Session(folder, run, clock, recorded.sessions, clients, emit)


class _Session:
    """One start of the measuring process."""

    def __init__(
        self, folder: Path, run: Run, clock: Clock, number: int, clients: Mapping[str, Client], emit: Emit
    ) -> None:
        self.folder, self.run, self.clock, self.number = folder, run, clock, number
        self.clients, self.emit = clients, emit
        workload = run.design.workload
        self.own = () if workload is None else read_workload(Path(workload.path), workload)[1]
        self._key = secrets.token_bytes(16)

    async def part(self, block: int, slot: Slot) -> Part:
        """Load the slot's arms at the same time; their requests are on disk when it returns.

        :raises UserError: an arm answered nothing at all.
        """
        groups = {
            arm: jobs.make(self.run, arm, block, session=self.number, key=self._key, own=self.own) for arm in slot
        }
        with _no_collector():
            async with watched(self.clock.now) as late:
                started = self.clock.now()
                answers = await asyncio.gather(*(self._drive(arm, block, groups[arm], started) for arm in slot))
                ended = self.clock.now()
        append(self.folder, [request for requests in answers for request in requests])
        for arm, requests in zip(slot, answers, strict=True):
            _require_an_answer(arm, requests, self.clients[arm].complaint)
        return Part(arms=slot, started=round(started, 6), ended=round(ended, 6), late=round(late.mean, 6))

    async def _drive(self, arm: str, block: int, groups: Sequence[jobs.Group], started: float) -> list[Request]:
        load, client = self.run.design.load, self.clients[arm]
        if block == PROBE:  # one at a time: an engine's answer may depend on what it computes beside it
            return await self._closed(client, groups, 1, 0.0, started)
        if load.concurrency is not None:
            return await self._closed(client, groups, load.concurrency, load.ramp, started)
        singles = [job for group in groups for job in group]
        due = arrivals(self.run.design, block, len(singles)) if load.rate else jobs.due(self.run, block, self.own)
        return await self._open(client, singles, due, started)

    async def _closed(
        self, client: Client, groups: Sequence[jobs.Group], concurrency: int, ramp: float, started: float
    ) -> list[Request]:
        """Keep ``concurrency`` requests in flight: a worker sends its next when its last has ended."""
        waiting, found = iter(groups), list[Request]()

        async def work(number: int) -> None:
            free = started + ramp * number / concurrency
            await asyncio.sleep(free - self.clock.now())
            for group in waiting:
                for job in group:
                    request = await client.send(job, free)
                    free = self.clock.now()
                    found.append(self._told(request))

        await asyncio.gather(*(work(number) for number in range(min(concurrency, len(groups)))))
        return found

    async def _open(
        self, client: Client, singles: Sequence[Job], due: Sequence[float], started: float
    ) -> list[Request]:
        """Send each request when it is due, however many are still unanswered."""

        async def send(job: Job, at: float) -> Request:
            return self._told(await client.send(job, at))

        tasks = []
        async with asyncio.TaskGroup() as group:
            for job, offset in zip(singles, due, strict=True):
                at = started + offset
                await asyncio.sleep(at - self.clock.now())
                tasks.append(group.create_task(send(job, at)))
        return [task.result() for task in tasks]

    def _told(self, request: Request) -> Request:
        last = request.chunks[-1] if request.chunks else None
        self.emit(Answered(request.arm, request.first, last, request.completion_tokens, request.error))
        return request


@contextmanager
def _no_collector() -> Iterator[None]:
    """Collect garbage before measuring, not while: a collection stops the clock's owner for milliseconds."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _require_an_answer(arm: str, requests: Sequence[Request], complaint: str | None) -> None:
    if requests and all(request.error is not None for request in requests):
        why = requests[0].detail or requests[0].error
        words = f'; it says: "{complaint}"' if complaint and requests[0].error == "status" else ""
        raise UserError(f"{arm}: none of {len(requests)} requests was answered: {why}{words}")


async def _until_abandoned(folder: Path) -> None:
    """Measure, and stop at once when the parent goes."""
    loop = asyncio.get_running_loop()
    told = asyncio.Queue[bytes]()

    async def go_on() -> bool:
        return await told.get() == GO_ON

    work = asyncio.ensure_future(measure(folder, _print, go_on=go_on))
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C is the parent's to handle
    loop.add_signal_handler(signal.SIGTERM, work.cancel)

    def heard() -> None:
        if words := os.read(sys.stdin.fileno(), 64):
            told.put_nowait(words)
        else:  # closed: whoever started this has gone
            loop.remove_reader(sys.stdin.fileno())
            work.cancel()

    loop.add_reader(sys.stdin.fileno(), heard)
    await work


def _print(event: Event) -> None:
    sys.stdout.buffer.write(encode(event) + b"\n")
    sys.stdout.buffer.flush()


def main(folder: str) -> int:
    """Measure; 1 and a sentence on stderr where something stands in the way, 130 where it was told to stop."""
    try:
        uvloop.run(_until_abandoned(Path(folder)))
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    except (asyncio.CancelledError, BrokenPipeError):
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
