"""The configuration in force: loaded at the start, replaced when its file changes.

The file's content is compared every second: that notices edits, renames and Kubernetes' symlink swaps alike. A file
that can't be used is refused and the last good configuration stays in force.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from . import config as configuration
from . import cpus, keys
from .config import Config, ConfigError
from .metrics import Metrics
from .poller import Registry

INTERVAL: Final = 1.0
"""Seconds between two looks at the file."""
SLACK: Final = 1.0
"""Seconds beyond the polls' own timeout that a new configuration waits for its engines."""
LOADED: Final = "configuration loaded"
BACK: Final = "configuration file is back to what is in force"
REFUSED: Final = "configuration refused; the last good one stays in force"
"""What the log says of the file; ``routegen up`` waits for these."""

_log = logging.getLogger("routegen.config")


@dataclass(frozen=True, slots=True)
class InForce:
    """A configuration, and what belongs to it."""

    config: Config
    text: str
    """The file's content, and"""
    origin: str
    """its name."""
    registry: Registry
    authorizations: Mapping[str, str]
    """Backend -> what goes on its requests. Secret."""


class _KeylessError(ConfigError):
    """A configuration that could be used if an engine's key could be read."""


class Live:
    """Lives on one event loop; :attr:`current` may be read from any thread."""

    def __init__(
        self,
        path: Path,
        metrics: Metrics,
        *,
        use: Callable[[InForce], Awaitable[None]],
        learned: Callable[[], None],
        workers: int | None = None,
    ) -> None:
        """Load the file.

        :param use: called with what is in force from now on, whenever that has changed; not at first.
        :param learned: called whenever something was learned of an engine.
        :param workers: how many processes decide; ``None``: what the file says.
        :raises ConfigError: it can't be read or used.
        """
        self._path, self._metrics, self._use, self._learned = path, metrics, use, learned
        self._checking = asyncio.Lock()
        self._seen: bytes | None = _read(path)
        if self._seen is None:
            raise ConfigError(f"{path}: no such file, or it can't be read")
        self._loaded = self._seen
        self._keyless: str | None = None
        self._waits_for: str | None = None
        """Which keys the file was refused for; it is tried again until they are there."""
        config = configuration.load(self._loaded, origin=str(path))
        self.max_body_bytes: Final = config.max_body_bytes
        """What the gRPC server was made for; a reload can't go beyond it."""
        self._given = workers
        self.workers: Final = self._wanted(config)
        """How many processes decide; a reload can't change it, as gateways know their addresses."""
        self.tls: Final = config.tls
        """What connections must show; a reload can't change it, but the files' content."""
        if problem := self._beyond(config):
            raise ConfigError(problem)
        self.current = self._activate(config, self._loaded, None)

    async def run(self) -> None:
        """Poll engines and look at the file until cancelled."""
        self.current.registry.start()
        try:
            while True:
                await asyncio.sleep(INTERVAL)
                await self.check()
        finally:
            await self.current.registry.stop()

    async def check(self) -> None:
        """Look at the file now; load it if it changed and can be used. Take over engines' keys that have changed."""
        async with self._checking:
            data = _read(self._path)
            if data != self._seen:
                self._waits_for = None
            else:
                await self._look_at_keys()
                if self._waits_for is None:
                    return
            self._seen = data
            if data is None:
                self._refuse(f"{self._path}: no such file, or it can't be read")
            elif data == self._loaded:
                _log.info(BACK)
            else:
                await self._load(data)

    async def _load(self, data: bytes) -> None:
        try:
            config = configuration.load(data, origin=str(self._path))
        except ConfigError as error:
            self._refuse(str(error))
            return
        if problem := self._beyond(config):
            self._refuse(problem)
            return
        try:
            before, after = self.current, self._activate(config, data, self.current.registry)
        except _KeylessError as error:
            if self._waits_for != str(error):  # not every second
                self._refuse(str(error))
            self._waits_for = str(error)
            return
        self._waits_for = None
        after.registry.start()
        # What is known of a changed backend is void; without this wait its requests would fail until it has answered.
        await after.registry.wait_until_asked(config.models.timeout + SLACK)
        self.current = after
        self._loaded = data
        await self._use(after)
        await before.registry.stop()
        self._metrics.reloaded(good=True)
        _log.info(LOADED, extra={"fields": {"file": str(self._path), "name": config.name}})
        self._learned()

    def _refuse(self, problem: str) -> None:
        self._metrics.reloaded(good=False)
        _log.error(REFUSED, extra={"fields": {"problem": problem}})

    def _activate(self, config: Config, data: bytes, before: Registry | None) -> InForce:
        """Make ready what follows from a configuration.

        :raises ConfigError: an engine's key can't be read.
        """
        authorizations, problems = keys.authorizations(config.backends)
        if problems:
            raise _KeylessError("; ".join(f"{self._path}: {problem}" for problem in problems))
        registry = Registry(config, before, self._learned)
        return InForce(config, data.decode(), str(self._path), registry, authorizations)

    def _wanted(self, config: Config) -> int:
        """How many processes are to decide."""
        return self._given or config.workers or cpus.allowed()

    def _beyond(self, config: Config) -> str | None:
        """What a running router can't do of a configuration that is good in itself."""
        share = config.max_inflight_bytes // self.workers
        if config.max_body_bytes > self.max_body_bytes:
            return f"{self._path}: max_body_bytes can't grow beyond {self.max_body_bytes} without a restart"
        if self._wanted(config) != self.workers:
            return f"{self._path}: workers can't change from {self.workers} to {self._wanted(config)} without a restart"
        if config.tls != self.tls:
            return f"{self._path}: tls can't change without a restart (what is in its files can)"
        if share < config.max_body_bytes:
            return (
                f"{self._path}: max_inflight_bytes is {share} for each of {self.workers} workers, below max_body_bytes"
                f" ({config.max_body_bytes}): no such body could pass"
            )
        return None

    async def _look_at_keys(self) -> None:
        """Secrets are renewed while routers run; a key that can't be read any more stays as it was."""
        found, problems = keys.authorizations(self.current.config.backends)
        authorizations = {**self.current.authorizations, **found}
        if authorizations != self.current.authorizations:
            self.current = replace(self.current, authorizations=authorizations)
            await self._use(self.current)
            _log.info("an engine's key has changed")
        problem = "; ".join(problems) or None
        if problem is not None and problem != self._keyless:
            _log.error("a key can't be read; the last good one stays in use", extra={"fields": {"problem": problem}})
        self._keyless = problem


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
