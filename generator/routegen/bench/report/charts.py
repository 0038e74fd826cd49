"""The charts of the HTML report, each for a given width: the page has one for screens and one for phones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from markupsafe import Markup

from routegen.bench import wording
from routegen.bench.comparisons import Compared
from routegen.bench.metrics import BY_KEY, Metric
from routegen.bench.verdict import Outcome

from . import figures
from .model import Report
from .shapes import Distribution
from .svg import BOTTOM, LEFT, RIGHT, TOP, Scale, axes, chart, element, line, marker, path, spanning, text
from .usage import Usage

_HEIGHT: Final = 270.0
_LOW: Final = 190.0
"""The height of what stands beside the main thing."""
_ROW: Final = 30.0
_NAMES: Final = 168.0
"""Room for the metrics' names."""
DRAWN: Final = 0.99
"""A distribution is drawn up to here, and from as far above nothing: one slow request would take all the room."""
_LOG_FROM: Final = 8.0
"""A distribution whose ends are further apart than this is drawn on a logarithmic scale."""


def differences(report: Report, compared: Compared, width: float) -> Markup:
    """The primary metric's difference in every block, with the margin, the interval and zero."""
    effect, design = compared.primary, report.run.design
    base, other = compared.comparison.base, compared.comparison.other
    metric = BY_KEY[effect.metric]
    shares = [(pair.block, pair.ratio - 1) for pair in effect.pairs]
    if not shares:
        return Markup("")
    known = [bound for bound in (effect.low, effect.high) if bound is not None]
    seen = [*(share for _, share in shares), -design.margin, design.margin]
    y = _upward(spanning([*seen, *(max(min(seen) - 1, min(bound, max(seen) + 1)) for bound in known)]))
    blocks = [block for block, _ in shares]
    x = Scale(min(blocks) + 0.2, max(blocks) + 1.8, LEFT, width - RIGHT)
    drawn = [
        _band(x, y, -design.margin, design.margin, "margin"),
        axes(
            x,
            y,
            x_label=lambda value: f"{value:g}" if value == int(value) else "",
            y_label=_percent,
            x_title="block",
            y_title=f"{metric.title}: {other} beside {base}",
        ),
        line(x.start, y(0), x.end, y(0), "zero"),
    ]
    if effect.difference is not None and known:
        drawn.append(_band(x, y, known[0], known[-1], "interval"))
        drawn.append(line(x.start, y(effect.difference), x.end, y(effect.difference), "estimate"))
    for block, share in shares:
        drawn.append(marker(0, x(block + 1), y(share), "dot", f"block {block + 1}: {wording.change(share)}"))
    described = (
        f"{len(shares)} blocks, from {wording.change(min(share for _, share in shares))} to "
        f"{wording.change(max(share for _, share in shares))}; {wording.change(effect.difference)} overall, "
        f"interval {wording.reach(effect)}, margin {100 * design.margin:g} %."
    )
    return chart(width, _HEIGHT, f"{other} beside {base}, block by block", described, *drawn)


def effects(report: Report, compared: Compared, width: float) -> Markup:
    """Every metric's difference with its interval, one a row."""
    known = [effect for effect in compared.effects if effect.difference is not None]
    if not known:
        return Markup("")
    margin = report.run.design.margin
    most = max(1.0, *(2 * abs(effect.difference or 0.0) for effect in known))  # wider intervals go over the edge
    bounds = [
        max(-most, min(bound, most)) for effect in known for bound in (effect.low, effect.high) if bound is not None
    ]
    height = TOP + len(known) * _ROW + BOTTOM
    x = Scale(*spanning([*bounds, -margin, margin]), _NAMES, width - RIGHT)
    y = Scale(0.0, float(len(known)), TOP, height - BOTTOM)
    drawn = [_band(x, y, -margin, margin, "margin", upright=True), line(x(0), y.start, x(0), y.end, "zero")]
    for value in x.ticks(max(3, int((x.end - x.start) / 60))):
        drawn.append(line(x(value), y.end, x(value), y.end + 4, "axis"))
        drawn.append(text(_percent(value), x(value), y.end + 17))
    drawn.append(line(x.start, y.end, x.end, y.end, "axis"))
    base, other = compared.comparison.base, compared.comparison.other
    drawn.append(text(f"{other} beside {base}", x.end, y.end + 34, anchor="end", class_="label strong"))
    told = []
    for row, effect in enumerate(known):
        place = y(row + 0.5)
        metric = BY_KEY[effect.metric]
        drawn.append(text(metric.title, x.start - 8, place + 4, anchor="end"))
        drawn.append(line(x(effect.low or 0), place, x(effect.high or 0), place, f"whisker {_kind(effect.outcome)}"))
        title = f"{metric.title}: {wording.change(effect.difference)}, {wording.outcome(compared, effect)}"
        drawn.append(marker(3, x(effect.difference or 0), place, f"dot {_kind(effect.outcome)}", title, 4.5))
        told.append(title)
    return chart(width, height, "All metrics with a verdict", "; ".join(told) + ".", *drawn)


def spread(report: Report, metric: Metric, width: float) -> Markup:
    """The distribution functions of one metric, an arm a line."""
    found = [one for one in report.distributions if one.metric == metric.key]
    least, most = min(_at(one, 1 - DRAWN) for one in found), max(_until(one, DRAWN) for one in found)
    log = least > 0 and most > _LOG_FROM * least
    low, high = (least / 1.05, most * 1.05) if log else spanning((least, most), floor=0.0)
    x = Scale(low, high, LEFT, width - RIGHT, log=log)
    y = _upward((0.0, 1.0))
    drawn = [
        axes(
            x,
            y,
            x_label=lambda value: wording.amount(metric, value),
            y_label=lambda value: f"{100 * value:.0f} %",
            x_title=f"{metric.title}{', logarithmic' if log else ''}",
            y_title="share of requests at or below",
        )
    ]
    order = _order(report)
    drawn += [path(_steps(one, x, y), f"curve arm{order(one.arm)}", steps=True) for one in found]
    described = "; ".join(
        f"{one.arm}: half of {one.n} at or below {wording.amount(metric, _at(one, 0.5))}, "
        f"nine of ten at or below {wording.amount(metric, _at(one, 0.9))}"
        for one in found
    )
    return chart(width, _HEIGHT, f"Distribution of {metric.title.lower()} ({metric.id})", f"{described}.", *drawn)


def course(report: Report, width: float) -> Markup:
    """The timeline's metric over the run: each part's median with its quartiles."""
    metric = BY_KEY[report.timeline.metric]
    known = [one for one in report.timeline.stretches if one.median is not None]
    if not known:
        return Markup("")
    x = _run_time(report, width)
    y = _upward(spanning([bound for one in known for bound in (one.low, one.high) if bound is not None], floor=0.0))
    order = _order(report)
    drawn = [
        axes(
            x,
            y,
            x_label=_clock,
            y_label=lambda value: wording.amount(metric, value),
            x_title="time since the run began",
            y_title=metric.title,
        )
    ]
    for one in known:
        middle = x((one.started + one.ended) / 2)
        style = f"arm{order(one.arm)}"
        drawn.append(line(middle, y(one.low or 0), middle, y(one.high or 0), f"whisker {style}"))
        title = f"block {one.block + 1}, {one.arm}: {wording.amount(metric, one.median)}"
        drawn.append(marker(order(one.arm), middle, y(one.median or 0), f"dot {style}", title))
    described = f"{len(known)} parts of {report.blocks} blocks, each arm's median and quartiles."
    return chart(width, _HEIGHT, f"{metric.title} over the run", described, *drawn)


def usage(report: Report, figure: str, found: Sequence[Usage], width: float) -> Markup:
    """One sampled figure of several subjects over the run."""
    x = _run_time(report, width)
    y = _upward((0.0, max(value for one in found for _, value in one.series) * 1.1 or 1.0), _LOW)
    drawn = [
        axes(
            x,
            y,
            x_label=_clock,
            y_label=lambda value: figures.amount(figure, value),
            x_title="time since the run began",
            y_title=figures.title(figure),
        )
    ]
    for one in found:
        points = [(x(at), y(value)) for at, value in one.series]
        drawn.append(path(points, f"curve arm{subject_order(report, one)}"))
    described = "; ".join(
        f"{one.subject or one.source}: up to {figures.amount(figure, max(value for _, value in one.series))}"
        for one in found
    )
    return chart(width, _LOW, f"{figures.title(figure)} over the run", f"{described}.", *drawn)


def subject_order(report: Report, usage: Usage) -> int:
    """A subject's place, which decides its colour: an engine has its first arm's, others go by their names."""
    engines = [arm.engine for arm in report.run.arms]
    if usage.source == "engine" and usage.subject in engines:
        return engines.index(usage.subject) % 6
    return (
        sorted({one.subject for one in report.resources.usage if one.source == usage.source}).index(usage.subject) % 6
    )


def swatch(index: int) -> Markup:
    """A legend's sample of the ``index``-th line and mark."""
    drawn = (line(0, 7, 26, 7, f"curve arm{index % 6}"), marker(index, 13, 7, f"dot arm{index % 6}"))
    return element("svg", *drawn, viewBox="0 0 26 14", width="26", height="14", aria_hidden="true", class_="swatch")


def _order(report: Report) -> Callable[[str], int]:
    """Arm -> its place, which decides its colour, dashes and mark."""
    names = [arm.name for arm in report.run.arms]
    return lambda name: names.index(name) % 6


def _upward(ends: tuple[float, float], height: float = _HEIGHT) -> Scale:
    return Scale(*ends, height - BOTTOM, TOP)


def _run_time(report: Report, width: float) -> Scale:
    times = [time for one in report.timeline.stretches for time in (one.started, one.ended)]
    times += [at for one in report.resources.usage for at, _ in one.series]
    return Scale(min(times, default=0.0), max(times, default=1.0) + 1e-6, LEFT, width - RIGHT)


def _band(x: Scale, y: Scale, low: float, high: float, class_: str, *, upright: bool = False) -> Markup:
    if upright:
        return element(
            "rect", x=x(low), y=min(y.start, y.end), width=x(high) - x(low), height=abs(y.end - y.start), class_=class_
        )
    return element("rect", x=x.start, y=y(high), width=x.end - x.start, height=y(low) - y(high), class_=class_)


def _steps(one: Distribution, x: Scale, y: Scale) -> list[tuple[float, float]]:
    inside = [(x(value), y(share)) for value, share in one.curve if x.low <= value <= x.high]
    return [(x(one.curve[0][0]), y(0.0)), *inside, (x.end, inside[-1][1])]


def _until(one: Distribution, share: float) -> float:
    """The largest value that ``share`` of the sample reaches."""
    return max((value for value, below in one.curve if below <= share), default=one.curve[0][0])


def _at(one: Distribution, share: float) -> float:
    return next(value for value, below in one.curve if below >= share)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _percent(share: float) -> str:
    """A difference as an axis says it."""
    return f"{100 * share:+.3g} %" if abs(share) > 1e-9 else "0 %"  # noqa: PLR2004 - a sum's rounding


def _kind(outcome: Outcome) -> str:
    """The CSS class."""
    return "inconclusive" if outcome == "no verdict" else outcome.rpartition(" ")[2]
