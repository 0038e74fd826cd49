"""What can go wrong, each as something that is done to real processes. One function a fault, called once a scrape."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import grpc
from processes import free_port
from reliability.rig import Process, Rig

from routegen.emit.router_config import router_config
from routegen_router._pb import extproc_pb2 as pb
from routegen_router.config import dump
from support.workers import children

ENGINE: Final = Path(__file__).with_name("engine.py")
SETTLE: Final = 5.0
"""Seconds until a router has taken a configuration and asked the engines."""
PROCESS: Final = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
HELD: Final = 8_000_000
"""Bytes that a stream announces and never brings; the routers of that run may hold less than two such bodies."""
LARGE: Final = 24_000_000
"""Bytes of a body whose decision takes long."""
NEAR, FULL = 62, 80
"""Percent of what Envoy's heap may fill."""
SCARCE: Final = "128Mi"
"""Memory for Envoy that is soon full."""


@dataclass(frozen=True)
class Fault:
    """One of them."""

    alert: str | None
    """The alert that is meant for it."""
    strike: Callable[[Rig, int], None] = lambda _rig, _turn: None
    """Do it; called right after each scrape, with the number of scrapes since the fault began."""
    workers: int = 1
    settings: str = ""
    """Lines of routes.yaml."""
    memory: str = "1Gi"
    """What Envoy may take."""
    every: float = 1.0
    """Seconds between two scrapes."""
    before: Callable[[Rig], None] = lambda _rig: None
    """What is made ready before the run."""


def engine(rig: Rig, name: str, fault: str) -> None:
    """Make an engine faulty."""
    host, port = rig.address(name)
    request = urllib.request.Request(f"http://{host}:{port}/fault/{fault}", method="PUT")
    urllib.request.urlopen(request, timeout=10).close()


def _at_first(what: Callable[[Rig], None]) -> Callable[[Rig, int], None]:
    return lambda rig, turn: what(rig) if turn == 0 else None


def _reload(rig: Rig, router: int, data: bytes) -> None:
    scratch = rig.configs[router].with_suffix(".new")
    scratch.write_bytes(data)
    scratch.rename(rig.configs[router])
    rig.routers[router].signal(signal.SIGHUP)


def _refused(rig: Rig, turn: int) -> None:
    if turn == 0:
        for number in range(len(rig.routers)):
            _reload(rig, number, b'{"version": 1, "backends"')


_SECOND: Final = "another process of the engine"


def _two_ways(rig: Rig) -> None:
    """Let the second router ask another process of the engine than the first."""
    one, *others = rig.plan.backends
    port = free_port()
    rig.engines[_SECOND] = Process([sys.executable, str(ENGINE), one.name, str(port)], Path(os.devnull))
    rig.engines[_SECOND].start()
    elsewhere = replace(one, poll_urls=(f"http://127.0.0.1:{port}/v1/models",))
    _reload(rig, 1, dump(router_config(replace(rig.plan, backends=(elsewhere, *others)))))
    time.sleep(SETTLE)


def _restart(rig: Rig, *replacements: tuple[str, str]) -> None:
    """Begin Envoy anew with other text in its configuration."""
    text = rig.envoy_file.read_text()
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    rig.envoy_file.write_text(text)
    rig.envoy.kill()
    rig.envoy.start()


def _router(rig: Rig) -> str:
    return rig.plan.router.addresses[0]


def _garbage(rig: Rig, _turn: int) -> None:
    """What no gateway sends: a message that is no ProcessingRequest."""
    with grpc.insecure_channel(_router(rig)) as channel, contextlib.suppress(grpc.RpcError):
        list(channel.stream_stream(PROCESS)(iter([b"\xff\xff\xff"]), timeout=5))


def _hold(rig: Rig, _turn: int) -> None:
    """Announce a large body and don't bring it."""
    pairs = {":method": "POST", ":path": "/v1/chat/completions", "content-length": str(HELD)}
    values = [pb.HeaderValue(key=key, raw_value=value.encode()) for key, value in pairs.items()]
    first = pb.ProcessingRequest(
        request_headers=pb.HttpHeaders(headers=pb.HeaderMap(headers=values)),
        protocol_config=pb.ProtocolConfiguration(request_body_mode="BUFFERED"),
    ).SerializeToString()

    def talk() -> None:
        done = threading.Event()

        def messages() -> object:
            yield first
            done.wait(10)

        with grpc.insecure_channel(_router(rig)) as channel, contextlib.suppress(grpc.RpcError):
            list(channel.stream_stream(PROCESS)(messages(), timeout=8))
            done.set()

    threading.Thread(target=talk, daemon=True).start()


def _large(rig: Rig, turn: int) -> None:
    """A body of many small values; not so often that routers refuse for overload."""
    if turn % 2:
        return
    data = b'{"model":"m","x":[1' + b",[1]" * (LARGE // 4) + b"]}"

    def send() -> None:
        request = urllib.request.Request(f"{rig.url}/v1/chat/completions", data, {"content-type": "application/json"})
        with contextlib.suppress(OSError):
            urllib.request.urlopen(request, timeout=30).close()

    threading.Thread(target=send, daemon=True).start()


def _worker_dies(rig: Rig, turn: int) -> None:
    if turn % 3 == 0:
        for pid in children(rig.routers[0].pid, "routegen_router.worker")[:1]:
            os.kill(pid, signal.SIGKILL)


def _pressure(rig: Rig) -> int:
    name = "overload.envoy.resource_monitors.fixed_heap.pressure"
    with urllib.request.urlopen(f"http://{rig.admin}/stats?filter={name}", timeout=10) as response:
        return int(response.read().split()[-1])


_OPEN: list[socket.socket] = []


def _fill(percent: int) -> Callable[[Rig, int], None]:
    """Upload to an engine that doesn't read, until so much of Envoy's memory is full."""

    def strike(rig: Rig, turn: int) -> None:
        if turn == 0:
            engine(rig, "two", "holding")
        for _ in range(40):
            if _pressure(rig) >= percent:
                return
            _upload(rig)

    return strike


def _upload(rig: Rig) -> None:
    data = json.dumps({"model": "m", "inference_server": "two", "user": "x" * 3_000_000}).encode()
    host, port = rig.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=5)
    _OPEN.append(connection)
    lines = ("POST /v1/chat/completions HTTP/1.1", "host: a", "content-type: application/json")
    head = "\r\n".join((*lines, f"content-length: {len(data)}"))
    with contextlib.suppress(OSError):
        connection.sendall(head.encode() + b"\r\n\r\n" + data)


def _elsewhere(rig: Rig) -> None:
    """Let Envoy look for the routers where none is: as with a wrong port, or a NetworkPolicy."""
    ports = [address.rpartition(":")[2] for address in rig.plan.router.addresses]
    _restart(rig, *((f"port_value: {port}", "port_value: 1") for port in ports))


def _untold(rig: Rig) -> None:
    """Begin the routers anew while an engine refuses to tell its models."""
    engine(rig, "two", "mute")
    for router in rig.routers:
        router.kill()
        router.start()


def _kill_all(rig: Rig) -> None:
    for router in rig.routers:
        router.kill()


FAULTS: Final[dict[str, Fault]] = {
    "calm": Fault(None),
    "engine-killed": Fault("RoutegenEngineDown", _at_first(lambda rig: rig.engines["one"].kill())),
    "engine-unreachable-for-one-router": Fault(
        "RoutegenRoutersDisagree", _at_first(lambda rig: rig.engines[_SECOND].kill()), before=_two_ways
    ),
    "engine-fails": Fault("RoutegenEngineErrors", _at_first(lambda rig: engine(rig, "one", "failing"))),
    "engine-tells-no-models": Fault(
        "RoutegenRegistryStale", _at_first(lambda rig: engine(rig, "two", "mute")), every=15
    ),
    "engine-never-told-models": Fault("RoutegenRegistryIncomplete", _at_first(_untold)),
    "routers-killed": Fault("RoutegenNoRouter", _at_first(_kill_all)),
    "one-router-killed": Fault("RoutegenRouterDown", _at_first(lambda rig: rig.routers[0].kill())),
    "routers-elsewhere": Fault("RoutegenGatewayFindsNoRouter", _at_first(_elsewhere)),
    "configuration-refused": Fault("RoutegenConfigRefused", _refused),
    "gateway-streams-bodies": Fault(
        "RoutegenMisconfigured",
        _at_first(lambda rig: _restart(rig, ("request_body_mode: BUFFERED", "request_body_mode: STREAMED"))),
    ),
    "garbage-sent": Fault("RoutegenStreamFailures", _garbage),
    "bodies-announced-and-not-sent": Fault(
        "RoutegenRouterOverloaded", _hold, settings="  maxBodyBytes: 10Mi\n  router: {maxInflightBytes: 12Mi}\n"
    ),
    "bodies-take-long": Fault("RoutegenDecisionsSlow", _large),
    "worker-killed-again-and-again": Fault("RoutegenWorkerRestarts", _worker_dies, workers=2),
    "memory-nearly-full": Fault("RoutegenGatewayMemoryHigh", _fill(NEAR), memory=SCARCE),
    "memory-full": Fault("RoutegenGatewayOverloaded", _fill(FULL), memory=SCARCE),
}
"""By name. Engines' and routers' faults, the gateway's, the clients'."""
