"""``python -m routegen.demo`` (``make demo``): everything on this machine, a set of requests, and where they went.

Envoy and the router are real, the engines are mock engines. Each row is checked three times: by the answer that the
client got, by Envoy's access log, and by what the engines themselves received. Ends with 0 only if all is as expected,
as far as somebody reads it.
"""

from __future__ import annotations

import asyncio
import http.client
import importlib.util
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from routegen import pipeline
from routegen.common.problems import InputError, UserError
from routegen.common.streams import leave_unread
from routegen.demo.cases import CASES, MODELS, Case, OpenAI, Plain
from routegen.local.access import Access
from routegen.local.engines import MockEngines, place
from routegen.local.gateway import LocalGateway

if TYPE_CHECKING:
    from openai import AsyncOpenAI

ROUTES: Final = Path("examples/two-engines/routes.yaml")
PATIENCE: Final = 10.0


@dataclass
class Seen:
    """What became of one case."""

    status: int = 0
    wrong: list[str] = field(default_factory=list)
    """What is not as expected."""
    rules: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)
    """Backend -> requests that its engine received."""
    code: str | None = None


class Demo:
    """Sends the cases through one gateway."""

    def __init__(
        self, gateway: LocalGateway, mocks: MockEngines, client: AsyncOpenAI, log: Mapping[str, Access]
    ) -> None:
        """Prepare.

        :param log: Envoy's access log by request id; it grows.
        """
        self.gateway, self.mocks, self.client, self.log = gateway, mocks, client, log

    async def try_case(self, number: int, case: Case) -> Seen:
        """Send it as often as it says, and compare."""
        seen = Seen()
        ids = [f"demo-{number}-{index}" for index in range(case.times)]
        for ident in ids:
            if isinstance(case, OpenAI):
                await self._call(case, ident, seen)
            elif isinstance(case, Plain):
                await self._send(case, ident, seen)
        for ident in ids:
            await self._look_up(case, ident, seen)
        if set(seen.counts) != case.backends:
            seen.wrong.append(f"expected backend {_names(case.backends)}")
        if seen.status != case.status or seen.code != case.code:
            seen.wrong.append(f"expected {case.status} {case.code or ''}")
        return seen

    async def _call(self, case: OpenAI, ident: str, seen: Seen) -> None:
        from openai import APIStatusError  # noqa: PLC0415 - a development dependency

        try:
            text = await case.call(self.client, {"x-request-id": ident})
        except APIStatusError as error:
            seen.status, seen.code = error.status_code, error.code
            return
        seen.status = 200
        if not any(text.startswith(f"{backend}/") for backend in case.backends):
            seen.wrong.append(f"the answer is {text!r}")

    async def _send(self, case: Plain, ident: str, seen: Seen) -> None:
        address = self.gateway.envoy.url.removeprefix("http://")
        seen.status, text = await asyncio.to_thread(_exchange, address, case, ident)
        seen.code = _code(text)
        if case.answer_has not in text:
            seen.wrong.append(f"the answer lacks {case.answer_has}")

    async def _look_up(self, case: Case, ident: str, seen: Seen) -> None:
        """What Envoy logged, and what the engines received."""
        end = time.monotonic() + PATIENCE
        while ident not in self.log:
            if time.monotonic() > end:
                seen.wrong.append("Envoy did not log it")
                return
            await asyncio.sleep(0.02)
        entry = self.log[ident]
        if entry.rule is not None:
            seen.rules.add(entry.rule)
        if entry.rule != case.rule:
            seen.wrong.append(f"expected rule {case.rule}")
        for backend in MODELS:
            for received in self.mocks[backend].recorder.requests:
                if received.header("x-request-id") != (ident,):
                    continue
                seen.counts[backend] = seen.counts.get(backend, 0) + 1
                if received.header("x-inference-server") != (backend,) or entry.backend != backend:
                    seen.wrong.append("the routing header is wrong")
                if isinstance(case, Plain) and received.body != case.body:
                    seen.wrong.append("the body was changed")


def main() -> int:
    """Run it all; the exit code."""
    try:
        return asyncio.run(_demo(Path(sys.argv[1]) if len(sys.argv) > 1 else ROUTES))
    except (InputError, UserError) as error:
        click.echo(f"routegen: {error}", err=True)
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("ended", err=True)
    except BrokenPipeError:
        if not leave_unread():
            raise
        return 0  # as for the verbs: the reader has all that it wanted
    return 1


async def _demo(routes: Path) -> int:
    if importlib.util.find_spec("openai") is None:
        raise UserError("the demo sends its requests with the openai client: pip install openai")
    from openai import AsyncOpenAI  # noqa: PLC0415 - a development dependency

    began = time.monotonic()
    log: dict[str, Access] = {}
    async with MockEngines(MODELS) as mocks:
        plan = pipeline.read_plan(routes, deployed=False)
        plan = place(plan, await mocks.start(plan.backends))
        gateway = LocalGateway(
            port=0,
            admin_port=0,
            on_access=lambda access: log.__setitem__(access.request_id, access),
            on_trouble=lambda text: click.echo(text, err=True),
        )
        try:
            await gateway.start(plan)
            await _engines_answer(gateway)
            click.echo(f"{routes} on a real Envoy at {gateway.envoy.url}, the router and two mock engines\n")
            async with AsyncOpenAI(base_url=f"{gateway.envoy.url}/v1", api_key="unused", max_retries=0) as client:
                good = await _table(Demo(gateway, mocks, client, log), CASES)
        finally:
            await gateway.stop()
    click.echo(f"\n{good} of {len(CASES)} as expected, in {time.monotonic() - began:.1f} s")
    if good < len(CASES):
        return 1
    click.echo("`make up` keeps it running, for requests of your own.")
    return 0


async def _engines_answer(gateway: LocalGateway) -> None:
    end = time.monotonic() + PATIENCE
    while not (await gateway.router.registry()).complete:
        if time.monotonic() > end:
            raise UserError("the mock engines do not answer the router")
        await asyncio.sleep(0.05)


async def _table(demo: Demo, cases: Sequence[Case]) -> int:
    """Print a row for each case as soon as it is known; how many are as expected."""
    click.secho(f"{'request':<46} {'rule':<22} {'backend':<22} status", bold=True)
    good = 0
    for number, case in enumerate(cases):
        seen = await demo.try_case(number, case)
        good += not seen.wrong
        counts = ", ".join(f"{name} {count}" if case.times > 1 else name for name, count in sorted(seen.counts.items()))
        verdict = click.style("ok", fg="green") if not seen.wrong else click.style("; ".join(seen.wrong), fg="red")
        status = f"{seen.status} {seen.code or ''}".strip()
        rule = ", ".join(sorted(seen.rules)) or "-"
        click.echo(f"{case.title:<46} {rule:<22} {counts or '-':<22} {status:<29} {verdict}")
    return good


def _exchange(address: str, case: Plain, ident: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    try:
        connection.request(case.method, case.path, case.body or None, {"x-request-id": ident, **case.headers})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def _code(text: str) -> str | None:
    error = json.loads(text).get("error")
    return error["code"] if isinstance(error, dict) else None


def _names(backends: frozenset[str]) -> str:
    return ", ".join(sorted(backends)) or "none"


if __name__ == "__main__":
    sys.exit(main())
