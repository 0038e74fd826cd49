"""Whatever way the answers of one arm are bad, that arm is never called better for it: real HTTP, whole runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from routegen.bench import records
from routegen.bench.analysis import analyse
from routegen.bench.design import Load
from routegen.bench.measure import measure
from routegen.common.problems import UserError
from support.bench_runs import DESIGN, make_run
from support.bench_server import DONE, OPENING, Exchange, Server, event, usage

Script = Callable[[Exchange], Awaitable[None]]
ASKED = 32
WORDS = ("the ", "quick ", "brown ", "fox ", "jumps ", "over ", "a ", "lazy ", "dog ", "and ", "runs ")
DESIGNED = msgspec.structs.replace(
    DESIGN, requests=4, warmup=4, output_tokens=ASKED, input_tokens=40, load=Load(kind="closed", concurrency=4)
)


def answer(*pieces: bytes) -> Script:
    async def script(exchange: Exchange) -> None:
        exchange.writer.write(b"".join((OPENING, *pieces)))
        await exchange.writer.drain()

    return script


def words(count: int, finish: str | None = "length") -> bytes:
    texts = [WORDS[number % len(WORDS)] for number in range(count)]
    return b"".join([*map(event, texts[:-1]), event(texts[-1], finish_reason=finish)])


WHOLE = answer(words(ASKED), usage(ASKED), DONE)
BAD: dict[str, Script] = {
    "short": answer(words(2), usage(2), DONE),
    "short, and stops": answer(words(2, "stop"), usage(2), DONE),
    "short, and no usage": answer(words(2, "stop"), DONE),
    "aborted": answer(words(2, "abort"), usage(2), DONE),
    "an unknown end": answer(words(ASKED, "gave_up"), usage(ASKED), DONE),
    "filtered": answer(words(2, "content_filter"), usage(ASKED), DONE),
    "no end": answer(words(ASKED, None), usage(ASKED), DONE),
    "an error in band": answer(words(2), b'data: {"error": {"message": "out of memory"}}\n\n', DONE),
    "an error event": answer(words(2), b'event: error\ndata: {"message": "out of memory"}\n\n', DONE),
    "an error event alone": answer(b'event: error\ndata: {"message": "out of memory"}\n\n', DONE),
    "empty": answer(event("", finish_reason="length"), usage(ASKED), DONE),
    "one token again and again": answer(*[event("!")] * 47, event("!", finish_reason="length"), usage(ASKED), DONE),
    "fewer tokens than usage says": answer(words(2), usage(ASKED), DONE),
    "fewer tokens, and no usage": answer(words(2), DONE),
}


@pytest.mark.parametrize("share", [1, 3], ids=["always", "every third"])
@pytest.mark.parametrize("bad", BAD)
async def test_bad_answers_are_never_better(tmp_path: Path, bad: str, share: int) -> None:
    """The other arm's answers come 10 ms later, so by its latencies the bad one would win."""
    answered = 0

    async def sometimes(exchange: Exchange) -> None:
        nonlocal answered
        answered += 1
        await (BAD[bad] if answered % share == 0 else WHOLE)(exchange)

    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(0.01)
        await WHOLE(exchange)

    async with Server(slow) as good, Server(sometimes) as worse:
        run = make_run("good", "bad", design=msgspec.structs.replace(DESIGNED, blocks=2))
        arms = [msgspec.structs.replace(arm, url=url) for arm, url in zip(run.arms, (good.url, worse.url), strict=True)]
        run = msgspec.structs.replace(run, arms=tuple(arms))
        records.create(tmp_path, run)
        try:
            await measure(tmp_path, lambda _: None)
        except UserError as error:
            assert str(error).startswith("bad: none of 4 requests was answered: ")  # noqa: PT017 - one of two ends
            return
    found = analyse(records.read(tmp_path))
    assert any(check.level == "fail" and "bad" in check.message for check in found.checks)
    assert not found.valid
