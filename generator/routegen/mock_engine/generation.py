"""From a request's body to the tokens of its answer: invented, and always the same for the same request."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from routegen.mock_engine.behaviour import Behaviour

WORDS: Final = (
    "so",
    "the",
    "mock",
    "engine",
    "says",
    "one",
    "more",
    "word",
    "and",
    "then",
    "another",
    "of",
    "its",
    "own",
)
BLOCK: Final = 16
"""Tokens in one block of the prefix cache, as in vLLM's default."""
MAX_BLOCKS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts; a token is a word."""

    prompt: int
    generated: int
    cached: int


@dataclass(frozen=True, slots=True)
class Generation:
    """All that is to be answered."""

    model: str
    tokens: tuple[str, ...]
    finish: str
    """``stop`` or ``length``."""
    usage: Usage

    @property
    def text(self) -> str:
        """All tokens."""
        return "".join(self.tokens)


class PrefixCache:
    """Remembers the prompts' blocks, so that a repeated beginning counts as cached."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def admit(self, words: list[str]) -> int:
        """How many tokens at the beginning of ``words`` were seen before; from now on all are."""
        digest, cached, known = b"", 0, True
        for start in range(0, len(words) - len(words) % BLOCK, BLOCK):
            block = " ".join(words[start : start + BLOCK]).encode(errors="surrogatepass")
            digest = hashlib.blake2b(digest + block, digest_size=16).digest()
            known = known and digest in self._seen
            cached += BLOCK if known else 0
            self._seen[digest] = None
            self._seen.move_to_end(digest)
        while len(self._seen) > MAX_BLOCKS:
            self._seen.popitem(last=False)
        return cached


def generate(body: Mapping[str, Any], model: str, owner: str, behaviour: Behaviour, cache: PrefixCache) -> Generation:
    """The whole answer to ``body``, whose text begins with the engine's owner and the model."""
    words = " ".join(_texts(_prompt(body))).split()
    limit = _limit(body)
    natural = behaviour.answer_tokens
    count = (limit or natural) if body.get("ignore_eos") is True else min(natural, limit or natural)
    finish = "length" if limit is not None and count == limit else "stop"
    return Generation(
        model=model,
        tokens=tuple(_tokens(f"{owner}/{model}:", words, count)),
        finish=finish,
        usage=Usage(len(words), count, cache.admit(words)),
    )


def _prompt(body: Mapping[str, Any]) -> Any:
    """The part of a body that an engine would read: chat, completion and embedding, or response."""
    return next((body[key] for key in ("messages", "prompt", "input") if body.get(key) is not None), "")


def _limit(body: Mapping[str, Any]) -> int | None:
    for key in ("max_completion_tokens", "max_output_tokens", "max_tokens"):
        value = body.get(key)
        if isinstance(value, int) and value > 0:
            return value
    return None


def _tokens(first: str, words: list[str], count: int) -> Iterable[str]:
    offset = hashlib.blake2b(json.dumps(words).encode(), digest_size=2).digest()[0]
    yield first
    yield from (f" {WORDS[(offset + index) % len(WORDS)]}" for index in range(1, count))


def _texts(value: Any) -> Iterable[str]:
    """Every text in a prompt, whatever its form; roles and kinds of content are no text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key in ("content", "text"):
            yield from _texts(value.get(key))
    elif isinstance(value, int):
        yield str(value)  # a token id
