"""What ``routegen up`` does: start everything, say what happens, take over changes, end in good order."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click

from routegen import pipeline
from routegen.common.problems import InputError, Remark, UserError
from routegen.compile.advice import claims
from routegen.local.access import Access
from routegen.local.engines import MockEngines, place
from routegen.local.examples import curl_lines
from routegen.local.forwards import Forwards, forwardable, verified_by_service
from routegen.local.gateway import LocalGateway
from routegen.local.keys import missing_key, without_missing_keys
from routegen.local.watch import changes, content
from routegen.plan import Backend, Plan
from routegen_router.fetch import KINDS
from routegen_router.models import is_glob
from routegen_router.status import BackendStatus, RegistryStatus

LOOK: Final = 0.5
"""Seconds between two looks at the engines."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line said."""

    source: str
    engines: Mapping[str, str] = field(default_factory=dict)
    """Backend -> ``http://host:port``."""
    mock_engines: bool = False
    cluster: bool = False
    """Engines that are Services are forwarded to this machine."""
    context: str | None = None
    """The kubeconfig's, for ``cluster``."""
    port: int
    admin_port: int


def run(options: Options) -> None:
    """Run until a signal.

    :raises InputError: routes.yaml has mistakes.
    :raises UserError: it can't start, or Envoy or the router died.
    """
    try:
        asyncio.run(_Up(options).run())
    except asyncio.CancelledError:
        click.echo("ended")


class _Up:
    def __init__(self, options: Options) -> None:
        self.options = options
        self.mocks = MockEngines()
        self.forwards = Forwards(options.context, _warn)
        self.gateway: LocalGateway | None = None
        self.taken: bytes | None = None
        """The content of routes.yaml before it was first read."""
        self.keyless: Plan | None = None
        """The plan in routes.yaml, where it is refused until its keys are here."""
        self.engines: dict[str, BackendStatus] = {}
        """As they were when somebody was last told."""
        self.claims: set[str] = set()
        """What was said of owners that are other backends' names."""

    async def run(self) -> None:
        self._end_on_signals()
        async with self.mocks, self.forwards:
            self.taken = content(Path(self.options.source))
            plan = await self._read()
            gateway = self.gateway = LocalGateway(
                port=self.options.port, admin_port=self.options.admin_port, on_access=_say_access, on_trouble=_warn
            )
            try:
                await gateway.start(plan)
                self._say_started(gateway)
                await self._serve(gateway)
            finally:
                await gateway.stop()

    async def _serve(self, gateway: LocalGateway) -> None:
        """Watch the engines and the file until Envoy or the router dies, or this is cancelled."""
        tasks = [asyncio.create_task(self._watch_engines(gateway)), asyncio.create_task(self._watch_file(gateway))]
        death = asyncio.create_task(gateway.died())
        try:
            done, _ = await asyncio.wait([death, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {death}:
                task.result()  # these two never end but by an error
            raise death.result()
        finally:
            for task in (death, *tasks):
                task.cancel()

    async def _read(self) -> Plan:
        """The plan in routes.yaml with its engines where they are on this machine."""
        # Once it runs, the router says what it can't read.
        examine = self._missing_keys if self.gateway is None else _nothing
        plan = await asyncio.to_thread(pipeline.read_plan, self.options.source, deployed=False, examine=examine)
        urls = dict(self.options.engines)
        if self.gateway is not None:  # a backend that the file no longer has may come back
            urls = {name: url for name, url in urls.items() if name in {backend.name for backend in plan.backends}}
        if self.options.mock_engines:
            plan = await asyncio.to_thread(without_missing_keys, plan, set(urls))
            urls |= await self.mocks.start(tuple(backend for backend in plan.backends if backend.name not in urls))
        if self.options.cluster:
            plan = verified_by_service(plan)
            urls |= await self.forwards.start(
                backend for backend in plan.backends if forwardable(backend) and backend.name not in urls
            )
        return place(plan, urls)

    def _missing_keys(self, plan: Plan) -> Iterator[Remark]:
        for backend in plan.backends:
            mock = self.options.mock_engines and backend.name not in self.options.engines
            if not mock and (problem := missing_key(backend)) is not None:
                yield Remark(("spec", "backends", backend.name, "apiKey"), problem, refused=True)

    async def _watch_file(self, gateway: LocalGateway) -> None:
        if self.options.source == pipeline.STDIN:
            await asyncio.Event().wait()  # there is nothing to watch
        async for _ in changes(Path(self.options.source), self.taken, self._keys_have_come):
            plan = self.keyless = None
            try:
                plan = await self._read()
                await gateway.take_over(plan)
            except InputError as error:
                for problem in error.problems:
                    _warn(str(problem))
                _warn("the last good configuration stays in force")
            except UserError as error:
                _warn(f"{error}\nthe last good configuration stays in force")
                self.keyless = plan if plan is not None and _lacks_keys(plan) else None
            else:
                names = ", ".join(backend.name for backend in gateway.plan.backends)
                click.echo(f"{self.options.source} taken over; backends: {names}")

    def _keys_have_come(self) -> bool:
        return self.keyless is not None and not _lacks_keys(self.keyless)

    async def _watch_engines(self, gateway: LocalGateway) -> None:
        """Say what is wrong with which engine, and what to send once all were asked."""
        asked = False
        while True:
            try:
                status = await gateway.router.registry()
            except OSError:
                pass  # gateway.died() has more to say
            else:
                self._say_engines(gateway.plan, status)
                if status.asked and not asked:
                    asked = True
                    self._say_ready(gateway, status)
            await asyncio.sleep(LOOK)

    def _say_engines(self, plan: Plan, status: RegistryStatus) -> None:
        for backend in status.backends:
            before = self.engines.get(backend.name)
            if backend.error is not None and (before is None or before.error != backend.error):
                _warn(trouble(plan.backend(backend.name), backend.error, backend.detail))
            elif backend.error is None and before is not None and before.error is not None:
                click.echo(f"the engine of backend {backend.name} answers")
            self.engines[backend.name] = backend
        claimed = set(claims((backend.name, backend.owner) for backend in status.backends))
        for sentence in sorted(claimed - self.claims):
            _warn(sentence)
        self.claims = claimed

    def _say_started(self, gateway: LocalGateway) -> None:
        click.secho(f"{gateway.envoy.url}", bold=True, nl=False)
        click.echo(
            f"  (Envoy's admin: http://{gateway.envoy.admin}, the router: http://{gateway.router.status}/metrics)"
        )
        for backend in gateway.plan.backends:
            where = ", ".join(url.removesuffix("/v1/models") for url in backend.poll_urls)
            mock = "  mock engine" if self.options.mock_engines and backend.name not in self.options.engines else ""
            click.echo(f"  {backend.name:<16} {where}{mock}")

    def _say_ready(self, gateway: LocalGateway, status: RegistryStatus) -> None:
        click.echo("\nTry:")
        for what, line in curl_lines(gateway.plan, gateway.envoy.url, _models(status)):
            click.echo(f"  # {what}\n  {line}")
        watched = "" if self.options.source == pipeline.STDIN else f"Changes of {self.options.source} are taken over. "
        click.echo(f"\nReady. {watched}Ctrl-C ends everything.\n")

    def _end_on_signals(self) -> None:
        """The first signal ends everything in good order, a second one at once."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def end() -> None:
            if task.cancelling():
                if self.gateway is not None:
                    self.gateway.kill()
                os._exit(1)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, end)


def trouble(backend: Backend, kind: str, detail: str | None = None) -> str:
    """What is wrong with a backend's engine, and what helps.

    :param kind: one of :data:`~routegen_router.fetch.KINDS`.
    :param detail: what the router noticed, in words.
    """
    who, at = f"the engine of backend {backend.name}", ", ".join(backend.poll_urls)
    match kind:
        case "warming":
            return f"{who} is up and warming up: it gets only requests that name it until it says that it can answer"
        case "timeout":
            return f"{who} takes its time to answer at {at}; still waiting"
        case "key":
            return f"{who} wants a key, or another one, at {at}: {_where_a_key_goes(backend)}"
        case "no_key":
            return f"{who} can't be asked: its key can't be read from where its `apiKey:` says"
        case "speaks_tls":
            return f"{who} speaks TLS at {at}: say so with `tls:`, or with --engine {backend.name}=https://…"
        case "no_tls":
            return f"{who} speaks no TLS at {at}: leave out `tls:`, or say --engine {backend.name}=http://…"
        case "tls":
            return f"{who} has a certificate that isn't accepted at {at}: give `tls:` its caFile or serverName"
        case "status" | "redirect" | "too_large" | "not_a_list" | "http":
            return (
                f"{who} answers at {at} with something else than its models ({detail or KINDS[kind]}): see that an "
                f"OpenAI-compatible engine is there and well, or say where it is with --engine {backend.name}=URL; "
                "still asking. One without a list of models needs `models:` and `poll: {enabled: false}`"
            )
    return (
        f"{who} does not answer at {at} ({KINDS.get(kind, kind)}): "
        f"start it, or say where it is with --engine {backend.name}=URL; still asking"
    )


def _where_a_key_goes(backend: Backend) -> str:
    key = backend.api_key
    listed = "" if backend.models else ", or list its models under `models:`, since it tells nobody"
    if key is None:
        return f"say with `apiKey:` of {backend.name} where it is{listed}"
    if key.env is None and key.file is None:
        return f"`up` reads no Secrets; `env:` or `file:` can stand beside `secretName:`{listed}"
    return f"it refuses the one that `apiKey:` of {backend.name} says{listed}"


def _models(status: RegistryStatus) -> dict[str, str]:
    """Backend -> a model that it serves, where one is known by its exact id."""
    ids = {
        entry.name: [
            *(model for model in entry.configured if not is_glob(model)),
            *(entry.polled.models if entry.polled else ()),
        ]
        for entry in status.backends
    }
    return {name: models[0] for name, models in ids.items() if models}


def _lacks_keys(plan: Plan) -> bool:
    return any(missing_key(backend) is not None for backend in plan.backends)


def _nothing(_plan: Plan) -> tuple[Remark, ...]:
    return ()


def _say_access(access: Access) -> None:
    click.echo(str(access))


def _warn(text: str) -> None:
    click.secho(text, fg="yellow", err=True)
