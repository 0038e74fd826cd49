"""``body`` and ``header``: how they are written, and what they do."""

from __future__ import annotations

import pytest

from routegen_router.decide import Route
from routegen_router.refusals import Reject
from routegen_router.request import Facts, Source
from routegen_router.rules import Lookup
from support.policy import EVEN, HEADER, facts, refused, run
from support.written import rule


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("body: metadata.engine", Lookup(name="body:metadata.engine", source=Source(body=("metadata", "engine")))),
        ("body: /a~1b/c~0d", Lookup(name="body:a/b.c~d", source=Source(body=("a/b", "c~d")))),
        ("{name: n, header: X-Engine}", Lookup(name="n", source=Source(header="x-engine"))),
        (
            "{body: t, values: {fast: a, 'v*': b}, onUnknown: next, onMismatch: next}",
            Lookup(
                name="body:t",
                source=Source(body=("t",)),
                values=(("fast", "a"), ("v*", "b")),
                on_unknown="next",
                on_mismatch="next",
            ),
        ),
    ],
)
def test_it_is_written_like_this(text: str, expected: Lookup) -> None:
    assert rule(text) == expected


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
