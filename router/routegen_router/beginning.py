"""How a conversation begins: what is the same in each of its requests, however long it gets.

Engines keep what they have computed for the beginning of a prompt (prefix caches), so a conversation is served best
where its last turn was. Clients send the whole of it every time: everything up to the first thing that the user said
stays as it was. Of a text (``prompt``, ``input``) it is the first :data:`LETTERS` characters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, Final

import msgspec

LETTERS: Final = 256
MOST: Final = 64 * 1024
"""Bytes that are looked at."""
_ITEMS: Final = 8
"""Messages that are looked at."""
_SKIPPED: Final = frozenset({"cache_control", "id", "status"})
"""Keys of a message that may change from turn to turn."""
_BLANK: Final = " \t\n\r,"
_ABSENT: Final = msgspec.Raw(b"null")
_read_item: Final = json.JSONDecoder().raw_decode


class _Prompts(msgspec.Struct):
    """Where a prompt stands: chat and Anthropic's messages, responses and embeddings, completions."""

    messages: msgspec.Raw = _ABSENT
    input: msgspec.Raw = _ABSENT
    prompt: msgspec.Raw = _ABSENT


_decode: Final = msgspec.json.Decoder(_Prompts).decode


def key_of(body: bytes | bytearray | memoryview) -> str | None:
    """A digest of the conversation's beginning, the same in every process; ``None``: there is no prompt."""
    try:
        found = _decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return None
    for raw in (found.messages, found.input, found.prompt):
        parts = list(_parts(bytes(memoryview(raw)[:MOST]).decode(errors="ignore")))
        if parts:
            return blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=16).hexdigest()
    return None


def _parts(text: str) -> Iterator[str]:
    """What of a prompt's JSON counts."""
    if text.startswith('"'):
        yield text[1 : LETTERS + 1].rstrip('"')
    elif text.startswith("["):
        yield from _of_items(text)


def _of_items(text: str) -> Iterator[str]:
    at = 1
    for _ in range(_ITEMS):
        while at < len(text) and text[at] in _BLANK:
            at += 1
        try:
            item, end = _read_item(text, at)
        except (ValueError, RecursionError):  # the end of the list, or of what is looked at
            yield from [text[at:]] if text[at : at + 1] not in {"", "]"} else []
            return
        yield from _texts(item)
        if not isinstance(item, dict) or item.get("role") in {"user", None}:
            return
        at = end


def _texts(value: Any) -> Iterable[str]:
    """Every text within, and numbers as they stand: token ids."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += [one[key] for key in sorted(one, reverse=True) if key not in _SKIPPED]
        elif isinstance(one, list):
            waiting += reversed(one)
        elif isinstance(one, int | float):
            yield repr(one)
