"""Four clients of the worst bodies, and what others notice of them.

The worst are looked for first (``worst_bodies.py``): of all combinations the one that holds up the event loop longest,
and the one that takes longest in all. Then four clients send bodies at a fixed rate of bytes, plain text and the worst
by turns, while others send small requests and bodies of 1 MB, open loop; a latency counts from when a request was due.
Judged is the median, over pairs of rounds that follow each other, of the ratio of the others' 99th percentiles.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import multiprocessing.connection
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import ours
import worst_bodies
from aiohttp import web
from bodies import ENGINES, KB, MB, chat
from setups import Place

from routegen.compile import compile_text
from routegen.emit.router_config import router_config
from routegen_router.body import BodyReader
from routegen_router.config import reads

from .claims import Claim, p99

CLIENTS = 4
BYTES_A_SECOND = 4 * MB
"""Of each of the four."""
SIZES = {"64 KB": 64 * KB, "1 MB": MB, "8 MB": 8 * MB, "30 MB": 30 * MB}
MOST = 3.0
"""Times the 99th percentile beside plain text."""
SMALL_A_SECOND, LARGE_A_SECOND = 50, 5
SECONDS, PAIRS = 5.0, 3
"""Of a round, and how often plain text and the worst take turns."""
SEARCHED = 100 * KB
PATIENCE = 60.0
SENDER = Path(__file__).with_name("sender.py")


def run() -> Iterable[Claim]:
    """Search, then measure."""
    names = worst()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="routegen-")))
        engines = {name: stack.enter_context(_Engine()) for name in ENGINES}
        arm = ours.router(Place(engines, folder, stack))
        for label, size in SIZES.items():
            for name, body in worst_bodies.bodies(size):
                if name in names:
                    yield from _compare(arm.url, f"{label}, {name}", chat(len(body), ENGINES[0]), body)


def worst() -> set[str]:
    """The names of the body that is worst on the event loop, and of the one that is worst in all."""
    rules = router_config(compile_text(worst_bodies.ROUTES, "benchmark")).rules
    reader = BodyReader(reads(rules))
    found = list(worst_bodies.bodies(SEARCHED))
    return {
        max(found, key=lambda one: worst_bodies.cpu(reader.read_at_once, one[1]))[0],
        max(found, key=lambda one: worst_bodies.cpu(reader.read, one[1]))[0],
    }


def _compare(url: str, what: str, plain: bytes, worst: bytes) -> Iterator[Claim]:
    told: dict[str, dict[str, list[float]]] = {"plain": {}, "worst": {}}
    megabytes = {"plain": 0.0, "worst": 0.0}
    broken = 0
    for number in range(PAIRS):
        for kind, body in (("plain", plain), ("worst", worst))[:: 1 if number % 2 else -1]:
            seen, failed, sent = _beside(url, body, SECONDS)
            broken += failed
            megabytes[kind] += sent
            for others, value in seen.items():
                told[kind].setdefault(others, []).append(value)
    for others in told["plain"]:
        ratios = [bad / good for bad, good in zip(told["worst"][others], told["plain"][others], strict=True)]
        spread = f"{statistics.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})"
        good, bad = (statistics.median(told[kind][others]) * 1000 for kind in ("plain", "worst"))
        yield Claim(
            f"{others} requests beside {what}: p99 at most {MOST:g} times",
            f"{spread}; {good:.0f} and {bad:.0f} ms",
            statistics.median(ratios) <= MOST,
        )
    amounts = " and ".join(f"{amount:.0f} MB" for amount in megabytes.values())
    yield Claim("none of the others fails", f"{broken} failed beside {amounts} of plain text and of these", broken == 0)


def _beside(url: str, body: bytes, seconds: float) -> tuple[dict[str, float], int, float]:
    """While the four send ``body``: the others' 99th percentiles, how many failed, and the megabytes that were sent."""
    address = urlsplit(url)
    with ExitStack() as stack:
        file = stack.enter_context(tempfile.NamedTemporaryFile())
        file.write(body)
        file.flush()
        every = len(body) / BYTES_A_SECOND
        command = [sys.executable, str(SENDER), address.netloc, address.path, file.name, str(every)]
        clients = [stack.enter_context(_client(command)) for _ in range(CLIENTS)]
        for client in clients:
            _line(client)  # it is ready
        for client in clients:
            client.sendall(b"go\n")
        seen, failed = asyncio.run(_others(url, seconds))
        for client in clients:
            client.shutdown(socket.SHUT_WR)
        return seen, failed, sum(int(_line(client)) for client in clients) / MB


@contextmanager
def _client(command: list[str]) -> Iterator[socket.socket]:
    """Run one of the four; the socket is its standard input and output."""
    here, there = socket.socketpair()
    with here, subprocess.Popen(command, stdin=there.fileno(), stdout=there.fileno()) as process:
        there.close()
        here.settimeout(PATIENCE)
        yield here
        process.kill()


def _line(client: socket.socket) -> bytes:
    """What it says, up to the end of the line."""
    said = b""
    while not said.endswith(b"\n"):
        said += client.recv(1)
    return said


async def _others(url: str, seconds: float) -> tuple[dict[str, float], int]:
    taken: dict[str, list[float]] = {"small": [], "1 MB": []}
    failed = 0
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:

        async def ask(kind: str, body: bytes, due: float) -> None:
            nonlocal failed
            try:
                async with session.post(url, data=body, headers={"content-type": "application/json"}) as response:
                    await response.read()
                    failed += response.status != web.HTTPOk.status_code
            except (aiohttp.ClientError, TimeoutError):
                failed += 1
            taken[kind].append(asyncio.get_running_loop().time() - due)

        async def keep_asking(kind: str, body: bytes, rate: float) -> None:
            loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
            async with asyncio.TaskGroup() as tasks:
                for number in range(round(seconds * rate)):
                    due = began + number / rate
                    await asyncio.sleep(due - loop.time())
                    tasks.create_task(ask(kind, body, due))

        await asyncio.gather(
            keep_asking("small", chat(KB, ENGINES[0]), SMALL_A_SECOND),
            keep_asking("1 MB", chat(MB, ENGINES[0]), LARGE_A_SECOND),
        )
    return {kind: p99(values) for kind, values in taken.items()}, failed


class _Engine:
    """An engine, in a process of its own, that reads a request and says ok; gives its port."""

    def __enter__(self) -> int:
        context = multiprocessing.get_context("spawn")
        ours_end, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)
        self._process.start()
        port: int = ours_end.recv()
        return port

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.join()


def serve(told: multiprocessing.connection.Connection) -> None:
    """Run the engine; its port goes to ``told``."""

    async def answer(request: web.Request) -> web.Response:
        async for _ in request.content.iter_any():
            pass
        return web.json_response({"object": "list", "data": []})

    async def start() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        told.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(start())
