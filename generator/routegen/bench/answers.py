"""Whether an answer counts: it ended in a way that means success, and did the work that was asked. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, Literal, NamedTuple

SUCCESS: Final = frozenset({"stop", "length", "tool_calls", "function_call", "eos_token", "stop_sequence"})
"""The finish_reasons of a whole answer: OpenAI's, and what text-generation-inference says for ``stop``.

Every other one means that the engine gave up: ``abort`` (vLLM, SGLang), ``error``, ``cancelled``, ``content_filter``,
and whatever engines will think of. An unknown word is not taken for success."""

_LENGTH: Final = "length"
_UNIT: Final = 16
"""A text that repeats a piece of up to this many characters is one token over and over, or two."""
_ENOUGH: Final = 16
"""Characters below which nothing is said of repetition."""
_TIMES: Final = 3
"""As often as this it must stand there."""


class Ending(NamedTuple):
    """How an answer ended."""

    finish: str | None
    text: bool
    """It holds any text."""
    tokens: int | None
    """The completion tokens of usage."""


def judge(
    asked: int | None, ending: Ending
) -> tuple[Literal["truncated", "unfinished", "short", "invalid"], str] | None:
    """What is wrong with an answer whose stream ended in order, as an error's kind and a few words; ``None``: nothing.

    :param asked: how many tokens it must have; ``None`` where it may end by itself.
    """
    if ending.finish is None:
        return "truncated", "the stream ended without a finish_reason"
    if ending.finish not in SUCCESS:
        known = ending.finish if ending.finish.isidentifier() and len(ending.finish) <= _UNIT else "another"
        return "unfinished", f"finish_reason {known}"
    if not ending.text:
        return "invalid", "the answer holds no text"
    if asked is None:
        return None
    if ending.tokens is not None and ending.tokens < asked:
        return "short", f"{ending.tokens} of {asked} tokens"
    if ending.tokens is None and ending.finish != _LENGTH:
        return "short", f"ended by itself ({ending.finish}) where {asked} tokens were asked for"
    return None


def repeats(text: str) -> bool:
    """Whether the second half of ``text`` is one short piece over and over, as broken numbers make an engine write."""
    half = text[len(text) // 2 :]
    longest = min(_UNIT, len(half) // _TIMES) if len(half) >= _ENOUGH else 0
    return any(half[size:] == half[:-size] for size in range(1, longest + 1))


STEP: Final = 16
"""Characters from one mark of an answer to the next."""


def marks(text: str, key: bytes) -> tuple[str, ...]:
    """What answers are compared by: a short hash of each beginning, every :data:`STEP` characters, and of the whole.

    :param key: secret, and forgotten with the process, so that nobody finds an answer by trying.
    """
    ends = [*range(STEP, len(text), STEP), len(text)]
    return tuple(blake2b(text[:end].encode(), key=key, digest_size=4).hexdigest() for end in ends)


def alike(one: tuple[str, ...], two: tuple[str, ...]) -> tuple[bool, int]:
    """Whether two answers are the same, and after how many characters they differ (rounded down to a step)."""
    if one == two:
        return True, STEP * len(one)
    return False, STEP * next(
        (place for place, (mine, its) in enumerate(zip(one, two, strict=False)) if mine != its), min(len(one), len(two))
    )
