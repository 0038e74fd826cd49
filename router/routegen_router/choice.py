"""Choosing one of several by weight: at random, or always the same for the same key."""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b

Group = tuple[str, float, Sequence[str]]
"""A name, its weight, and the backends that bear it: they share the weight evenly."""


def weighted(point: float, weights: Sequence[tuple[str, float]]) -> str:
    """The backend whose share of the summed weights holds ``point`` (in [0, 1))."""
    mark = point * sum(weight for _, weight in weights)
    for name, weight in weights:
        mark -= weight
        if mark < 0:
            return name
    return weights[-1][0]


def rendezvous(key: str, weights: Sequence[tuple[str, float]]) -> str:
    """The same backend for the same key, in every process; a changed weight moves only its share of the keys.

    Weighted rendezvous hashing: the highest ``-weight / ln(u)`` wins, where ``u`` in (0, 1) is a hash of key and
    name (Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005).
    """

    def score(name: str, weight: float) -> float:
        digest = blake2b(f"{name}\0{key}".encode(errors="surrogatepass"), digest_size=6).digest()
        return -weight / math.log((int.from_bytes(digest) + 0.5) / 2**48)

    return max(weights, key=lambda item: score(*item))[0]


def shares(groups: Sequence[Group]) -> dict[str, float]:
    """Backend -> the part of 1 that a random choice gives it."""
    total = sum(weight for _, weight, _ in groups)
    shares: dict[str, float] = {}
    for _, weight, bearers in groups:
        for bearer in bearers:
            shares[bearer] = shares.get(bearer, 0) + weight / total / len(bearers)
    return shares
