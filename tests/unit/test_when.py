"""Conditions: how ``when`` is written, and which requests it lets through."""

from __future__ import annotations

import pytest

from routegen_router.decide import ONLY_CANDIDATE, Route
from routegen_router.request import Facts, Source
from routegen_router.rules import Prefer, Split
from routegen_router.when import Condition
from support.policy import HEADER, facts, run
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
