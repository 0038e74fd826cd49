"""The routing policy's trace, and what must hold for every request and every chain."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen_router.decide import END, MODEL, ONLY_CANDIDATE, Route, Step, decide
from routegen_router.request import Facts
from routegen_router.rules import Prefer, Rule
from routegen_router.when import Condition
from support.policy import BACKENDS, BY_ENGINE, CHAIN, ENGINE, HEADER, OWNED_BY, config, facts, view
from support.rules import any_rule, chains


def test_the_trace_tells_every_step() -> None:
    trace: list[Step] = []
    made = config(BACKENDS, (Prefer(name="p", names=("trtllm",)), *CHAIN))
    decide(facts(owner="vllm", model="llama"), made, view(made), lambda: 0.7, trace)
    three = ("vllm-a", "vllm-b", "sglang")
    assert trace == [
        Step(MODEL, "started", 'these serve "llama"', three),
        Step("p", "passed", "none of trtllm is a candidate that answers", three),
        Step("engine", "passed", "body: inference_server is absent", three),
        Step("owner", "narrowed", 'body: owned_by is "vllm"', ("vllm-a", "vllm-b")),
        Step("split", "decided", "by weight", ("vllm-b",), {"vllm-a": 0.5, "vllm-b": 0.5}),
    ]


@pytest.mark.parametrize(
    ("request_", "rules", "rule", "outcome"),
    [
        (facts(model="gpt-5"), CHAIN, MODEL, "rejected"),
        (facts(engine="gold"), CHAIN, "engine", "rejected"),
        (facts(engine="sglang"), CHAIN, "engine", "decided"),
        (facts(), (BY_ENGINE,), END, "rejected"),
        (facts(engine="vllm"), (BY_ENGINE,), END, "decided"),
        (facts(model="big"), (BY_ENGINE,), END, "decided"),
    ],
)
def test_the_traces_last_step_is_the_decision(
    request_: Facts, rules: tuple[Rule, ...], rule: str, outcome: str
) -> None:
    trace: list[Step] = []
    made = config(BACKENDS, rules)
    decision = decide(request_, made, view(made), lambda: 0.0, trace)
    assert (trace[-1].rule, trace[-1].outcome) == (rule, outcome)
    if isinstance(decision, Route):
        assert trace[-1].candidates == (decision.backend,)


# What must hold for every request and every chain.

GOLD = Condition(pattern="gold-*", source=HEADER)
NAMES = st.sampled_from(["vllm-a", "vllm-b", "sglang", "trtllm", "vllm", "nvidia", "nobody"])
KNOWN = st.sampled_from(["vllm-a", "vllm-b", "sglang", "trtllm", "vllm", "nvidia"])
WHENS = st.just(()) | st.sampled_from([(GOLD,), (Condition(pattern="llama*", attribute="model"),)])
RULES = any_rule(KNOWN, st.sampled_from([ENGINE, OWNED_BY, HEADER]), WHENS)
CHAINS = chains(RULES)
REQUESTS = st.builds(
    facts,
    engine=st.none() | NAMES,
    owner=st.none() | NAMES,
    model=st.none() | st.sampled_from(["llama", "llama-x", "qwen", "mistral", "big", "gpt-5"]),
    header=st.none() | NAMES | st.just("gold-7"),
)


@given(REQUESTS, CHAINS, st.floats(0, 1, exclude_max=True), st.sets(st.sampled_from([one.name for one in BACKENDS])))
def test_a_decision_is_always_a_backend_that_serves_the_model(
    request_: Facts, rules: tuple[Rule, ...], point: float, dead: set[str]
) -> None:
    made = config(BACKENDS, rules)
    known = view(made, dead=dead)
    trace: list[Step] = []
    decision = decide(request_, made, known, lambda: point, trace)
    assert decision == decide(request_, made, known, lambda: point)
    for before, after in itertools.pairwise(trace):
        assert set(after.candidates) <= set(before.candidates)
    if isinstance(decision, Route):
        serving = known.serving(request_.model) if request_.model is not None else known.names
        assert decision.backend in serving
        assert decision.rule in {rule.name for rule in rules} | {ONLY_CANDIDATE}
        assert trace[-1].outcome == "decided"
    else:
        assert trace[-1] == msgspec.structs.replace(trace[-1], outcome="rejected", why=decision.message)


@given(REQUESTS, CHAINS, st.sampled_from(["vllm-a", "vllm-b", "sglang", "trtllm"]))
def test_a_backend_that_dies_never_changes_an_explicit_choice(
    request_: Facts, rules: tuple[Rule, ...], chosen: str
) -> None:
    made = config(BACKENDS, (BY_ENGINE, *rules))
    asked = Facts(request_.path, request_.model, {**request_.fields, ("inference_server",): chosen}, request_.headers)
    alive = decide(asked, made, view(made), lambda: 0.5)
    assert decide(asked, made, view(made, dead={chosen}), lambda: 0.5) == alive
    assert alive == Route(chosen, "engine") if isinstance(alive, Route) else alive.code != "no_route"
