"""More than a thousand requests of every kind through a real Envoy: each arrives where it must, byte for byte.

Where each must go is written down by hand in :mod:`support.corpus`.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from routegen.explain import knowledge
from routegen.explain import report as explain
from routegen.explain.gateway import Request as Asked
from support import corpus
from support.corpus import LIMIT, MIB, Case, Request, exactly, variants
from support.gateway import Gateway, Reply, gateway
from support.sending import outcome, send

EXAMPLES = Path(__file__).parents[2] / "examples"
AT_ONCE = 12
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
ADAPTER = "llama-3.1-8b-legal-v3"


@dataclass(frozen=True)
class Setting:
    """An example, what its mock engines serve, and the requests for it."""

    example: str
    models: Mapping[str, Sequence[str]]
    requests: tuple[Request, ...]


LARGE_CASES = (corpus.TWO_ENGINES[0], corpus.TWO_ENGINES[1], corpus.TWO_ENGINES[4], corpus.TWO_ENGINES[13])
LARGE = (
    *(exactly(case, f"1m-{n}", MIB + n, http2=n % 2 == 1) for n, case in enumerate(LARGE_CASES)),
    *(exactly(case, f"5m-{n}", 5 * MIB, framing="chunked", http2=n % 2 == 1) for n, case in enumerate(LARGE_CASES)),
    exactly(LARGE_CASES[0], "16m", 16 * MIB, http2=True),
    exactly(LARGE_CASES[1], "32m", LIMIT),
    exactly(LARGE_CASES[0], "32m-chunked", LIMIT, framing="chunked"),
)
SETTINGS = (
    Setting(
        "two-engines",
        {
            "vllm": ("Qwen/Qwen2.5-0.5B-Instruct", "facebook/opt-125m"),
            "sglang": ("Qwen/Qwen2.5-0.5B-Instruct", "lmsys/vicuna-7b"),
        },
        (*variants(corpus.TWO_ENGINES, 520, seed=1), *LARGE),
    ),
    Setting(
        "five-models",
        {
            "vllm-a": (LLAMA, ADAPTER),
            "vllm-b": (LLAMA, ADAPTER, "mistralai/Mistral-7B-Instruct-v0.3"),
            "sglang": ("Qwen/Qwen2.5-7B-Instruct", LLAMA),
            "trtllm-1": ("meta-llama/Llama-3.3-70B-Instruct",),
            "trtllm-2": ("meta-llama/Llama-3.3-70B-Instruct",),
            "embeddings": ("BAAI/bge-m3",),
        },
        tuple(variants(corpus.FIVE_MODELS, 300, seed=2)),
    ),
    Setting("canary", {"stable": (LLAMA,), "canary": (LLAMA,)}, tuple(variants(corpus.CANARY, 120, seed=3))),
    Setting(
        "outside-kubernetes",
        {"workstation": ("lab-model",), "datacenter": ("Qwen/Qwen2.5-72B-Instruct",)},
        tuple(variants(corpus.OUTSIDE, 100, seed=4)),
    ),
)


def test_there_are_more_than_a_thousand_requests() -> None:
    """The sum is what the README promises."""
    requests = [request for setting in SETTINGS for request in setting.requests]
    assert len(requests) > 1_000
    assert len({request.tag for request in requests}) == len(requests)
    assert min(len(request.body) for request in requests) < 100
    assert max(len(request.body) for request in requests) == 32 * MIB


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.example)
async def test_every_request_arrives_where_it_must_byte_for_byte(setting: Setting) -> None:
    """Also: the response header tells the truth, engines see the header once, and `explain` agrees."""
    routes = (EXAMPLES / setting.example / "routes.yaml").read_text()
    with gateway(routes, setting.models) as running:
        replies = await _send_all(running, setting.requests)
        known = await asyncio.to_thread(knowledge.polled, explain.checked_config(running.plan))
        problems = [
            f"{request.tag} {request.framing} h2={request.http2} {request.case}: {problem}"
            for request, reply in zip(setting.requests, replies, strict=True)
            for problem in _problems(running, known, request, reply)
        ]
    assert not problems, "\n".join(problems[:20])
    _assert_splits_reach_everyone(setting.requests, replies)


async def _send_all(running: Gateway, requests: Iterable[Request]) -> list[Reply]:
    # Each body without a content-length is charged the maximum: more at once would pass the bound on bytes in flight.
    gates = {True: asyncio.Semaphore(5), False: asyncio.Semaphore(AT_ONCE)}

    async def one(request: Request) -> Reply:
        async with gates[request.framing != "length" or len(request.body) > MIB]:
            return await send(session, running.port, request)

    async with aiohttp.ClientSession() as session:
        return list(await asyncio.gather(*(one(request) for request in requests)))


def _problems(running: Gateway, known: knowledge.Knowledge, request: Request, reply: Reply) -> Iterable[str]:
    """What is wrong with what came of ``request``."""
    allowed = (request.case.expect,) if isinstance(request.case.expect, str) else request.case.expect
    came = outcome(reply)
    if came not in allowed:
        yield f"came to {came}: {reply.body[:300]!r}"
    arrived = {
        name: received
        for name, engine in running.engines.items()
        for received in engine.recorder.generations()
        if received.header("x-tag") == (request.tag,)
    }
    refused = came.startswith("4")
    if list(arrived) != ([] if refused else [came]):
        yield f"the client was told {came}, it arrived at {list(arrived)}"
    for name, received in arrived.items():
        if (len(received.body), received.sha256) != (len(request.body), hashlib.sha256(request.body).hexdigest()):
            yield "the body changed"
        if received.header("x-inference-server") != (name,):
            yield f"the engine saw the routing header as {received.header('x-inference-server')}"
        if received.header("x_inference_server"):
            yield "the engine saw the routing header with underscores"
    told = explain.explain(
        running.plan, known, Asked("POST", request.case.path, request.headers, request.body), random.random
    )
    explained = told.backend or f"{told.reply.status} {told.code}"
    if explained not in allowed:
        yield f"explain says {explained}"


def _assert_splits_reach_everyone(requests: Iterable[Request], replies: Iterable[Reply]) -> None:
    """Where several backends may come out, each does (a canary of 1 % aside)."""
    seen: dict[Case, Counter[str]] = {}
    for request, reply in zip(requests, replies, strict=True):
        if isinstance(request.case.expect, tuple) and "canary" not in request.case.expect:
            seen.setdefault(request.case, Counter())[outcome(reply)] += 1
    for case, counts in seen.items():
        assert set(counts) <= set(case.expect)
    assert not seen or any(len(counts) > 1 for counts in seen.values())
