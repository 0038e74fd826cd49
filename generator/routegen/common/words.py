"""Misspelt words: what was likely meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean "split"? `` with the blank that lets a sentence go on; empty where nothing is alike.

    Upper and lower case count as one.
    """
    folded = {one.lower(): one for one in reversed(list(known))}
    near = difflib.get_close_matches(word.lower(), sorted(folded), 1)
    return f'did you mean "{folded[near[0]]}"? ' if near else ""


def choices(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about a word that is none of ``known``, in the order given."""
    known = list(known)
    return f"{did_you_mean(word, known)}known: {', '.join(known) or 'none'}"
