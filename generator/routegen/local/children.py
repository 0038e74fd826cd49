"""Child processes that end with us, and whose output we read line by line."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Self

from routegen.common.problems import UserError

TAIL: Final = 15
"""Lines of a child's log that are shown when it dies."""
LINE_LIMIT: Final = 1 << 20
_PR_SET_PDEATHSIG: Final = 1

_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


class Child:
    """One process, in a group of its own: a Ctrl-C in the terminal reaches only us, and we end it in good order."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name, self._process = name, process
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._readers: list[asyncio.Task[None]] = []

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        *,
        stdout: Callable[[str], None],
        stderr: Callable[[str], bool],
    ) -> Self:
        """Start a program.

        :param name: what to call it in messages.
        :param stdout: gets each line that it prints.
        :param stderr: gets each line of its log; ``False`` keeps the line out of what is shown when it dies.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_end_with_parent,
            limit=LINE_LIMIT,
        )
        child = cls(name, process)

        def log(line: str) -> None:
            if stderr(line):
                child._tail.append(line)

        assert process.stdout is not None
        assert process.stderr is not None
        child._readers = [
            asyncio.create_task(_read_lines(process.stdout, stdout)),
            asyncio.create_task(_read_lines(process.stderr, log)),
        ]
        return child

    async def died(self) -> UserError:
        """Wait until it ends by itself, which it never should; the sentence that says so.

        An error of those who take its lines comes out here too.
        """
        ended = asyncio.create_task(self._process.wait())
        await asyncio.wait([ended, *self._readers], return_when=asyncio.FIRST_EXCEPTION)
        for reader in self._readers:
            reader.result()
        code = ended.result()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        lines = "".join(f"\n  {line}" for line in self._tail)
        return UserError(f"{self.name} {how}" + (f"; its last lines:{lines}" if lines else ""))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it and whatever it started, at once."""
        if self._process.returncode is None:  # else its id may be another's by now
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def stop(self, grace: float) -> None:
        """Ask it to end, and end it after ``grace`` seconds."""
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), grace)
        except TimeoutError:
            self.kill()
            await self._process.wait()
        await asyncio.gather(*self._readers, return_exceptions=True)


async def _read_lines(stream: asyncio.StreamReader, take: Callable[[str], None]) -> None:
    while True:
        try:
            line = await stream.readuntil()
        except asyncio.IncompleteReadError as end:
            line = end.partial
        except asyncio.LimitOverrunError as error:
            await stream.readexactly(error.consumed)  # a line that nobody wants to read
            continue
        if not line:
            return
        take(line.decode(errors="replace").rstrip("\r\n"))


def _end_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, even by SIGKILL (Linux only). Runs after the fork."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
