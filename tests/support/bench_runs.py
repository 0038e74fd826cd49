"""Made-up bench runs: a run folder's records without a server, for tests of what is computed and shown."""

from __future__ import annotations

import random

import msgspec

from routegen.bench.design import Arm, Comparison, Design, Load, Run, Slo
from routegen.bench.records import FORMAT, Block, Part, Recorded, Request
from routegen.bench.schedule import order
from routegen.bench.simulate import Machine

DESIGN = Design(
    seed=1,
    blocks=20,
    requests=16,
    load=Load(kind="closed", concurrency=4),
    warmup=8,
    path="/v1/chat/completions",
    input_tokens=128,
    output_tokens=11,
    cache="cold",
    ignore_eos=True,
    sampling={"temperature": 0},
    timeout=60,
    primary="e2e",
    margin=0.03,
    confidence=0.96,
    slo=Slo(ttft=0.2),
)


def make_run(*names: str, design: Design = DESIGN, control: bool = False) -> Run:
    """A run of direct arms, each compared with the first; ``control`` repeats the first."""
    arms = [
        Arm(name=name, engine=name, url=f"http://127.0.0.1:{8000 + number}", model="m", via="direct")
        for number, name in enumerate(names)
    ]
    comparisons = [Comparison(base=names[0], other=name, question="engines") for name in names[1:]]
    if control:
        again = f"{names[0]} again"
        arms.append(msgspec.structs.replace(arms[0], name=again, repeats=names[0]))
        comparisons.append(Comparison(base=names[0], other=again, question="control"))
    return Run(
        format=FORMAT,
        id="0123abcd",
        started_at="2026-01-02T03:04:05+00:00",
        version="0.1.0",
        design=design,
        arms=tuple(arms),
        slots=tuple((arm.name,) for arm in arms),
        comparisons=tuple(comparisons),
        environment={"python": "3.11"},
    )


def measure(
    run: Run, seed: int = 0, *, slower: dict[str, float] | None = None, machine: Machine | None = None
) -> Recorded:
    """Records as a run on ``machine`` would have left them.

    :param slower: arm -> the factor on its latencies; 1 where it isn't named.
    """
    draw = random.Random(seed)
    machine_parts = (machine or Machine()).parts(draw)
    now = 0.0
    requests: list[Request] = []
    blocks: list[Block] = []
    for number in range(run.design.blocks):
        parts = []
        for slot in order(run.slots, seed=run.design.seed, block=number):
            started = now
            for arm in slot:
                speeds = machine_parts.next(run.design.requests, (slower or {}).get(arm, 1.0))
                for index, speed in enumerate(speeds):
                    requests.append(answered(run, number, arm, index, now + index, 0.1 * speed, 0.01 * speed))
            now += run.design.requests
            parts.append(Part(arms=slot, started=started, ended=now, late=0.0015))
        blocks.append(Block(session=0, block=number, parts=tuple(parts)))
    return Recorded(run, tuple(requests), tuple(blocks), ())


def answered(run: Run, block: int, arm: str, prompt: int, sent: float, ttft: float, tpot: float) -> Request:
    """One request that went well, a chunk a token."""
    tokens = run.design.output_tokens
    chunks = tuple(ttft + tpot * index for index in range(tokens))
    return Request(
        session=0,
        block=block,
        arm=arm,
        prompt=prompt,
        scheduled=sent,
        sent=sent,
        status=200,
        headers=ttft / 2,
        first=chunks[0],
        first_content=chunks[0],
        chunks=chunks,
        end=chunks[-1] + 0.001,
        finish="length",
        prompt_tokens=run.design.input_tokens,
        completion_tokens=tokens,
        cached_tokens=0,
        characters=5 * tokens,
    )
