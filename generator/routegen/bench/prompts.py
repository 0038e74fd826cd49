"""Synthetic prompts of a wanted length, the same for everybody who has the seed; no tokenizer needed.

Prompts are common English words, each of which is one token in the tokenizers of today's models. A word's token does
not depend on its neighbours there, so two prompts of the same words in another order are equally long: that is how
every arm gets its own, cold prompt of one length. What the engines counted is in usage and compared afterwards.
"""

from __future__ import annotations

import random
from typing import Final, Literal

_NOUNS: Final = (
    "time year people way day man thing woman life child world school state family student group country problem hand "
    "part place case week company system program question work number night point home water room mother area money "
    "story fact month lot right study book eye job word business issue side kind head house service friend father "
    "power hour game line end member law car city community name president team minute idea body information back "
    "parent face others level office door health person art war history party result change morning reason research "
    "girl guy moment air teacher force education"
)

WORDS: Final = tuple(_NOUNS.split())
"""Frequent nouns: single tokens, with the space before them."""

NONCE: Final = WORDS[:16]
"""Shuffled, the start of a cold prompt: two prompts share a block of 16 cached tokens only by the rarest chance."""


def prompt(
    *,
    seed: int,
    tokens: int,
    cache: Literal["cold", "warm", "as-is"],
    block: int,
    number: int,
    nonce: str = "",
    shared: int = 0,
) -> str:
    """The ``number``-th prompt of a block, about ``tokens`` tokens long.

    The text after the nonce is the same for all arms. ``cold``: starts with a nonce of its own (made from ``nonce``,
    which names the run, the session and the arm), so that no other prompt shares its beginning. ``warm``: the same in
    every block. ``as-is``: new in every block, without a nonce.

    :param shared: about so many tokens more stand before it, the same in all prompts of one ``nonce``.
    """
    text = _words(f"{seed} {0 if cache == 'warm' else block} {number}", tokens)
    if shared:
        mine = "" if cache == "as-is" else nonce
        return " ".join([opening(f"{seed} {mine} shared"), *_words(f"{seed} {mine} shared", shared), *text])
    if cache != "cold":
        return " ".join(text)
    return " ".join([opening(f"{seed} {nonce} {block} {number}"), *text[: max(tokens - len(NONCE) - 2, 1)]])


def opening(key: str) -> str:
    """Words in an order of their own, for the beginning of a prompt that no cache may know."""
    order = list(NONCE)
    random.Random(key).shuffle(order)  # noqa: S311 - repeatable on purpose
    return " ".join(["List:", *order])


def _words(key: str, count: int) -> list[str]:
    return random.Random(key).choices(WORDS, k=count)  # noqa: S311 - repeatable on purpose
