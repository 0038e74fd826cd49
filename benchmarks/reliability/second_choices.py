"""One of three engines under a split is killed, drained, unreachable or breaks connections off; bodies up to 31 MB."""

from __future__ import annotations

import asyncio
import json
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import aiohttp

from routegen.compile import compile_text

from .claims import Claim
from .rig import Rig, rig
from .ruins import black_hole, resetting

ROUTES: Final = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: seconds}
spec:
  gateway: {target: envoy}
  failover: {reset: RESET}
  backends:
    one: {endpoints: ["127.0.0.1:1"], ownedBy: one, apiKey: {env: PAIR, send: true}}
    two: {endpoints: ["127.0.0.1:2"], ownedBy: two, apiKey: {env: PAIR, send: true}}
    three: {endpoints: ["127.0.0.1:3"], ownedBy: three, apiKey: {env: OTHER, send: true}}
  rules:
    - body: inference_server
    - split: {one: 1, two: 1, three: 1}
"""
VARIABLES: Final = {"PAIR": "key-of-a-pair", "OTHER": "key-of-another"}
KEYS: Final = {"one": VARIABLES["PAIR"], "two": VARIABLES["PAIR"], "three": VARIABLES["OTHER"]}
SIZES: Final = {1 << 10: 0.01, 2 << 20: 1.0, 31 << 20: 8.0}
"""Bytes of a body -> seconds between two of them, so that small ones are 100 a second."""
NAMED: Final = 10
"""Every so many requests one names the engine that is ill."""
TIMES: Final = 3
DOWN: Final = 8.0
"""Seconds until the engine is back."""
UNDER_WAY: Final = 0.1
"""Seconds after a death in which a connection may still look alive."""
AT_ONCE: Final = 1.0
"""Seconds before its end in which what asks an ill engine for a connection may still get it (`limits.CONNECT`)."""


@dataclass
class Sent:
    """One request and what became of it."""

    at: float
    size: int
    named: bool
    status: int = 0
    whole: bool = False
    right: bool = True
    """Whether who answered is who was named, if anybody was."""
    code: str = ""


@dataclass(frozen=True)
class Illness:
    """How the engine ``two`` fails, from when to when."""

    kind: str
    begin: float
    end: float

    def holds(self, one: Sent) -> bool:
        """Whether a request was sent meanwhile."""
        return self.begin <= one.at < self.end


def run() -> Iterable[Claim]:
    """Kill, drain and black hole as configured by default; broken connections with ``failover: {reset: true}``."""
    for reset, kinds in ((False, ("killed", "drained", "black hole")), (True, ("resetting",))):
        sent, ills, strangers = asyncio.run(_run(kinds, reset=reset))
        for kind, spells in groupby(ills, key=lambda ill: ill.kind):
            yield from _claims(kind, list(spells), sent)
        wrong = sum(not one.right for one in sent)
        yield Claim("no other engine answers than the one that was named", f"{wrong} of {len(sent)}", wrong == 0)
        yield Claim("no key reaches another's engine", f"{strangers} strangers of {len(sent)}", strangers == 0)


def _claims(kind: str, spells: list[Illness], sent: list[Sent]) -> Iterator[Claim]:
    by_chance = [one for one in sent if not one.named]
    for size in SIZES:
        these = [one for one in by_chance if one.size == size and any(spell.holds(one) for spell in spells)]
        failed = [one for one in these if one.status != 200 or not one.whole]  # noqa: PLR2004 - HTTP's OK
        early = [one for one in failed if any(0 <= one.at - spell.begin < UNDER_WAY for spell in spells)]
        late = len(failed) - len(early)
        yield Claim(
            f"{len(spells)} x {kind}, {size >> 10} KB: who named nobody is answered",
            f"{late} failed, {len(early)} more in the first {UNDER_WAY:g} s, of {len(these)}",
            late == 0,
        )
    cut = [one for one in by_chance if any(0 < spell.begin - one.at < 1 for spell in spells) and not one.whole]
    yield Claim(f"{kind}: sent in the second before, and lost", str(len(cut)), None)
    named = [one for one in sent if one.named and any(spell.holds(one) for spell in spells)]
    named = [one for one in named if not any(0 <= one.at - spell.begin < UNDER_WAY for spell in spells)]
    got = Counter(one.status for one in named)
    itself = [one for one in named if one.whole and any(0 < spell.end - one.at < AT_ONCE for spell in spells)]
    yield Claim(
        f"{kind}: who names it gets 503, or in its last {AT_ONCE:g} s an answer of its own",
        ", ".join(f"{count} x {status or 'no answer'}" for status, count in got.most_common()) + f" of {len(named)}",
        got[503] + len(itself) == len(named),
    )


async def _run(kinds: Iterable[str], *, reset: bool) -> tuple[list[Sent], list[Illness], int]:
    plan = compile_text(ROUTES.replace("RESET", str(reset).lower()), "routes.yaml", target="envoy")
    ills: list[Illness] = []
    strangers = 0
    async with rig(plan=plan, keys=KEYS, variables=VARIABLES) as made:
        sending = asyncio.create_task(_send(made.url))
        await asyncio.sleep(2)
        for kind in kinds:
            for _ in range(TIMES):
                strangers += _strangers(made, "two")  # it forgets them when it dies
                ills += [await _ill(made, kind)]
        sending.cancel()
        sent = await sending
        strangers += sum(_strangers(made, name) for name in KEYS)
    return sent, ills, strangers


async def _ill(made: Rig, kind: str) -> Illness:
    engine, instead = made.engines["two"], _instead(kind, made.address("two"))
    begin = time.monotonic()
    engine.signal(signal.SIGTERM if kind == "drained" else signal.SIGKILL)
    await engine.ended()
    with instead:
        await asyncio.sleep(DOWN)
        end = time.monotonic()
    engine.start()
    await made.back("two")
    await asyncio.sleep(1)
    return Illness(kind, begin, end)


def _instead(kind: str, address: tuple[str, int]) -> AbstractContextManager[None]:
    kinds = {"black hole": black_hole, "resetting": resetting}
    return kinds[kind](address) if kind in kinds else nullcontext()


def _strangers(made: Rig, name: str) -> int:
    host, port = made.address(name)
    with urllib.request.urlopen(f"http://{host}:{port}/strangers", timeout=10) as response:
        return len(json.load(response))


async def _send(url: str) -> list[Sent]:
    """Each size at its own rate, in an open loop, until this is cancelled; then wait for the answers."""
    sent: list[Sent] = []
    under_way: set[asyncio.Task[None]] = set()
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:

        async def steadily(size: int, pause: float) -> None:
            begin, number = time.monotonic(), 0
            while True:
                number += 1
                await asyncio.sleep(max(begin + number * pause - time.monotonic(), 0))
                one = Sent(time.monotonic(), size, named=size == min(SIZES) and number % NAMED == 0)
                sent.append(one)
                task = asyncio.create_task(_ask(session, one))
                under_way.add(task)
                task.add_done_callback(under_way.discard)

        loops = [asyncio.create_task(steadily(size, pause)) for size, pause in SIZES.items()]
        try:
            await asyncio.gather(*loops)
        except asyncio.CancelledError:
            await asyncio.gather(*under_way, return_exceptions=True)
    return sent


async def _ask(session: aiohttp.ClientSession, one: Sent) -> None:
    fields = {"model": "m", **({"inference_server": "two"} if one.named else {}), "pad": ""}
    data = json.dumps(fields | {"pad": "x" * (one.size - len(json.dumps(fields)))}).encode()
    try:
        async with session.post(
            "/v1/chat/completions", data=data, headers={"content-type": "application/json"}
        ) as response:
            one.status = response.status
            answer = await response.json()
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return
    if one.status != 200:  # noqa: PLR2004 - HTTP's OK
        one.code = answer["error"]["code"]
        return
    one.whole = answer["bytes"] == len(data)
    one.right = not one.named or answer["engine"] == "two"
