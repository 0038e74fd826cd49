"""Puts what was measured where it is published, so that nobody has to write a figure by hand.

Figures lie in ``docs/figures/`` as JSON; the pages have blocks that are made of them, between two comments:

    <!-- measured: NAME -->
    <!-- end of NAME -->
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import report

REPOSITORY = Path(__file__).resolve().parents[1]
FIGURES = REPOSITORY / "docs" / "figures"
BLOCKS: Mapping[str, tuple[str, str, Callable[[Mapping[str, Any]], str]]] = {
    "cost": ("docs/performance.md", "router", lambda figures: f"{report.heading(figures)}\n\n{report.cost(figures)}"),
    "start": ("docs/performance.md", "router", report.start),
    "rendering": ("docs/performance.md", "router", report.rendering),
    "short": ("README.md", "router", lambda figures: f"{report.short(figures)}\n\n{report.heading(figures)}"),
    "variants": (
        "docs/performance.md",
        "variants",
        lambda figures: f"{report.heading(figures)}\n\n{report.variants(figures)}",
    ),
    "peers": ("docs/performance.md", "peers", lambda figures: f"{report.heading(figures)}\n\n{report.peers(figures)}"),
}
"""Block -> its page, the figures that it is made of, and how."""


def keep(name: str, figures: Mapping[str, Any]) -> None:
    """Replace the published figures ``name`` (``router`` or ``peers``) and what is made of them."""
    FIGURES.mkdir(exist_ok=True)
    (FIGURES / f"{name}.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    if name == "peers":
        (FIGURES / "peers.svg").write_text(report.plot(figures))
    for block, (page, source, _) in BLOCKS.items():
        if source == name:
            path = REPOSITORY / page
            path.write_text(written(path.read_text(), block))


def written(text: str, block: str) -> str:
    """``text`` with its block as the published figures have it.

    :raises LookupError: it has no such block.
    """
    _, source, make = BLOCKS[block]
    made = make(json.loads((FIGURES / f"{source}.json").read_text()))
    opening, closing = f"<!-- measured: {block} -->", f"<!-- end of {block} -->"
    found = re.compile(f"{re.escape(opening)}.*?{re.escape(closing)}", re.DOTALL)
    if not found.search(text):
        raise LookupError(f"no block {block}")
    return found.sub(lambda _: f"{opening}\n\n{made}\n\n{closing}", text)
