"""Setups with Envoy as routegen renders it: the router, and the floor under every router in Python."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import envoys
from bodies import ENGINES
from processes import Watched, free_port, free_ports, start, wait_for
from setups import Arm, Place, Setup

from routegen.emit.envoy.bootstrap import static
from routegen.emit.router_config import router_config
from routegen.pipeline import read_plan
from routegen.plan import Plan
from routegen_router import config

HERE = Path(__file__).resolve().parent
ROUTES = """
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {{name: benchmark}}
spec:
  gateway:
    target: envoy
    listeners: [{{name: http, port: {port}, address: 127.0.0.1}}]
  router: {{addresses: [{addresses}], workers: {workers}, maxInflightBytes: 512Mi}}
  backends:
    alpha: {{endpoints: ["127.0.0.1:{alpha}"], ownedBy: vllm, models: [alpha, beta]}}
    beta: {{endpoints: ["127.0.0.1:{beta}"], ownedBy: sglang, models: [alpha, beta]}}
  rules:
    - body: inference_server
    - body: owned_by
    - split: {{alpha: 50, beta: 50}}
"""
"""The guide's chain of rules; both engines serve both models, so the field chooses."""


def floor(place: Place) -> Arm:
    """Start an external processor that parses nothing; everything goes to the first engine."""
    return _behind_envoy(place, "floor", 1, lambda address, _: [str(HERE / "floor.py"), address, ENGINES[0]])


def router(
    place: Place,
    *,
    processes: int = 1,
    workers: int = 1,
    unix: bool = False,
    name: str = "routegen",
    program: tuple[str, ...] = ("-m", "routegen_router"),
    change: Callable[[envoys.Document], envoys.Document] = lambda document: document,
) -> Arm:
    """Start the router with its defaults, a log line for each decision included.

    :param processes: routers, each of which polls and has a first process of its own.
    :param workers: processes of each router that decide.
    :param program: what Python runs.
    :param change: to Envoy's configuration as routegen renders it.
    """
    return _behind_envoy(
        place,
        name,
        processes,
        lambda address, settings: [*program, "--config", str(settings), "--listen", address, "--metrics", ""],
        workers=workers,
        unix=unix,
        change=change,
    )


def _behind_envoy(
    place: Place,
    name: str,
    processes: int,
    command: Callable[[str, Path], list[str]],
    *,
    workers: int = 1,
    unix: bool = False,
    change: Callable[[envoys.Document], envoys.Document] = lambda document: document,
) -> Arm:
    port = free_port()
    addresses = [
        f"unix:{place.folder / f'{name}-{number}.sock'}" if unix else f"127.0.0.1:{free_ports(workers)}"
        for number in range(processes)
    ]
    settings = place.folder / f"{name}.json"
    plan = write_settings(place, name, addresses, workers, settings, port)
    started: list[Watched] = []
    for number, address in enumerate(addresses):
        log = place.folder / f"{name}-{number}.log"
        started.append(start(place.stack, [sys.executable, *command(address, settings)], log))
        wait_for(address.removeprefix("unix:") if unix else int(address.rpartition(":")[2]), log)
    envoy = envoys.run(place, name, change(static(plan, admin=f"127.0.0.1:{free_port()}")), port)
    return Arm(f"http://127.0.0.1:{port}{envoys.PATH}", (envoy,), tuple(started))


def write_settings(place: Place, name: str, addresses: list[str], workers: int, settings: Path, port: int = 1) -> Plan:
    """Write a router's configuration; the plan that it is of.

    :param port: Envoy's.
    """
    routes = place.folder / f"{name}.yaml"
    listed = ", ".join(f'"{address}"' for address in addresses)
    routes.write_text(ROUTES.format(port=port, addresses=listed, workers=workers, **place.engines))
    plan = read_plan(routes)
    settings.write_bytes(config.dump(router_config(plan)))
    return plan


SETUPS = (
    Setup(
        "floor", "a Python external processor on grpc.aio that parses, counts and logs nothing", floor, chooses=False
    ),
    Setup("routegen", "the router, one process, over TCP", router),
)
MORE = (
    Setup("routegen, 2 processes", "two router processes", lambda place: router(place, processes=2, name="two")),
    Setup(
        "routegen, unix",
        "the router, one process, over a Unix socket",
        lambda place: router(place, unix=True, name="unix"),
    ),
)
