"""Conditions: how ``when`` is written, and which requests it lets through."""

from __future__ import annotations

import json

import pytest

from routegen_router.decide import ONLY_CANDIDATE, Route
from routegen_router.messages import Body, Headers, Routed
from routegen_router.policy import Policy
from routegen_router.request import Facts, Source
from routegen_router.rules import NoRoute, Prefer, Split
from routegen_router.stream import Stream
from routegen_router.when import Bounds, Condition
from support.policy import BACKENDS, HEADER, PATH, config, facts, run, view
from support.written import rule


def test_it_is_written_like_this() -> None:
    text = "{when: {path: /v1/emb*, model: 'm-*', body: {n: 1, t: true, f: 1.5}, header: {X-T: gold}}, reject: No.}"
    assert rule(text).when == (
        Condition(pattern="gold", source=Source(header="x-t")),
        Condition(pattern="1", source=Source(body=("n",))),
        Condition(pattern="true", source=Source(body=("t",))),
        Condition(pattern="1.5", source=Source(body=("f",))),
        Condition(pattern="m-*", attribute="model"),
        Condition(pattern="/v1/emb*", attribute="path"),
    )


def test_what_text_cannot_say_is_written_as_a_mapping() -> None:
    text = (
        "{when: {body: {max_tokens: {above: 4096}, messages: {items: {atLeast: 2}, characters: {below: 9}},"
        " tools: {present: true}}, header: {x-n: {atMost: 1.5}, x-b: {present: false}}, size: {above: 1Ki}},"
        " reject: No.}"
    )
    assert rule(text).when == (
        Condition(bounds=Bounds(at_most=1.5), source=Source(header="x-n")),
        Condition(present=False, source=Source(header="x-b")),
        Condition(bounds=Bounds(above=4096.0), source=Source(body=("max_tokens",))),
        Condition(measure="items", bounds=Bounds(at_least=2.0), source=Source(body=("messages",))),
        Condition(measure="characters", bounds=Bounds(below=9.0), source=Source(body=("messages",))),
        Condition(present=True, source=Source(body=("tools",))),
        Condition(bounds=Bounds(above=1024.0), attribute="size"),
    )


LIMIT = Condition(bounds=Bounds(above=4096), source=Source(body=("max_tokens",)))
TOOLS = Condition(present=True, source=Source(body=("tools",)))
NO_TOOLS = Condition(present=False, source=Source(body=("tools",)))
MANY = Condition(measure="items", bounds=Bounds(above=2), source=Source(body=("messages",)))
LONG = Condition(measure="characters", bounds=Bounds(at_least=10), source=Source(body=("messages",)))
BIG = Condition(bounds=Bounds(at_least=100, at_most=200), attribute="size")
NO_HEADER = Condition(present=False, source=Source(header="x-engine"))


@pytest.mark.parametrize(
    ("test", "body", "holds"),
    [
        (LIMIT, {"max_tokens": 4097}, True),
        (LIMIT, {"max_tokens": 4096}, False),
        (LIMIT, {"max_tokens": 5e3}, True),
        (LIMIT, {"max_tokens": "many"}, False),
        (LIMIT, {"max_tokens": "nan"}, False),
        (LIMIT, {"max_tokens": True}, False),
        (LIMIT, {"max_tokens": None}, False),
        (LIMIT, {"max_tokens": [5000]}, False),
        (LIMIT, {}, False),
        (TOOLS, {"tools": []}, True),
        (TOOLS, {"tools": False}, True),
        (TOOLS, {"tools": None}, False),
        (TOOLS, {}, False),
        (NO_TOOLS, {"tools": {}}, False),
        (NO_TOOLS, {"tools": None}, True),
        (NO_TOOLS, {}, True),
        (MANY, {"messages": [1, [2], {}]}, True),
        (MANY, {"messages": [1, 2]}, False),
        (MANY, {"messages": {"a": 1, "b": 2, "c": 3}}, True),
        (MANY, {"messages": "abc"}, False),
        (MANY, {}, False),
        (LONG, {"messages": "ten letter"}, True),
        (LONG, {"messages": [{"role": "user", "content": "hello!"}, {"n": 5}]}, True),
        (LONG, {"messages": [{"role": "user", "content": "hello"}]}, False),
        (LONG, {"messages": "ünïcödé"}, False),
        (LONG, {"messages": 12345678901}, False),
        (BIG, {"pad": "x" * 100}, True),
        (BIG, {"pad": "x"}, False),
        (BIG, {"pad": "x" * 300}, False),
        (NO_HEADER, {}, True),
    ],
)
def test_a_request_passes_where_its_body_is_so(test: Condition, body: object, holds: bool) -> None:
    made = config(BACKENDS, (Prefer(name="p", names=("sglang",), when=(test,)), NoRoute(name="none", message="No.")))
    stream = Stream(Policy(made), lambda: view(made), lambda: 0.0)
    data = json.dumps(body, ensure_ascii=False).encode()
    head = ((":method", "POST"), (":path", PATH), ("content-length", str(len(data))))
    stream.on_headers(Headers(head, end_of_stream=False))
    assert isinstance(stream.on_body(Body(data, end_of_stream=True)), Routed) == holds


GOLD = Condition(pattern="gold-*", source=HEADER)


@pytest.mark.parametrize(
    ("when", "request_", "holds"),
    [
        ((GOLD,), facts(header="gold-7"), True),
        ((GOLD,), facts(header="Gold-7"), False),
        ((GOLD,), facts(), False),
        ((Condition(pattern="true", source=Source(body=("stream",))),), facts(stream="true"), True),
        ((Condition(pattern="true", source=Source(body=("stream",))),), facts(stream="false"), False),
        ((Condition(pattern="llama*", attribute="model"),), facts(model="llama"), True),
        ((Condition(pattern="llama*", attribute="model"),), facts(), False),
        ((Condition(pattern="/v1/emb*", attribute="path"),), facts(path="/v1/embeddings"), True),
        ((Condition(pattern="/v1/emb*", attribute="path"),), facts(), False),
        ((GOLD, Condition(pattern="llama", attribute="model")), facts(header="gold-", model="llama"), True),
        ((GOLD, Condition(pattern="llama", attribute="model")), facts(header="gold-", model="qwen"), False),
    ],
)
def test_a_rule_runs_where_all_of_its_conditions_hold(
    when: tuple[Condition, ...], request_: Facts, holds: bool
) -> None:
    decision = run(
        request_, (Prefer(name="p", names=("sglang",), when=when), Split(name="split", weights=(("vllm", 1),)))
    )
    assert isinstance(decision, Route)
    chosen = "p" if holds else ("split" if request_.model != "qwen" else ONLY_CANDIDATE)
    assert decision.rule == chosen
