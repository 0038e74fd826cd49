"""The responses that a mock engine remembers: the Responses API continues them, tells them again and forgets them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

MOST: Final = 1000
"""Responses that are kept; the oldest go first."""


class Responses:
    """Response id -> the response."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def keep(self, response: dict[str, Any]) -> None:
        """Remember one."""
        self._kept[response["id"]] = response
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def get(self, ident: str) -> dict[str, Any] | None:
        """The response; ``None``: it was made elsewhere, or is forgotten."""
        return self._kept.get(ident)

    def forget(self, ident: str) -> None:
        """Forget it."""
        self._kept.pop(ident, None)
