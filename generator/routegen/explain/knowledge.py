"""What ``routegen explain`` knows of the engines, where it comes from and how old it is."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from routegen.common.problems import UserError
from routegen.common.veiled import veiled
from routegen_router.config import Config
from routegen_router.fetch import KINDS, PollError
from routegen_router.models import Answer, Known, Snapshot
from routegen_router.poller import poll_all
from routegen_router.status import RegistryStatus, read_status

TIMEOUT: Final = 5.0
"""Seconds that a running router may take to tell what it knows."""
MAX_BYTES: Final = 16 * 1024 * 1024
OTHERWISE: Final = "ask a running router with --registry, or list the backends' `models` in routes.yaml"


@dataclass(frozen=True, slots=True)
class BackendKnowledge:
    """What is known of one backend."""

    name: str
    owner: str | None
    models: tuple[str, ...]
    """Ids, and the configured globs."""
    source: Literal["static", "polled", "router", "none"]
    """routes.yaml alone; its engine, asked now; a running router; or ``none``: it should be polled and wasn't, or
    has never told its models."""
    age_seconds: float | None
    """Since the engine told its models; ``None`` where it hasn't."""
    alive: bool
    error: str | None
    """Why there is no answer from it."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of all backends."""

    view: Snapshot
    origin: str
    """In words, such as ``engines polled now``."""
    backends: tuple[BackendKnowledge, ...]
    remedy: str = ""
    """What to do where it doesn't suffice."""


def static(config: Config) -> Knowledge:
    """What routes.yaml itself says."""
    known = _knowledge(config, "routes.yaml alone; engines were not asked", {}, {}, "polled")
    return replace(known, remedy=f"engines were not asked for their models: leave out --no-poll, or {OTHERWISE}")


def assumed(config: Config, answers: Mapping[str, Answer], down: Collection[str]) -> Knowledge:
    """What somebody says that engines have told.

    :param down: the backends that have stopped answering.
    """
    errors = dict.fromkeys(down, "down in this case")
    alive = dict.fromkeys(down, False)
    return _knowledge(config, "what the case says", answers, errors, "polled", alive, {*answers, *down})


def polled(config: Config, ask: Callable[[Config], Mapping[str, Answer | PollError]] = poll_all) -> Knowledge:
    """Ask every engine now; takes at most the configured poll timeout. An engine that doesn't answer counts as dead."""
    told = ask(config)
    alive = {name: isinstance(answer, Answer) or answer.answers for name, answer in told.items()}
    answers = {name: answer for name, answer in told.items() if isinstance(answer, Answer)}
    failed = {name: error for name, error in told.items() if isinstance(error, PollError)}
    errors = {name: f"{error}; {KINDS['key']}" if error.kind == "key" else str(error) for name, error in failed.items()}
    origin = "engines polled now" if told else "routes.yaml alone; there is no engine to ask"
    known = _knowledge(config, origin, answers, errors, "polled", alive)
    return replace(known, remedy=_remedy(failed))


def _remedy(failed: Mapping[str, PollError]) -> str:
    """What to do where these engines told nothing of use."""
    if not failed:
        return ""
    keyed = ", ".join(name for name, error in failed.items() if error.kind in {"key", "no_key"})
    key = f"; say with `apiKey:` of {keyed} where the key is, as `env:` or `file:`: Secrets aren't read here"
    silent = ", ".join(failed)
    return f"not every engine tells its models here (not {silent}): {OTHERWISE}{key if keyed else ''}"


def from_router(config: Config, url: str) -> Knowledge:
    """Ask a running router what it knows.

    :param url: its metrics address, such as ``http://127.0.0.1:9464``, also with ``/metrics`` or ``/registry``.
    :raises UserError: it doesn't answer, or not as a router does.
    """
    url = url.rstrip("/").removesuffix("/registry").removesuffix("/metrics").rstrip("/") + "/registry"
    status = _fetch(url)
    now = time.time()
    answers = {
        told.name: Answer(told.polled.models, told.polled.owner, now - (told.age_seconds or 0), told.polled.cards)
        for told in status.backends
        if told.polled is not None
    }
    errors = {told.name: KINDS.get(told.error, told.error) for told in status.backends if told.error is not None}
    missing = {backend.name for backend in config.backends} - {told.name for told in status.backends}
    errors |= dict.fromkeys(missing, "the router doesn't know this backend; it runs another routes.yaml")
    alive = {told.name: told.alive for told in status.backends}
    asked = {told.name for told in status.backends if told.asked}
    return _knowledge(config, f"the router at {url}", answers, errors, "router", alive, asked)


def _knowledge(
    config: Config,
    origin: str,
    answers: Mapping[str, Answer],
    errors: Mapping[str, str],
    source: Literal["polled", "router"],
    alive: Mapping[str, bool] | None = None,
    asked: Collection[str] | None = None,
) -> Knowledge:
    view = Snapshot(
        Known(
            backend,
            answers.get(backend.name) if backend.poll is not None else None,
            # What routes.yaml lists counts as known where there is nobody to ask.
            asked=backend.poll is None or asked is None or backend.name in asked,
            alive=(alive or {}).get(backend.name, True),
        )
        for backend in config.backends
    )
    now = time.time()
    backends = []
    for name, known in view.known.items():
        globs = [model for model in known.backend.models if model not in set(known.ids())]
        backends.append(
            BackendKnowledge(
                name=name,
                owner=known.owner,
                models=tuple(dict.fromkeys([*known.ids(), *globs])),
                source="static" if known.backend.poll is None else source if known.answer is not None else "none",
                age_seconds=max(round(now - known.answer.at, 1), 0.0) if known.answer is not None else None,
                alive=known.alive,
                error=errors.get(name),
            )
        )
    return Knowledge(view, origin, tuple(backends))


def _fetch(url: str) -> RegistryStatus:
    if not url.startswith(("http://", "https://")):
        raise UserError(f"{veiled(url)}: give the router's metrics address as a URL, such as http://127.0.0.1:9464")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:  # noqa: S310 - the scheme is checked above
            return read_status(response.read(MAX_BYTES))
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise UserError(
            f"{veiled(url)}: no router answers there ({reason}); "
            "it is the address that `routegen router --metrics` is given"
        ) from error
