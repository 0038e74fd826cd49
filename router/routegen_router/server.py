"""The router's first process, and mostly its only one: it polls, reloads, tells its state and drains.

Who decides is a :class:`~routegen_router.crew.Crew`: this process itself, or workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from . import addresses, logs, loops, memory, metrics, sockets
from .addresses import StartError
from .config import ConfigError
from .crew import Crew
from .live import InForce, Live
from .metrics import Metrics
from .status import StatusServer
from .workers import Workers

HEARING: Final = 5.0
"""Seconds that an engine which takes its time holds up a router that doesn't know its models yet."""

_log = logging.getLogger("routegen.server")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What ``python -m routegen_router`` and ``routegen router`` take."""

    config: Path
    listen: tuple[str, ...]
    """``host:port``, ``[::]:port`` or ``unix:/path``; port 0 is any free one. The first worker's, where there are
    several; the others listen on the ports, or paths with a number, behind each."""
    socket_mode: int = sockets.MODE
    """Who may connect to a Unix socket, as of a file that is written to."""
    workers: int | None = None
    """How many processes decide; ``None``: what the configuration says, else what the container's CPU limit allows."""
    metrics: str = "127.0.0.1:9464"
    """Where to serve metrics and status, as ``host:port``; empty: nowhere."""
    ready_file: Path | None = None
    """Written once the router is ready: ``{"pid", "listen": [addresses], "metrics": address or null}``."""
    drain_seconds: float = 5.0
    """How long to go on serving after a signal, reported as not serving, so that gateways turn away first."""
    log_level: str = "info"
    log_format: logs.Format = "json"


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    :raises StartError: it can't start.
    """
    memory.keep_freed()
    lines = logs.configure(options.log_level, options.log_format)
    logs.tell_uncaught()
    with asyncio.Runner(loop_factory=loops.factory()) as runner:
        runner.run(_serve(options, lines))


async def _serve(options: Options, lines: logs.LineHandler) -> None:
    await _Server(options, lines).serve()


class _Server:
    """Lives on one event loop."""

    def __init__(self, options: Options, lines: logs.LineHandler) -> None:
        """Prepare.

        :raises StartError: the configuration can't be used, or the options can't.
        """
        file = options.ready_file
        if file is not None and not os.access(file.parent, os.W_OK | os.X_OK):
            raise StartError(f"--ready-file {file}: its folder doesn't exist, or nothing may be written there")
        self._options = options
        self._metrics = Metrics()
        self._learned = asyncio.Event()
        self._serving = False
        try:
            self._live = Live(
                options.config, self._metrics, use=self._use, learned=self._on_news, workers=options.workers
            )
        except ConfigError as error:
            raise StartError(str(error)) from error
        self._crew = self._crew_of(lines)
        self._metrics.look_up(lambda: self._live.current.registry, self._ready, self._count)

    async def serve(self) -> None:
        """Do all of it.

        :raises StartError: an address can't be had.
        """
        options, live, crew = self._options, self._live, self._crew
        stopping, hurry = asyncio.Event(), asyncio.Event()
        _on_signals(stopping, hurry, live)
        status = self._status()
        try:
            listening = await crew.start(live.current)
        except BaseException:
            if status is not None:
                status.close()
            raise
        where: dict[str, object] = {
            "listen": listening,
            "metrics": addresses.bound(options.metrics, status.port) if status else None,
        }
        _log.info("listening", extra={"fields": where | ({"workers": crew.size} if crew.size > 1 else {})})

        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(live.run()), tasks.create_task(crew.run())]
            getting_ready = tasks.create_task(self._become_ready(where))
            await stopping.wait()
            _log.info("draining", extra={"fields": {"seconds": options.drain_seconds}})
            getting_ready.cancel()
            self._serve(serving=False)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(hurry.wait(), options.drain_seconds)
            for task in running:
                task.cancel()
            await crew.stop()
        if status is not None:
            status.close()
        if options.ready_file is not None:
            options.ready_file.unlink(missing_ok=True)
        _log.info("stopped")

    def _crew_of(self, lines: logs.LineHandler) -> Crew:
        options, longest = self._options, self._live.max_body_bytes
        if self._live.workers > 1:
            count, mode = self._live.workers, options.socket_mode
            return Workers(options.listen, mode, count, longest, options.log_level, options.log_format)
        from .alone import Alone  # noqa: PLC0415 - with it comes grpc, which a process that only watches others needs not

        return Alone(options.listen, options.socket_mode, self._metrics, lines, longest)

    async def _use(self, now: InForce) -> None:
        await self._crew.use(now)

    def _on_news(self) -> None:
        self._learned.set()
        self._crew.learned()

    def _serve(self, *, serving: bool) -> None:
        self._serving = serving
        self._crew.serve(serving=serving)

    def _ready(self) -> bool:
        return self._serving and self._crew.taking() > 0

    def _count(self) -> metrics.Crew:
        return metrics.Crew(self._crew.size, self._crew.taking(), self._crew.begun_anew)

    async def _become_ready(self, where: dict[str, object]) -> None:
        """Serve once every polled engine was asked: one that is down must not keep the others from being served.

        And then go on serving: a backend that a reload adds must not take the others' requests away, and a model that
        is unknown while an engine has told nothing is refused with ``registry_incomplete``, not guessed. An engine that
        only takes its time gets some more of it first, since older routers may know its models.
        """
        live, file = self._live, self._options.ready_file

        async def until(holds: Callable[[], bool]) -> None:
            while not holds():
                await self._learned.wait()
                self._learned.clear()

        await until(lambda: live.current.registry.asked)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(until(lambda: not live.current.registry.hopeful), HEARING)
        self._serve(serving=True)
        backends = live.current.registry.backends
        trouble = {name: entry.trouble for name, entry in backends.items() if entry.trouble is not None}
        _log.info("ready", extra={"fields": {"trouble": trouble} if trouble else {}})
        if file is not None:
            scratch = file.with_name(file.name + ".new")
            scratch.write_bytes(msgspec.json.encode({"pid": os.getpid(), **where}))
            scratch.rename(file)

    def _status(self) -> StatusServer | None:
        address = self._options.metrics
        if not address:
            return None
        where = addresses.split(address, "--metrics")
        try:
            return StatusServer(
                where,
                metrics=lambda: self._metrics.render(self._crew.counted()),
                registry=lambda: self._live.current.registry,
                ready=self._ready,
            )
        except OSError as error:
            raise StartError(
                f"can't serve metrics on {address}: {error.strerror}; choose another address with --metrics, "
                'or --metrics "" for none'
            ) from error


def _on_signals(stopping: asyncio.Event, hurry: asyncio.Event, live: Live) -> None:
    """SIGTERM and SIGINT drain, a second one at once; SIGHUP looks at the configuration file."""
    loop = asyncio.get_running_loop()
    checks: set[asyncio.Task[None]] = set()

    def stop() -> None:
        (hurry if stopping.is_set() else stopping).set()

    def check(work: Callable[[], Coroutine[object, object, None]] = live.check) -> None:
        task = loop.create_task(work())
        checks.add(task)
        task.add_done_callback(checks.discard)

    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, stop)
    loop.add_signal_handler(signal.SIGHUP, check)
