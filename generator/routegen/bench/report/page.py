"""What every page of a report is made of: charts in two widths, and the templates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

HALF: Final = 540.0
WHOLE: Final = 1110.0
_NARROW: Final = 350.0
"""Charts are drawn for a screen (two in a row, or one) and for a phone, and the page shows one of the two drawings:
one that is scaled would have labels too small to read."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """One chart."""

    wide: Markup
    narrow: Markup
    caption: str
    legend: Sequence[tuple[Markup, str]] = ()
    """Sample and name of each line."""


def drawing(
    draw: Callable[[float], Markup],
    caption: str,
    legend: Sequence[tuple[Markup, str]] = (),
    *,
    wide: float = HALF,
) -> Iterator[Drawing]:
    """The chart, if there is anything to draw."""
    drawn = draw(wide)
    if drawn:
        yield Drawing(drawn, draw(_NARROW), caption, legend)


@cache
def templates() -> Environment:
    """The bench's own, for HTML."""
    environment = Environment(
        loader=PackageLoader("routegen.bench"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = _unbroken
    return environment


def _unbroken(sentence: str) -> str:
    """Keep a number and its ``%`` on one line."""
    return sentence.replace(" %", "\N{NO-BREAK SPACE}%")
