"""The routing policy: tables of requests and the decisions that they must get."""

from __future__ import annotations

import pytest

from routegen_router.config import Condition, Lookup, Prefer, Refuse, Source, Split
from routegen_router.decide import ONLY_CANDIDATE, Facts, Route
from routegen_router.refusals import Reject
from support.policy import BY_ENGINE, EVEN, HEADER, facts, refused, run


@pytest.mark.parametrize(
    ("request_", "backend_", "rule"),
    [
        (facts(engine="sglang"), "sglang", "engine"),
        (facts(engine="vllm-b"), "vllm-b", "engine"),
        (facts(engine="nvidia"), "trtllm", "engine"),
        (facts(owner="sglang"), "sglang", "owner"),
        (facts(engine="vllm", owner="vllm-a"), "vllm-a", "owner"),
        (facts(engine="vllm", model="mistral"), "vllm-b", "engine"),
        (facts(engine="vllm", model="llama-lora-7"), "vllm-a", "engine"),
        (facts(model="qwen"), "sglang", "split"),
        (facts(model="big"), "trtllm", ONLY_CANDIDATE),
        (facts(model="mistral"), "vllm-b", "split"),
    ],
)
def test_a_request_that_leaves_one_backend_goes_there(request_: Facts, backend_: str, rule: str) -> None:
    assert run(request_) == Route(backend_, rule)


@pytest.mark.parametrize(
    ("request_", "point", "backend_"),
    [
        (facts(), 0.0, "vllm-a"),
        (facts(), 0.49, "vllm-a"),
        (facts(), 0.51, "sglang"),
        (facts(), 0.999, "sglang"),
        (facts(engine="vllm"), 0.49, "vllm-a"),
        (facts(engine="vllm"), 0.51, "vllm-b"),
        (facts(model="llama"), 0.51, "sglang"),
    ],
)
def test_a_split_shares_a_names_weight_among_its_candidates(request_: Facts, point: float, backend_: str) -> None:
    assert run(request_, point=point) == Route(backend_, "split")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (facts(engine="gold"), (400, "unknown_inference_server", "inference_server", "engine")),
        (facts(engine=""), (400, "unknown_inference_server", "inference_server", "engine")),
        (facts(engine="VLLM"), (400, "unknown_inference_server", "inference_server", "engine")),
        (facts(owner="gold"), (400, "unknown_value", "owned_by", "owner")),
        (facts(engine="sglang", model="mistral"), (400, "engine_model_mismatch", "inference_server", "engine")),
        (facts(engine="vllm", owner="sglang"), (400, "engine_model_mismatch", "owned_by", "owner")),
        (facts(model="gpt-5"), (404, "model_not_found", "model", None)),
        (facts(model="gpt-5", engine="vllm"), (404, "model_not_found", "model", None)),
        (facts(model=""), (404, "model_not_found", "model", None)),
        (facts(model="LLAMA"), (404, "model_not_found", "model", None)),
    ],
)
def test_what_names_nothing_possible_is_refused(
    request_: Facts, expected: tuple[int, str, str | None, str | None]
) -> None:
    assert refused(run(request_)) == expected


def test_refusals_name_what_would_be_right() -> None:
    unknown, mismatch, missing = (
        run(facts(engine="gold")),
        run(facts(engine="sglang", model="mistral")),
        run(facts(model="x")),
    )
    assert isinstance(unknown, Reject)
    assert unknown.message == (
        '"gold" is not a value that this gateway knows; allowed: nvidia, sglang, trtllm, vllm, vllm-a, vllm-b.'
    )
    assert isinstance(mismatch, Reject)
    assert mismatch.message == '"sglang" does not serve the model "mistral" here; it is served by: vllm-b.'
    assert isinstance(missing, Reject)
    assert missing.message == 'The model "x" is not served here; available: llama, mistral, qwen, big.'


@pytest.mark.parametrize("value", ["a" * 5000, "a\nb", 'a"b', "a\x1b[31m", "\u202egold"])
def test_a_clients_text_is_quoted_harmlessly(value: str) -> None:
    decision = run(facts(engine=value))
    assert isinstance(decision, Reject)
    assert decision.message.isprintable()
    assert len(decision.message) < 250
    assert decision.message.count('"') in (0, 2)


@pytest.mark.parametrize(
    ("rule", "header", "expected"),
    [
        (Lookup(name="h", source=HEADER, values=(("fast", "sglang"), ("v*", "vllm-b"))), "fast", Route("sglang", "h")),
        (Lookup(name="h", source=HEADER, values=(("fast", "sglang"), ("v*", "vllm-b"))), "v1", Route("vllm-b", "h")),
        (Lookup(name="h", source=HEADER, values=(("v1", "sglang"), ("v*", "vllm-b"))), "v1", Route("sglang", "h")),
        (Lookup(name="h", source=HEADER, values=(("fast", "sglang"),)), "sglang", "unknown_value"),
        (Lookup(name="h", source=HEADER), "sglang", Route("sglang", "h")),
        (Lookup(name="h", source=HEADER), "slow", "unknown_value"),
        (Lookup(name="h", source=HEADER), None, Route("vllm-a", "split")),
        (Lookup(name="h", source=HEADER, on_unknown="next"), "slow", Route("vllm-a", "split")),
        (Lookup(name="h", source=HEADER), "trtllm", "engine_model_mismatch"),
        (Lookup(name="h", source=HEADER, on_mismatch="next"), "trtllm", Route("vllm-a", "split")),
    ],
)
def test_a_header_chooses_like_a_field(rule: Lookup, header: str | None, expected: Route | str) -> None:
    decision = run(facts(header=header, model="llama"), (rule, EVEN))
    assert (decision.code if isinstance(decision, Reject) else decision) == expected


def test_a_table_of_values_names_itself_as_what_is_allowed() -> None:
    decision = run(facts(header="x"), (Lookup(name="h", source=HEADER, values=(("fast", "sglang"), ("v*", "vllm"))),))
    assert isinstance(decision, Reject)
    assert decision.message.endswith("allowed: fast, v*.")
    assert decision.param == "x-engine"


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


def test_a_chain_that_ends_in_reject_refuses_with_its_message() -> None:
    decision = run(facts(), (BY_ENGINE, Refuse(name="no", message="Name an engine.")))
    assert refused(decision) == (400, "no_route", None, "no")
    assert isinstance(decision, Reject)
    assert decision.message == "Name an engine."


def test_a_chain_that_chose_nothing_refuses() -> None:
    assert refused(run(facts(), (BY_ENGINE,))) == (400, "no_route", None, None)
    assert refused(run(facts(model="llama"), ())) == (400, "no_route", None, None)


@pytest.mark.parametrize(("point", "backend_"), [(0.0, "vllm-a"), (0.49, "vllm-a"), (0.5, "vllm-b"), (0.99, "vllm-b")])
def test_what_a_rule_left_is_split_evenly_at_the_chains_end(point: float, backend_: str) -> None:
    assert run(facts(engine="vllm"), (BY_ENGINE,), point) == Route(backend_, "engine")


def test_a_preference_narrows_and_what_follows_chooses_within() -> None:
    rules = (Prefer(name="p", names=("vllm",)), Split(name="s", weights=(("vllm-b", 1), ("sglang", 9))))
    assert run(facts(model="llama"), rules) == Route("vllm-b", "s")
    assert run(facts(model="qwen"), rules) == Route("sglang", "s")
