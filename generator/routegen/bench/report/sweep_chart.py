"""The picture of a sweep: what each arm gives against how long it takes, load by load."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from routegen.bench import wording
from routegen.bench.curve import Point, throughput
from routegen.bench.metrics import BY_KEY, Metric

from .svg import BOTTOM, LEFT, RIGHT, TOP, Scale, axes, chart, line, marker, path, spanning, text
from .sweep_model import SweepReport, at

_HEIGHT: Final = 360.0
_LOG_FROM: Final = 8.0
"""Latencies whose ends are further apart than this are drawn on a logarithmic scale."""


def latency(report: SweepReport) -> Metric:
    """What the vertical axis shows: the primary metric where it is a time, else end to end."""
    primary = BY_KEY[report.primary]
    return primary if primary.unit == "s" else BY_KEY["e2e"]


def curves(report: SweepReport, width: float) -> Markup:
    """One line an arm, a mark a load, with intervals both ways; empty where nothing is known."""
    metric = latency(report)
    known = [point for point in report.points if throughput(point) and metric.key in point.figures]
    if not known:
        return Markup("")
    across = [bound for point in known for bound in _bounds(point, metric)[0]]
    upward = [bound for point in known for bound in _bounds(point, metric)[1]]
    log = min(upward) > 0 and max(upward) > _LOG_FROM * min(upward)
    ends = (min(upward) / 1.1, max(upward) * 1.1) if log else spanning(upward, floor=0.0)
    x = Scale(*spanning(across, floor=0.0), LEFT, width - RIGHT)
    y = Scale(*ends, _HEIGHT - BOTTOM, TOP, log=log)
    drawn = [
        axes(
            x,
            y,
            x_label=lambda value: f"{value:g}",
            y_label=lambda value: wording.amount(metric, value),
            x_title="output tokens a second",
            y_title=f"{metric.title}{', logarithmic' if log else ''}",
        )
    ]
    told = []
    for index, arm in enumerate(report.arms):
        own = [point for point in known if point.arm == arm]
        style = f"arm{index % 6}"
        drawn.append(path([_place(point, metric, x, y) for point in own], f"curve {style}"))
        for point in own:
            drawn += _mark(report, point, metric, x, y, index)
        if own:
            told.append(f"{arm}: {'; '.join(_words(report, point, metric) for point in own)}")
    return chart(width, _HEIGHT, "Throughput against latency", f"{'. '.join(told)}.", *drawn)


def _mark(report: SweepReport, point: Point, metric: Metric, x: Scale, y: Scale, index: int) -> list[Markup]:
    across, upward = _bounds(point, metric)
    left, up = _place(point, metric, x, y)
    style = f"arm{index % 6}"
    title = f"{point.arm} {_words(report, point, metric)}{'' if point.trustworthy else ' (a check failed)'}"
    return [
        line(x(min(across)), up, x(max(across)), up, f"whisker {style}"),
        line(left, y(min(upward)), left, y(max(upward)), f"whisker {style}"),
        marker(index, left, up, f"dot {style}", title, 4.5),
        text(f"{point.load:g}{'' if point.trustworthy else '!'}", left + 7, up - 6, anchor="start"),
    ]


def _place(point: Point, metric: Metric, x: Scale, y: Scale) -> tuple[float, float]:
    given = throughput(point)
    assert given is not None
    return x(given.value), y(point.figures[metric.key].value)


def _bounds(point: Point, metric: Metric) -> tuple[list[float], list[float]]:
    given = throughput(point)
    assert given is not None
    across, upward = (
        [bound for bound in (one.low, one.value, one.high) if bound is not None]
        for one in (given, point.figures[metric.key])
    )
    return across, upward


def _words(report: SweepReport, point: Point, metric: Metric) -> str:
    given = throughput(point)
    assert given is not None
    return (
        f"{at(report.kind, [point.load])} {wording.amount(BY_KEY['token_rate'], given.value)}, "
        f"{wording.amount(metric, point.figures[metric.key].value)}"
    )
