"""Measuring for real: mock engines behind HTTP, the run folder in between."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from routegen.bench import conduct, records
from routegen.bench.analysis import analyse
from routegen.bench.design import Design, Load, Run
from routegen.bench.measure import measure
from routegen.bench.progress import Answered, Event, Finished, Started, Warming, decode, encode
from routegen.bench.records import WARMUP
from routegen.common.problems import UserError
from routegen.mock_engine import SGLANG, VLLM, Behaviour, Fault, MockEngine
from support.bench_runs import DESIGN, make_run

QUICK = msgspec.structs.replace(DESIGN, blocks=4, requests=4, warmup=4, output_tokens=5, input_tokens=40)


def run_at(folder: Path, *urls: str, design: Design = QUICK, **more: object) -> Run:
    run = make_run(*("ab"[: len(urls)]), design=design)
    arms = tuple(
        msgspec.structs.replace(arm, url=url, model="mock-model") for arm, url in zip(run.arms, urls, strict=True)
    )
    run = msgspec.structs.replace(run, arms=arms, started_at=datetime.now(UTC).isoformat(), **more)
    records.create(folder, run)
    return run


class StoppedError(Exception):
    """As if the process had been killed."""


async def test_every_arm_gets_the_same_prompts_and_every_block_both_arms(tmp_path: Path) -> None:
    events: list[Event] = []
    async with MockEngine(VLLM, port=0) as a, MockEngine(SGLANG, port=0) as b:
        run = run_at(tmp_path, a.url, b.url)
        await measure(tmp_path, events.append)

    recorded = records.read(tmp_path)
    assert recorded.done == {0, 1, 2, 3}
    measured = list(recorded.measured())
    assert all(request.error is None for request in measured)
    assert Counter((request.block, request.arm) for request in measured) == {
        (block, arm): 4 for block in range(4) for arm in "ab"
    }
    tokens = {(request.prompt_tokens, request.completion_tokens, request.cached_tokens) for request in measured}
    assert len(tokens) == 1, "equally long prompts and answers, nothing from a cache"
    assert Counter(type(event) for event in events) == {Warming: 2, Started: 8, Answered: 2 * (4 + 16), Finished: 4}
    checks = [check for check in analyse(recorded).checks if check.id not in {"client", "reading"}]
    assert {check.level for check in checks} <= {"ok", "note"}
    assert run.design.blocks == 4


async def test_arms_of_one_slot_are_loaded_at_the_same_time(tmp_path: Path) -> None:
    slow = Behaviour(ttft=0.05)
    async with MockEngine(VLLM, slow, port=0) as a, MockEngine(SGLANG, slow, port=0) as b:
        run_at(tmp_path, a.url, b.url, slots=(("a", "b"),))
        await measure(tmp_path, lambda _: None)
    for block in range(4):
        spans = {
            arm: [
                (request.sent, request.sent + (request.end or 0))
                for request in records.read(tmp_path).measured(arm)
                if request.block == block
            ]
            for arm in "ab"
        }
        assert max(start for start, _ in spans["a"]) < max(end for _, end in spans["b"])
        assert max(start for start, _ in spans["b"]) < max(end for _, end in spans["a"])


async def test_a_stopped_run_goes_on_where_it_was_with_new_prompts_and_a_new_warmup(tmp_path: Path) -> None:
    def stop_in_the_third_block(event: Event) -> None:
        if isinstance(event, Started) and event.block == 2:
            raise StoppedError

    async with MockEngine(VLLM, port=0) as a, MockEngine(SGLANG, port=0) as b:
        run_at(tmp_path, a.url, b.url)
        with pytest.raises(StoppedError):
            await measure(tmp_path, stop_in_the_third_block)
        assert records.read(tmp_path).done == {0, 1}

        await measure(tmp_path, lambda _: None)
        await measure(tmp_path, lambda _: pytest.fail("nothing was left to do"))

    recorded = records.read(tmp_path)
    assert recorded.done == {0, 1, 2, 3}
    assert {(request.session, request.block) for request in recorded.measured()} == {(0, 0), (0, 1), (1, 2), (1, 3)}
    assert {request.session for request in recorded.requests if request.block == WARMUP} == {0, 1}
    assert all(request.cached_tokens == 0 for request in recorded.measured()), "even though block 2 was sent before"


async def test_warm_prompts_are_in_the_cache_when_they_are_measured(tmp_path: Path) -> None:
    design = msgspec.structs.replace(QUICK, cache="warm", input_tokens=64)
    async with MockEngine(VLLM, port=0) as a:
        run_at(tmp_path, a.url, design=design, slots=(("a",),), comparisons=())
        await measure(tmp_path, lambda _: None)
    assert all((request.cached_tokens or 0) >= 48 for request in records.read(tmp_path).measured())


async def test_an_open_loop_records_when_each_request_was_due(tmp_path: Path) -> None:
    design = msgspec.structs.replace(QUICK, load=Load(kind="constant", rate=50.0), blocks=1)
    async with MockEngine(VLLM, port=0) as a:
        run_at(tmp_path, a.url, design=design, slots=(("a",),), comparisons=())
        await measure(tmp_path, lambda _: None)
    due = sorted(request.scheduled for request in records.read(tmp_path).measured())
    assert [later - due[0] for later in due] == pytest.approx([0.0, 0.02, 0.04, 0.06], abs=1e-5)
    assert all(request.sent >= request.scheduled - 1e-6 for request in records.read(tmp_path).measured())


async def test_an_engine_that_answers_nothing_stops_the_run_with_its_reason(tmp_path: Path) -> None:
    broken = Behaviour(fault=Fault("status", 500))
    async with MockEngine(VLLM, broken, port=0) as a:
        run_at(tmp_path, a.url, slots=(("a",),), comparisons=())
        with pytest.raises(UserError, match=r"a: none of 4 requests was answered: HTTP 500.*; it says: "):
            await measure(tmp_path, lambda _: None)


async def test_the_api_key_is_sent_and_not_recorded(tmp_path: Path) -> None:
    async with MockEngine(VLLM, port=0) as a:
        run_at(tmp_path, a.url, slots=(("a",),), comparisons=(), api_key_env="KEY")
        await measure(tmp_path, lambda _: None, {"KEY": "sesame"})
        assert {received.header("authorization") for received in a.recorder.requests} == {("Bearer sesame",)}
    recorded = records.read(tmp_path)
    assert b"sesame" not in msgspec.json.encode([recorded.run, recorded.requests, recorded.blocks])


async def test_a_missing_api_key_is_said(tmp_path: Path) -> None:
    run_at(tmp_path, "http://127.0.0.1:9", slots=(("a",),), comparisons=(), api_key_env="KEY")
    with pytest.raises(UserError, match="the API key of a: the environment variable KEY is empty or not there"):
        await measure(tmp_path, lambda _: None, {})


def test_the_measuring_process_says_what_stands_in_its_way(tmp_path: Path) -> None:
    run_at(tmp_path, "http://127.0.0.1:9", slots=(("a",),), comparisons=())
    with pytest.raises(UserError, match=r"a: none of 4 requests was answered: no connection"):
        conduct.conduct(tmp_path, lambda _: None)


def test_ctrl_c_stops_the_measuring_process_at_once(tmp_path: Path) -> None:
    run_at(tmp_path, "http://127.0.0.1:9", slots=(("a",),), comparisons=())

    def interrupt(_: Event) -> None:
        raise KeyboardInterrupt

    assert conduct.conduct(tmp_path, interrupt) is False


async def test_the_measuring_process_does_not_outlive_who_started_it(tmp_path: Path) -> None:
    async with MockEngine(VLLM, Behaviour(fault=Fault("hang")), port=0) as a:
        run_at(tmp_path, a.url, slots=(("a",),), comparisons=())
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "routegen.bench.measure", str(tmp_path), stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        assert child.stdin is not None
        assert child.stdout is not None
        assert decode(await child.stdout.readline()) == Warming(("a",))
        child.stdin.close()
        assert await asyncio.wait_for(child.wait(), 30) == 130


@pytest.mark.parametrize(
    "event",
    [
        Warming(("a",)),
        Started(3, ("a", "b")),
        Answered("a", 0.1, 0.2, 5, None),
        Answered("a", None, None, None, "reset"),
        Finished(3),
    ],
)
def test_what_the_measuring_process_tells_survives_the_pipe(event: Event) -> None:
    assert decode(encode(event)) == event
