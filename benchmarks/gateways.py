"""What the router is measured behind: two Envoys of one configuration, one to the router and one to the floor."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bodies import BACKEND, MB

from routegen import plan as ir
from routegen.emit.envoy.bootstrap import static
from routegen.emit.router_config import router_config
from routegen.envoy.binary import require
from routegen_router import config
from routegen_router.request import Source
from routegen_router.rules import Lookup, Split

HERE = Path(__file__).resolve().parent
PATH = "/v1/chat/completions"
PATIENCE = 20.0


@dataclass(frozen=True)
class Arm:
    """A processor behind an Envoy."""

    name: str
    url: str
    """Where its Envoy takes requests."""
    pid: int
    """The processor's process."""

    def cpu(self) -> float:
        """CPU seconds of the processor so far, all threads, user and system, in nanosecond steps.

        The clock of another process, numbered as clock_getcpuclockid(3) does on Linux.
        """
        return time.clock_gettime((~self.pid << 3) | 2)

    def forget_peak(self) -> None:
        """Let ``VmHWM`` start anew."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def memory(self, field: str) -> float:
        """``VmRSS`` (resident now) or ``VmHWM`` (resident at most), in megabytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
        raise LookupError(field)


@contextlib.contextmanager
def arms(engine: int, folder: Path) -> Iterator[tuple[Arm, Arm]]:
    """Start the floor, the router and their Envoys in front of the engine on port ``engine``."""
    with contextlib.ExitStack() as stack:
        made = []
        for name in ("floor", "router"):
            plan = _plan(engine, gateway := _free_port(), processor := _free_port())
            settings = folder / f"{name}.json"
            settings.write_bytes(config.dump(router_config(plan)))
            address = f"127.0.0.1:{processor}"
            command = {
                "floor": [str(HERE / "floor.py"), address, BACKEND],
                "router": ["-m", "routegen_router", "--config", str(settings), "--listen", address, "--metrics", ""],
            }[name]
            pid = stack.enter_context(_process([sys.executable, *command], folder / f"{name}.log")).pid
            envoy = folder / f"{name}-envoy.json"
            envoy.write_text(json.dumps(static(plan, admin=f"127.0.0.1:{_free_port()}")))
            run = [str(require()), "-c", str(envoy), "--concurrency", "1", "--disable-hot-restart"]
            stack.enter_context(_process([*run, "--log-level", "error"], folder / f"{name}-envoy.log"))
            _wait_for(processor)
            _wait_for(gateway)
            made.append(Arm(name, f"http://127.0.0.1:{gateway}{PATH}", pid))
        yield made[0], made[1]


def _plan(engine: int, gateway: int, processor: int) -> ir.Plan:
    """The guide's chain of rules; one engine, known without being asked."""
    backend = ir.Backend(BACKEND, ir.Addresses((("127.0.0.1", engine),)), owner="vllm", models=("some-model",))
    other = replace(backend, name="other", owner="sglang")
    return ir.Plan(
        name="benchmark",
        namespace="default",
        gateway=ir.Gateway("envoy", "gateway", "default", "", True, (ir.Listener("http", gateway, "127.0.0.1"),), ()),
        router=ir.Router("", 1, (), (f"127.0.0.1:{processor}",), 256 * MB, None),
        routing_header="x-inference-server",
        paths=(PATH,),
        passthrough=(),
        max_body_bytes=32 * MB,
        models=config.Models(interval=15, timeout=2),
        backends=(backend, other),
        rules=(
            Lookup(name="body: inference_server", source=Source(body=("inference_server",))),
            Lookup(name="body: owned_by", source=Source(body=("owned_by",))),
            Split(name="split", weights=((BACKEND, 50), ("other", 50))),
        ),
    )


@contextlib.contextmanager
def _process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield process
        finally:
            process.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    ends = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.05)
        else:
            return
