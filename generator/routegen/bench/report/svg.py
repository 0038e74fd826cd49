"""Scales, axes and shapes of inline SVG. Pure: numbers in, markup out; colours are the page's, by CSS class."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

LEFT: Final = 58.0
"""Room for the labels of a vertical axis."""
RIGHT: Final = 14.0
TOP: Final = 26.0
"""Room for the vertical axis' title, which stands above it: turned text is hard to read on a phone."""
BOTTOM: Final = 40.0

_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_LOG_STEPS: Final = (1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places on the page."""

    low: float
    high: float
    start: float
    """The place of ``low``."""
    end: float
    """The place of ``high``."""
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of ``value``; what lies outside is put on the edge."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int) -> list[float]:
        """About ``count`` round values between the ends."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            marks = [step * 10.0**power for power in powers for step in _LOG_STEPS]
            inside = [mark for mark in marks if self.low <= mark <= self.high]
            if len(inside) >= 2:  # noqa: PLR2004 - an axis needs two labels
                return inside[:: max(1, round(len(inside) / count))]
        rough = (self.high - self.low) / count
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in _STEPS if power * factor >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def spanning(values: Iterable[float], *, room: float = 0.05, floor: float | None = None) -> tuple[float, float]:
    """The ends of a scale that holds ``values`` with a little room; never empty.

    :param floor: the low end is not below this.
    """
    known = list(values) or [0.0, 1.0]
    low, high = min(known), max(known)
    spare = (high - low) * room or abs(high) * room or 1.0
    low -= spare
    return (low if floor is None else max(low, floor)), high + spare


def element(tag: str, *children: str | Markup, **attributes: str | float) -> Markup:
    """One element; attribute names may end in ``_`` and have ``_`` for ``-``."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_number(value) if isinstance(value, float) else value)}"'
        for name, value in attributes.items()
    )
    inner = Markup("").join(children)
    return Markup(f"<{tag}{written}>{inner}</{tag}>")  # noqa: S704 - all parts are escaped above


def text(content: str, x: float, y: float, *, anchor: str = "middle", class_: str = "label") -> Markup:
    """A label; ``y`` is its base line."""
    return element("text", content, x=x, y=y, text_anchor=anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Sequence[tuple[float, float]], class_: str, *, steps: bool = False) -> Markup:
    """A line through ``points``; ``steps``: level, then straight up or down, as distribution functions go."""
    if not points:
        return Markup("")
    (x, y), *rest = points
    drawn = [f"M{_number(x)} {_number(y)}"]
    for x, y in rest:
        drawn.append(f"H{_number(x)}V{_number(y)}" if steps else f"L{_number(x)} {_number(y)}")
    return element("path", d="".join(drawn), class_=class_)


def marker(index: int, x: float, y: float, class_: str, label: str = "", size: float = 3.6) -> Markup:
    """The ``index``-th arm's mark: the shapes differ, so that colour is not all that tells arms apart.

    :param label: shown where a pointer rests on it.
    """
    title = [element("title", label)] if label else []
    match index % 4:
        case 0:
            return element("circle", *title, cx=x, cy=y, r=size, class_=class_)
        case 1:
            return element("rect", *title, x=x - size, y=y - size, width=2 * size, height=2 * size, class_=class_)
        case 2:
            corners = [(x, y - 1.2 * size), (x + 1.1 * size, y + size), (x - 1.1 * size, y + size)]
        case _:
            reach = 1.3 * size
            corners = [(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)]
    points = " ".join(f"{_number(px)},{_number(py)}" for px, py in corners)
    return element("polygon", *title, points=points, class_=class_)


def chart(width: float, height: float, title: str, description: str, *content: Markup, class_: str = "") -> Markup:
    """The whole drawing, named and described for those who can't see it."""
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        *content,
        viewBox=f"0 0 {_number(width)} {_number(height)}",
        role="img",
        aria_label=f"{title}. {description}",
        class_=f"chart {class_}".strip(),
    )


def axes(
    x: Scale, y: Scale, *, x_label: Callable[[float], str], y_label: Callable[[float], str], x_title: str, y_title: str
) -> Markup:
    """Grid, labels and titles of a plot; ``y.start`` is its lower edge."""
    drawn = []
    for value in y.ticks(5):
        drawn.append(line(x.start, y(value), x.end, y(value), "grid"))
        drawn.append(text(y_label(value), x.start - 6, y(value) + 4, anchor="end"))
    for value in x.ticks(max(3, int((x.end - x.start) / 90))):
        drawn.append(line(x(value), y.start, x(value), y.start + 4, "axis"))
        drawn.append(text(x_label(value), x(value), y.start + 17))
    drawn.append(line(x.start, y.start, x.end, y.start, "axis"))
    drawn.append(text(y_title, 2, 12, anchor="start", class_="label strong"))
    drawn.append(text(x_title, x.end, y.start + 34, anchor="end", class_="label strong"))
    return Markup("").join(drawn)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
