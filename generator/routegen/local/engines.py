"""Where each backend's engine is on this machine: given by the user, as in routes.yaml, or a mock engine."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from routegen.common.problems import UserError
from routegen.common.veiled import veiled
from routegen.common.words import choices
from routegen.distribution import how_to_install
from routegen.plan import Addresses, Backend, Plan, PoolRef, ServiceRef, UpstreamTLS
from routegen_router.models import is_glob

if TYPE_CHECKING:
    from routegen.mock_engine import MockEngine

MOCK_MODEL: Final = "mock-model"
"""What a mock engine serves where routes.yaml names no model for its backend."""


def read_address(text: str) -> tuple[str, str]:
    """Split ``NAME=URL``, as ``--engine`` takes it.

    :raises ValueError: it has another form, or the URL isn't one of an engine.
    """
    name, equals, url = text.partition("=")
    said, told = veiled(text), veiled(url)
    parts = urllib.parse.urlsplit(url)
    try:
        _ = parts.port
    except ValueError:
        raise ValueError(f"{told!r} has a port that is none; ports are numbers up to 65535") from None
    if not (name and equals) or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{said!r} is not NAME=URL; it looks like vllm=http://127.0.0.1:8001")
    if parts.path not in {"", "/"} or parts.query or parts.username:
        raise ValueError(f"{told!r} has more than scheme, host and port; it looks like http://127.0.0.1:8001")
    return name, f"{parts.scheme}://{parts.netloc}"


def place(plan: Plan, urls: Mapping[str, str]) -> Plan:
    """Put the backends' engines where ``urls`` (backend name -> ``http://host:port``) says.

    :raises UserError: a name that no backend bears, or a backend that this machine can't reach.
    """
    known = [backend.name for backend in plan.backends]
    if unknown := sorted(urls.keys() - set(known)):
        raise UserError(f'--engine: no backend is called "{unknown[0]}"; {choices(unknown[0], known)}')
    placed = tuple(_move(backend, urls[backend.name]) if backend.name in urls else backend for backend in plan.backends)
    if lost := [backend for backend in placed if not _has_place(backend)]:
        raise UserError(
            f"not on this machine: {'; '.join(map(_where, lost))}. Say where an engine is with "
            f"--engine {lost[0].name}=http://127.0.0.1:8001, or use --cluster or --mock-engines"
        )
    return replace(plan, backends=placed)


class MockEngines:
    """A mock engine for each backend that wants one; each lives until the ``async with`` block ends.

    One that is no longer wanted stays, so that answers which it is still giving come to their end.
    """

    def __init__(self, models: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self._models = models or {}
        """Backend -> models, in place of those in routes.yaml."""
        self._stack = AsyncExitStack()
        self._engines: dict[tuple[str, str | None], MockEngine] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._stack.aclose()

    def __getitem__(self, name: str) -> MockEngine:
        """The engine of the backend ``name``, the newest where there were several."""
        return {backend: engine for (backend, _), engine in self._engines.items()}[name]

    async def start(self, backends: tuple[Backend, ...]) -> dict[str, str]:
        """Give each of these backends its engine; the engines' URLs by backend.

        :raises UserError: the library that they are made with is missing.
        """
        return {backend.name: (await self._engine(backend)).url for backend in backends}

    async def _engine(self, backend: Backend) -> MockEngine:
        try:
            from routegen.mock_engine import PERSONALITIES, VLLM, Behaviour, MockEngine  # noqa: PLC0415 - optional
        except ImportError as error:
            raise UserError(f"mock engines need {error.name}; {how_to_install('local')}") from error
        renamed = dict(backend.renames)
        models = self._models.get(backend.name) or tuple(renamed.get(model, model) for model in backend.models)
        if all(is_glob(model) for model in models):
            models = (MOCK_MODEL, *models)
        key = (backend.name, backend.owner)
        if key not in self._engines:
            owner = backend.owner or (backend.name if backend.name in PERSONALITIES else VLLM.name)
            personality = PERSONALITIES.get(owner) or replace(VLLM, name=owner, owned_by=owner)
            self._engines[key] = await self._stack.enter_async_context(MockEngine(personality))
        engine = self._engines[key]
        engine.behaviour = Behaviour(models=models)
        return engine


def _has_place(backend: Backend) -> bool:
    """It has addresses, or is a pool whose pods and picker have."""
    if isinstance(backend.reach, PoolRef):
        return bool(backend.reach.endpoints) and backend.reach.picker is not None
    return isinstance(backend.reach, Addresses)


def _move(backend: Backend, url: str) -> Backend:
    parts = urllib.parse.urlsplit(url)
    assert parts.hostname is not None  # read_address() and MockEngine.url saw to it
    tls = (backend.tls or UpstreamTLS()) if parts.scheme == "https" else None
    port = parts.port or (443 if tls else 80)
    reach = Addresses(((parts.hostname, port),))
    return replace(backend, reach=reach, tls=tls, poll_urls=(f"{url}/v1/models",))


def _where(backend: Backend) -> str:
    match backend.reach:
        case ServiceRef(name, namespace, port):
            what = f"the Kubernetes Service {namespace}/{name}:{port}"
        case PoolRef(name=name, namespace=namespace):
            what = f"the InferencePool {namespace}/{name}"
        case Addresses():
            raise AssertionError("addresses can be reached")
    return f"backend {backend.name} is {what}"
