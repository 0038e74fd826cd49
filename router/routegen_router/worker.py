"""``python -m routegen_router.worker``: one of several processes that decide for one router.

It knows no file, polls no engine and serves no HTTP: the router's first process tells it, over its standard input, what
to listen on and what to decide by, and is told what was counted. Signals are that process's business too. When it ends,
however it does, so does this one.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Final

from . import channel, config, logs, loops, memory
from .addresses import StartError
from .channel import Begin, Counted, End, Failed, Learn, Listening, Serve, Told, Use, Using
from .config import Config, ConfigError
from .desk import Desk
from .metrics import Metrics
from .models import Known, Snapshot

TELL: Final = 0.5
"""Seconds between two reports of what was counted."""

_log = logging.getLogger("routegen.server")


class Heard:
    """What is known of engines, as far as this process was told."""

    def __init__(self, settings: Config, told: Mapping[str, Told]) -> None:
        self._settings = settings
        self.learn(told)

    def view(self) -> Snapshot:
        """What is known now."""
        return self._snapshot

    def learn(self, told: Mapping[str, Told]) -> None:
        """Know this from now on; a backend that it says nothing of is one of another configuration."""
        self._snapshot = Snapshot(
            Known(backend, one.answer, one.asked, one.alive) if (one := told.get(backend.name)) else Known(backend)
            for backend in self._settings.backends
        )


class Worker:
    """Lives on one event loop."""

    def __init__(self, begin: Begin, lines: logs.LineHandler, writer: asyncio.StreamWriter) -> None:
        self._begin, self._writer = begin, writer
        self._metrics = Metrics()
        self._desk = Desk(self._metrics, lines, begin.max_body_bytes, begin.workers)
        self._heard: Heard | None = None
        self._told: list[object] = []

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Do what the messages say until the last one."""
        telling = None
        try:
            while (message := await channel.read_to(reader)) is not None and not isinstance(message, End):
                self._do(message)
                if telling is None:  # the first says what to decide by
                    addresses = self._desk.listen(self._begin.listen, self._begin.socket_mode)
                    await self._desk.start()
                    gc.collect()
                    gc.freeze()  # as where there is one process
                    telling = asyncio.create_task(self._tell())
                    channel.write(self._writer, Listening(addresses))
        except (StartError, ConfigError) as error:
            channel.write(self._writer, Failed(str(error)))
            return
        if message is None:
            _log.error("the router's first process has ended; so does this one")
            self._desk.health.set(serving=False)
        await self._desk.stop()
        if telling is not None:
            telling.cancel()
        self._count()

    def _do(self, message: channel.ToWorker) -> None:
        match message:
            case Use():
                settings = config.load(message.config.encode(), origin=message.origin)
                self._heard = Heard(settings, message.told)
                self._desk.use(settings, self._heard, message.authorizations)
                self._desk.health.set(serving=message.serving)
                channel.write(self._writer, Using(message.turn))
            case Learn() if self._heard is not None:
                self._heard.learn(message.told)
            case Serve():
                self._desk.health.set(serving=message.serving)

    async def _tell(self) -> None:
        while True:
            self._count()
            await asyncio.sleep(TELL)

    def _count(self) -> None:
        channel.write(self._writer, Counted(self._metrics.read()))


async def _run(pair: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=pair)
    begin = await channel.read_to(reader)
    if isinstance(begin, Begin):
        lines = logs.configure(begin.log_level, begin.log_format, {"worker": begin.number})
        logs.tell_uncaught()
        await Worker(begin, lines, writer).run(reader)
        await writer.drain()
        writer.close()


def main() -> None:
    """Decide until told otherwise."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # whoever sends them to all means the first process
        signal.signal(number, signal.SIG_IGN)
    memory.keep_freed()
    with asyncio.Runner(loop_factory=loops.factory()) as runner:
        runner.run(_run(socket.socket(fileno=sys.stdin.fileno())))


if __name__ == "__main__":
    main()
