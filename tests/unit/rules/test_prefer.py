"""``prefer``: how it is written, and what it does."""

from __future__ import annotations

from routegen_router.decide import Route
from routegen_router.rules import Prefer, Split
from support.policy import BACKENDS, EVEN, config, facts, run, view
from support.written import rule


def test_it_is_written_like_this() -> None:
    assert rule("prefer: [b, a]") == Prefer(name="prefer:b,a", names=("b", "a"))


def test_a_preference_narrows_and_what_follows_chooses_within() -> None:
    rules = (Prefer(name="p", names=("vllm",)), Split(name="s", weights=(("vllm-b", 1), ("sglang", 9))))
    assert run(facts(model="llama"), rules) == Route("vllm-b", "s")
    assert run(facts(model="qwen"), rules) == Route("sglang", "s")


def test_a_preference_skips_dead_engines_and_passes_where_none_is_left() -> None:
    rules = (Prefer(name="p", names=("vllm",)), EVEN)
    made = config(BACKENDS, rules)
    assert run(facts(model="llama"), given=made, known=view(made, dead={"vllm-a"})) == Route("vllm-b", "p")
    dead = view(made, dead={"vllm-a", "vllm-b"})
    assert run(facts(model="llama"), given=made, known=dead) == Route("sglang", "split")
