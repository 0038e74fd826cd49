"""Several processes that decide, kept alive by this one, which neither decides nor knows gRPC.

Each listens on addresses of its own, so that the gateway spreads streams over them: one port that all share would give
nearly all streams to one of them, as a gateway opens few connections. They are started as programs, not forked: gRPC
doesn't survive a fork.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

import msgspec

from . import addresses, channel, logs, tallies
from .addresses import StartError
from .channel import Begin, Counted, End, Failed, Learn, Listening, Serve, Told, Use, Using
from .live import InForce
from .tallies import Family

STEADY: Final = 10.0
"""Seconds that a worker must have lived for the next one to be begun at once."""
FIRST, LONGEST = 0.5, 10.0
"""Seconds until another is begun in place of one that didn't live as long: doubled each time, up to the second."""
STARTING: Final = 60.0
"""Seconds that a worker may take until it listens."""
TAKING: Final = 5.0
"""Seconds that a reload waits for a worker that doesn't say that it has taken it."""
ENDING: Final = 8.0
"""Seconds from the end's beginning until a worker that still runs is ended: its streams get five of them."""
CALM: Final = 0.02
"""Seconds that news of engines wait for more."""

_log = logging.getLogger("routegen.server")


class Workers:
    """A :class:`~routegen_router.crew.Crew` of several."""

    def __init__(
        self,
        listen: tuple[str, ...],
        socket_mode: int,
        count: int,
        max_body_bytes: int,
        log_level: str,
        log_format: logs.Format,
    ) -> None:
        """Prepare.

        :raises StartError: two of them would listen on the same address, or one on none.
        """
        self.size, self.begun_anew = count, 0
        own = [tuple(addresses.of_worker(address, index) for address in listen) for index in range(count)]
        _check_twins([address for each in own for address in each])
        self._begin = [
            Begin(index + 1, count, each, socket_mode, max_body_bytes, log_level, log_format)
            for index, each in enumerate(own)
        ]
        self._now: InForce | None = None
        self._turn = 0
        self._serving = False
        self._there: dict[int, _Worker] = {}
        self._past: list[Family] = []
        self._news: asyncio.TimerHandle | None = None

    async def start(self, now: InForce) -> list[str]:
        """Begin all of them.

        :raises StartError: one can't listen, or ended before it did.
        """
        self._now = now
        results = await asyncio.gather(*(self._bring(index) for index in range(self.size)), return_exceptions=True)
        if troubles := [result for result in results if isinstance(result, BaseException)]:
            await self.stop()
            raise troubles[0]
        # One that is begun anew listens where the gateway knows its address, whichever port was free.
        self._begin = [
            msgspec.structs.replace(begin, listen=self._there[index].listening)
            for index, begin in enumerate(self._begin)
        ]
        return [address for begin in self._begin for address in begin.listen]

    async def use(self, now: InForce) -> None:
        """Decide by this."""
        self._now = now
        self._turn += 1
        there = tuple(self._there.values())
        for worker in there:
            worker.write(self._use())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TAKING):
                await asyncio.gather(*(worker.has_taken(self._turn) for worker in there))

    def learned(self) -> None:
        """Tell it, together with what comes next."""
        if self._news is None and self._there:
            self._news = asyncio.get_running_loop().call_later(CALM, self._tell)

    def serve(self, *, serving: bool) -> None:
        """Tell gateways."""
        self._serving = serving
        self._tell()
        for worker in self._there.values():
            worker.write(Serve(serving))

    def taking(self) -> int:
        """Those that listen."""
        return len(self._there)

    def counted(self) -> list[list[Family]]:
        """What they have counted, and what those did that have ended."""
        return [self._past, *(worker.families for worker in tuple(self._there.values()))]

    async def run(self) -> None:
        """Begin another in place of each that ends."""
        async with asyncio.TaskGroup() as tasks:
            for index in range(self.size):
                tasks.create_task(self._keep(index))

    async def stop(self) -> None:
        """Let all finish what is under way, and end them."""
        there = tuple(self._there.values())
        for worker in there:
            worker.write(End())
        await asyncio.gather(*(worker.ended(ENDING) for worker in there))
        for index in tuple(self._there):
            self._bury(index)

    async def _keep(self, index: int) -> None:
        wait = 0.0
        while True:
            worker = self._there[index]
            how = await worker.gone()
            self._bury(index)
            lived = time.monotonic() - worker.since
            wait = 0.0 if lived > STEADY else min(max(wait * 2, FIRST), LONGEST)
            _log.error("a worker has ended", extra={"fields": {"number": index + 1, "how": how, "again_in": wait}})
            while True:
                await asyncio.sleep(wait)
                try:
                    await self._bring(index)
                    break
                except StartError as error:
                    wait = min(max(wait * 2, FIRST), LONGEST)
                    fields = {"number": index + 1, "problem": str(error), "again_in": wait}
                    _log.error("a worker can't be begun anew", extra={"fields": fields})
            self.begun_anew += 1
            _log.info("a worker was begun anew", extra={"fields": {"number": index + 1}})

    async def _bring(self, index: int) -> None:
        """Begin a worker, and wait until it listens.

        :raises StartError: it can't.
        """
        worker = await _Worker.begin(self._begin[index])
        turn = self._turn
        worker.write(self._use())
        try:
            await worker.listens()
        except BaseException:
            worker.kill()
            raise
        self._there[index] = worker
        if turn != self._turn:  # a reload came in between
            worker.write(self._use())
        worker.write(Serve(self._serving))
        self.learned()

    def _bury(self, index: int) -> None:
        """Keep what it has counted."""
        worker = self._there.pop(index)
        self._past = tallies.together([self._past, tallies.lasting(worker.families)])

    def _use(self) -> Use:
        assert self._now is not None, "start() comes first"
        now = self._now
        return Use(self._turn, now.text, now.origin, dict(now.authorizations), _told(now), self._serving)

    def _tell(self) -> None:
        """Tell what is known, but not those that haven't read yet what they were told before."""
        if self._news is not None:
            self._news.cancel()
            self._news = None
        assert self._now is not None, "start() comes first"
        message = Learn(_told(self._now))
        for worker in self._there.values():
            if worker.behind:
                self.learned()
            else:
                worker.write(message)


class _Worker:
    """A worker, seen from here."""

    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.since = time.monotonic()
        """When it began to listen."""
        self.listening: tuple[str, ...] = ()
        self.families: list[Family] = []
        self._process, self._writer = process, writer
        self._problem: str | None = None
        self._turn = 0
        self._heard = asyncio.Event()
        self._reading = asyncio.create_task(self._read(reader))

    @classmethod
    async def begin(cls, begin: Begin) -> _Worker:
        """Start a process."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.to_thread(_spawn, theirs)
        worker = cls(process, *await asyncio.open_connection(sock=ours))
        worker.write(begin)
        return worker

    @property
    def behind(self) -> bool:
        """Whether it hasn't read what it was told."""
        return self._writer.transport.get_write_buffer_size() > 0

    def write(self, message: channel.ToWorker) -> None:
        """Tell it something; in vain where it has ended."""
        if not self._reading.done():
            channel.write(self._writer, message)

    async def listens(self) -> None:
        """Wait until it does.

        :raises StartError: it ended before, or takes too long.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STARTING):
                await self._until(lambda: bool(self.listening))
        if not self.listening:
            how = await self.gone() if self._reading.done() else f"did not get ready within {STARTING:g} s"
            raise StartError(self._problem or f"a worker {how} before it listened; the log may say why")
        self.since = time.monotonic()

    async def has_taken(self, turn: int) -> None:
        """Wait until it decides by what that message said, or has ended."""
        await self._until(lambda: self._turn >= turn)

    async def gone(self) -> str:
        """Wait until it has ended; how it did."""
        await asyncio.wait([self._reading])
        code = await asyncio.to_thread(_wait, self._process)
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    async def ended(self, seconds: float) -> None:
        """Wait for so long at most; then it is ended."""
        await asyncio.wait([self._reading], timeout=seconds)
        if not self._reading.done():
            self.kill()
        await self.gone()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds() and not self._reading.done():
            self._heard.clear()
            heard = asyncio.create_task(self._heard.wait())
            await asyncio.wait([heard, self._reading], return_when=asyncio.FIRST_COMPLETED)
            heard.cancel()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Take what it says until it has ended."""
        with contextlib.suppress(msgspec.MsgspecError):  # another version's, installed while this one runs
            while (message := await channel.read_from(reader)) is not None:
                match message:
                    case Listening():
                        self.listening = tuple(message.addresses)
                    case Using():
                        self._turn = message.turn
                    case Counted():
                        self.families = message.families
                    case Failed():
                        self._problem = message.problem
                self._heard.set()
        self._writer.close()


def _spawn(pair: socket.socket) -> subprocess.Popen[bytes]:
    """Start a worker, out of reach of a terminal's Ctrl-C: this process says when it ends."""
    command = [sys.executable, "-m", f"{__package__}.worker"]
    return subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=pair.fileno(), stdout=subprocess.DEVNULL, process_group=0
    )


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(ENDING)
    except subprocess.TimeoutExpired:  # it has closed its end, and goes on nevertheless
        process.kill()
        return process.wait()


def _told(now: InForce) -> dict[str, Told]:
    return {name: channel.tell(known) for name, known in now.registry.view().known.items()}


def _check_twins(listen: list[str]) -> None:
    """Say which address would be listened on twice.

    :raises StartError: one would.
    """
    for address in sorted({one for one in listen if listen.count(one) > 1 and not one.endswith(":0")}):
        raise StartError(
            f"two workers would listen on {address}: each --listen stands for as many addresses as workers"
        )
