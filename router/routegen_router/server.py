"""The router's process: one event loop that listens, decides, polls, reloads and drains."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from . import addresses, logs, memory
from .addresses import StartError
from .config import ConfigError
from .grpc_transport import GrpcTransport
from .health import Health
from .journal import Journal
from .live import Live
from .metrics import Metrics
from .processor import Processor
from .status import StatusServer
from .transport import Transport

GRACE: Final = 5.0
"""Seconds that streams under way get at the end; they take milliseconds."""

HEARING: Final = 5.0
"""Seconds that an engine which takes its time holds up a router that doesn't know its models yet."""

_log = logging.getLogger("routegen.server")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What ``python -m routegen_router`` and ``routegen router`` take."""

    config: Path
    listen: tuple[str, ...]
    """``host:port``, ``[::]:port`` or ``unix:/path``; port 0 is any free one."""
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
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(options, lines))


async def _serve(options: Options, lines: logs.LineHandler) -> None:
    if options.ready_file is not None and not os.access(options.ready_file.parent, os.W_OK | os.X_OK):
        raise StartError(
            f"--ready-file {options.ready_file}: its folder doesn't exist, or nothing may be written there"
        )
    metrics, health = Metrics(), Health()
    registry_changed = asyncio.Event()
    try:
        live = Live(options.config, metrics, registry_changed.set)
    except ConfigError as error:
        raise StartError(str(error)) from error
    metrics.look_up(lambda: live.current.registry, lambda: live.admission.in_flight, lambda: health.serving)
    journal = Journal(metrics, lines.write_all)
    processor = Processor(lambda: live.current, live.admission, journal, metrics)
    stopping, hurry = asyncio.Event(), asyncio.Event()
    _on_signals(stopping, hurry, live)

    transport: Transport = GrpcTransport(processor, health, live.max_body_bytes)
    listening = [transport.bind(address) for address in options.listen]
    status = _status(options.metrics, metrics, live, health)
    await transport.start()
    gc.collect()
    gc.freeze()  # what is here stays: collections needn't look through it, which is a tenth of the cost of a request
    where: dict[str, object] = {
        "listen": listening,
        "metrics": addresses.bound(options.metrics, status.port) if status else None,
    }
    _log.info("listening", extra={"fields": where})

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(live.run())]
        running.append(tasks.create_task(_become_ready(live, registry_changed, health, options.ready_file, where)))
        await stopping.wait()
        _log.info("draining", extra={"fields": {"seconds": options.drain_seconds}})
        for task in running[1:]:
            task.cancel()
        health.set(serving=False)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(hurry.wait(), options.drain_seconds)
        health.close()
        await transport.stop(GRACE)
        processor.close()
        journal.flush()
        running[0].cancel()
    if status is not None:
        status.close()
    if options.ready_file is not None:
        options.ready_file.unlink(missing_ok=True)
    _log.info("stopped")


async def _become_ready(
    live: Live, registry_changed: asyncio.Event, health: Health, ready_file: Path | None, where: dict[str, object]
) -> None:
    """Serve once every polled engine was asked: one that is down must not keep the others from being served.

    And then go on serving: a backend that a reload adds must not take the others' requests away, and a model that is
    unknown while an engine has told nothing is refused with ``registry_incomplete``, not guessed. An engine that only
    takes its time gets some more of it first, since older routers may know its models.
    """

    async def until(holds: Callable[[], bool]) -> None:
        while not holds():
            await registry_changed.wait()
            registry_changed.clear()

    await until(lambda: live.current.registry.asked)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(until(lambda: not live.current.registry.hopeful), HEARING)
    health.set(serving=True)
    backends = live.current.registry.backends
    trouble = {name: entry.trouble for name, entry in backends.items() if entry.trouble is not None}
    _log.info("ready", extra={"fields": {"trouble": trouble} if trouble else {}})
    if ready_file is not None:
        scratch = ready_file.with_name(ready_file.name + ".new")
        scratch.write_bytes(msgspec.json.encode({"pid": os.getpid(), **where}))
        scratch.rename(ready_file)


def _status(address: str, metrics: Metrics, live: Live, health: Health) -> StatusServer | None:
    if not address:
        return None
    where = addresses.split(address, "--metrics")
    try:
        return StatusServer(
            where, metrics=metrics, registry=lambda: live.current.registry, ready=lambda: health.serving
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


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 - it doesn't exist on Windows
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
