"""Synthetic prompts: repeatable, of the wanted length, and as alike or unlike as the cache policy says."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from routegen.bench.prompts import NONCE, prompt


def cold(tokens: int = 64, block: int = 0, number: int = 0, nonce: str = "run 0 a") -> str:
    return prompt(seed=1, tokens=tokens, cache="cold", block=block, number=number, nonce=nonce)


@given(st.integers(min_value=1, max_value=2000), st.sampled_from(["warm", "as-is"]))
def test_a_prompt_has_as_many_words_as_tokens_are_wanted(tokens: int, cache: str) -> None:
    assert len(prompt(seed=1, tokens=tokens, cache=cache, block=0, number=0).split()) == tokens  # type: ignore[arg-type]


@given(st.integers(min_value=len(NONCE) + 3, max_value=2000))
def test_a_cold_prompt_is_as_long_with_its_label_counted_as_two(tokens: int) -> None:
    words = cold(tokens).split()
    assert words[0] == "List:"
    assert len(words) + 1 == tokens


def test_a_prompt_is_the_same_for_everybody_who_has_the_seed() -> None:
    assert cold() == cold()
    assert prompt(seed=1, tokens=9, cache="as-is", block=0, number=0) != prompt(
        seed=2, tokens=9, cache="as-is", block=0, number=0
    )


def test_cold_prompts_of_two_arms_are_the_same_words_in_another_order_and_then_the_same_text() -> None:
    one, two = cold(nonce="run 0 a").split(), cold(nonce="run 0 b").split()
    start = 1 + len(NONCE)
    assert one[:start] != two[:start]
    assert Counter(one) == Counter(two)
    assert one[start:] == two[start:]


def test_no_two_cold_prompts_share_a_block_of_sixteen_tokens() -> None:
    prompts = {
        tuple(cold(block=block, number=number, nonce=nonce).split()[:16])
        for block in range(20)
        for number in range(32)
        for nonce in ("run 0 a", "run 0 b", "run 1 a")
    }
    assert len(prompts) == 20 * 32 * 3


def test_warm_prompts_return_in_every_block_and_as_is_prompts_do_not() -> None:
    def first(cache: str, block: int) -> str:
        return prompt(seed=1, tokens=64, cache=cache, block=block, number=3)  # type: ignore[arg-type]

    assert first("warm", 0) == first("warm", 7)
    assert first("as-is", 0) != first("as-is", 7)
