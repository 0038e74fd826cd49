"""What else an engine tells of its models: ``max_model_len``, ``root``, ``parent``, and whatever comes.

Clients size their context by ``max_model_len`` and find a LoRA's base in ``parent``, so ``GET /v1/models`` hands on
what engines tell. An engine isn't trusted: what is too large or too deep is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

Card = Mapping[str, Any]
"""Members of one model's entry, without those in :data:`OWN`."""

OWN: Final = frozenset({"id", "object", "created", "owned_by", "backends"})
"""Members that the router writes itself."""
LENGTH: Final = "max_model_len"
"""How many tokens a prompt and its answer may have together (vLLM's and SGLang's ``ModelCard``)."""
MAX_CARD: Final = 4 * 1024
"""Bytes of an entry; of a longer one nothing is handed on."""
MAX_CARDS: Final = 1024 * 1024
"""Bytes of all entries of an engine whose members are handed on; those behind them have none."""
MAX_NESTED: Final = 32
"""Objects and arrays in an entry, itself included; JSON readers have limits to nesting."""
MAX_INTEGER: Final = 1 << 53
"""Larger integers aren't the same in every JSON reader."""

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def read(entries: Iterable[tuple[str, bytes | memoryview]]) -> dict[str, Card]:
    """Model id -> what its engine tells of it, where that is anything.

    :param entries: ids, and the JSON objects that they stand in.
    """
    cards: dict[str, Card] = {}
    left = MAX_CARDS
    for model, raw in entries:
        if len(raw) > min(MAX_CARD, left):
            continue
        card = _card(bytes(raw))
        if card:
            cards[model] = card
            left -= len(raw)
    return cards


def together(cards: Iterable[Card]) -> dict[str, Any]:
    """What several engines tell of one model: the first one's word, but the smallest ``max_model_len`` of all.

    A client doesn't know which of them answers it, so it has to fit into each.
    """
    cards = tuple(cards)
    told = {name: value for card in reversed(cards) for name, value in card.items()}
    lengths = [card[LENGTH] for card in cards if LENGTH in card]
    return told | ({LENGTH: min(lengths)} if lengths else {})


def _card(raw: bytes) -> Card:
    if raw.count(b"{") + raw.count(b"[") > MAX_NESTED:
        return {}
    try:
        card = {name: value for name, value in _decode(raw).items() if name not in OWN}
    except (msgspec.MsgspecError, UnicodeDecodeError):  # a text that isn't UTF-8
        return {}
    if LENGTH in card and not _is_length(card[LENGTH]):
        del card[LENGTH]
    return card


def _is_length(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_INTEGER
