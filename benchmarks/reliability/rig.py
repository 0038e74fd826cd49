"""The processes of a scenario on loopback: two engines, two routers, one Envoy; each can be ended and begun anew."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from processes import free_port, free_ports

from routegen.common.text import to_yaml
from routegen.compile import compile_text
from routegen.emit.envoy import bootstrap
from routegen.emit.router_config import router_config
from routegen.envoy.binary import require
from routegen.plan import Addresses, Listener, Plan
from routegen_router.config import dump

PATIENCE: Final = 60.0
"""Seconds until a process that doesn't get ready is given up."""
ENGINE: Final = Path(__file__).with_name("engine.py")
ROUTES: Final = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: scenario}
spec:
  gateway: {target: envoy}
  backends:
    one: {endpoints: ["127.0.0.1:1"], ownedBy: one}
    two: {endpoints: ["127.0.0.1:2"], ownedBy: two}
  rules:
    - body: inference_server
    - split: {one: FIRST, two: SECOND}
"""


class Process:
    """One program that can be ended and begun anew."""

    def __init__(self, command: list[str], log: Path, variables: Mapping[str, str] | None = None) -> None:
        self._command, self._log, self._variables = command, log, variables or {}
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin it."""
        with self._log.open("ab") as log:
            self._running = subprocess.Popen(
                self._command, stdout=log, stderr=log, env={**os.environ, **self._variables}
            )

    @property
    def pid(self) -> int:
        """Its id."""
        assert self._running is not None
        return self._running.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it alone."""
        assert self._running is not None
        self._running.send_signal(number)

    async def ended(self) -> None:
        """Wait until it has ended."""
        assert self._running is not None
        await asyncio.to_thread(self._running.wait, PATIENCE)

    def kill(self) -> None:
        """End it at once."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()


@dataclasses.dataclass
class Rig:
    """All of it."""

    url: str
    """Where clients connect."""
    admin: str
    engines: dict[str, Process]
    routers: list[Process]
    router_status: list[str]
    configs: list[Path]
    plan: Plan
    envoy: Process
    envoy_file: Path
    """What Envoy starts from."""

    def address(self, engine: str) -> tuple[str, int]:
        """Where an engine is, or was."""
        reach = self.plan.backend(engine).reach
        assert isinstance(reach, Addresses)
        return reach.endpoints[0]

    async def ready(self, router: int) -> None:
        """Wait until a router says so and Envoy has noticed."""
        await until(lambda: _status(f"http://{self.router_status[router]}/readyz") == HTTP_OK)
        await until(lambda: self._healthy("router") == len(self.plan.router.addresses))

    async def back(self, engine: str) -> None:
        """Wait until an engine answers and every router sends requests to it again."""
        host, port = self.address(engine)
        await until(lambda: _status(f"http://{host}:{port}/v1/models") == HTTP_OK)
        await until(lambda: all(engine in self._alive(status) for status in self.router_status))

    def reload(self, first: int, second: int) -> None:
        """Give both routers a split of this weight."""
        plan = dataclasses.replace(compiled(first, second), backends=self.plan.backends)
        for config, router in zip(self.configs, self.routers, strict=True):
            scratch = config.with_suffix(".new")
            scratch.write_bytes(dump(router_config(plan)))
            scratch.rename(config)
            router.signal(signal.SIGHUP)

    def reloads(self) -> int:
        """How many changes both routers have taken, at least."""
        return min(
            _metric(f"http://{status}/metrics", 'routegen_config_reloads_total{result="loaded"}')
            for status in self.router_status
        )

    def begun_anew(self) -> int:
        """How many workers the first router has begun in place of others."""
        return _metric(f"http://{self.router_status[0]}/metrics", "routegen_worker_restarts_total")

    def _healthy(self, cluster: str) -> int:
        return _metric(
            f"http://{self.admin}/stats?filter={cluster}.membership_healthy", f"cluster.{cluster}.membership_healthy:"
        )

    def _alive(self, status: str) -> list[str]:
        with urllib.request.urlopen(f"http://{status}/registry", timeout=10) as response:
            return [backend["name"] for backend in json.load(response)["backends"] if backend["alive"]]


HTTP_OK: Final = 200


def compiled(first: int, second: int) -> Plan:
    """The plan for a split of this weight; its engines are nowhere yet."""
    text = ROUTES.replace("FIRST", str(first)).replace("SECOND", str(second))
    return compile_text(text, "routes.yaml", target="envoy")


@asynccontextmanager
async def rig(
    routers_wanted: int = 2,
    workers: int = 1,
    *,
    plan: Plan | None = None,
    keys: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    engine: Path = ENGINE,
) -> AsyncIterator[Rig]:
    """Start everything, and end it.

    :param workers: of each router.
    :param plan: what to route by, its engines anywhere; default: an even split of two.
    :param keys: engine -> the key that its requests must carry.
    :param variables: of the routers, which have the keys there.
    :param engine: the engines' program; it is called with name, port and key.
    """
    plan = plan or compiled(50, 50)
    names = [backend.name for backend in plan.backends]
    python = sys.executable
    with tempfile.TemporaryDirectory(prefix="reliability-") as temporary:
        folder = Path(temporary)
        ports = {name: free_port() for name in (*names, "client", "admin", "s0", "s1")}
        first = [free_ports(workers) for _ in range(routers_wanted)]
        placed = tuple(
            dataclasses.replace(
                backend,
                reach=Addresses((("127.0.0.1", ports[backend.name]),)),
                poll_urls=(f"http://127.0.0.1:{ports[backend.name]}/v1/models",),
            )
            for backend in plan.backends
        )
        plan = dataclasses.replace(
            plan,
            backends=placed,
            gateway=dataclasses.replace(plan.gateway, listeners=(Listener("http", ports["client"], "127.0.0.1"),)),
            router=dataclasses.replace(
                plan.router,
                addresses=tuple(f"127.0.0.1:{port + number}" for port in first for number in range(workers)),
                workers=workers,
            ),
        )
        configs = [folder / f"router-{number}.json" for number in range(routers_wanted)]
        for config in configs:
            config.write_bytes(dump(router_config(plan)))
        envoy_file = folder / "envoy.yaml"
        envoy_file.write_text(to_yaml([bootstrap.static(plan, admin=f"127.0.0.1:{ports['admin']}")]))
        engines = {
            name: Process(
                [python, str(engine), name, str(ports[name]), (keys or {}).get(name, "")],
                folder / f"{name}.log",
            )
            for name in names
        }
        routers = [
            Process(
                [
                    *(python, "-m", "routegen_router", "--config", str(configs[number]), "--log-level", "warning"),
                    *("--listen", f"127.0.0.1:{first[number]}", "--metrics", f"127.0.0.1:{ports[f's{number}']}"),
                ],
                folder / f"router-{number}.log",
                variables,
            )
            for number in range(routers_wanted)
        ]
        command = [str(require()), "-c", str(envoy_file), "--concurrency", "1", "--disable-hot-restart"]
        envoy = Process(
            [*command, "--log-level", "error", "--log-path", str(folder / "envoy.log")], folder / "access.log"
        )
        everything = [*engines.values(), *routers, envoy]
        try:
            for process in everything:
                process.start()
            made = Rig(
                f"http://127.0.0.1:{ports['client']}",
                f"127.0.0.1:{ports['admin']}",
                engines,
                routers,
                [f"127.0.0.1:{ports[status]}" for status in ("s0", "s1")[:routers_wanted]],
                configs,
                plan,
                envoy,
                envoy_file,
            )
            for number in range(routers_wanted):
                await made.ready(number)
            for name in names:
                await made.back(name)
            yield made
        finally:
            for process in [*everything, *engines.values()]:  # a scenario may have added one
                process.kill()


async def until(holds: object) -> None:
    """Wait until ``holds()`` is true; somebody who doesn't answer yet is no error."""
    assert callable(holds)
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                if await asyncio.to_thread(holds):
                    return
            except OSError:
                pass
            await asyncio.sleep(0.05)


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def _metric(url: str, name: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as response:
        for line in response.read().decode().splitlines():
            if line.startswith(name):
                return int(float(line.rpartition(" ")[2]))
    return 0
