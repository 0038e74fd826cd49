"""Rounds -> the figures that are published: medians, their spread, and ratios within rounds. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import sqrt
from statistics import median, stdev
from typing import Any

ALONE, FLOOR = "Envoy alone", "floor"
Spread = list[float]
"""Median, lowest, highest."""


def summarise(measured: Mapping[str, Any]) -> dict[str, Any]:
    """One cell's setups, as :func:`rounds.measure` gives them.

    Ratios are taken round by round, between neighbours in time, before their median is: what slows a whole round
    slows both sides of them.
    """
    return {name: _setup(made, measured) for name, made in measured.items()}


def compare(measured: Mapping[str, Any], base: str) -> dict[str, Any]:
    """One cell's setups beside one of them, closely: medians of the rounds' ratios, each with its standard error."""
    made: dict[str, Any] = {}
    reference = measured[base]["samples"]
    for name, one in measured.items():
        if one["failed"]:
            made[name] = {"failed": one["samples"][0]["answers"]}
            continue
        made[name] = {
            part: _with_error(value(mine) / value(other) for mine, other in zip(one["samples"], reference, strict=True))
            for part, value in _PARTS.items()
        }
        made[name]["faults"] = round(median(sample["router_faults"] for sample in one["samples"]))
    return made


def _setup(made: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, Any]:
    if made["failed"]:
        return {"failed": made["samples"][0]["answers"]}
    samples = made["samples"]
    totals = [_total(sample) for sample in samples]
    figures: dict[str, Any] = {
        "proxy_us": _spread(sample["proxy_us"] for sample in samples),
        "router_us": _spread(sample["router_us"] for sample in samples),
        "total_us": _spread(totals),
        "p50_ms": _spread(sample["p50_ms"] for sample in samples),
        "p99_ms": _spread(sample["p99_ms"] for sample in samples),
        "peak_mb": {part: round(value, 1) for part, value in made["peak_mb"].items()},
        "lost": sum(sample["failed"] for sample in samples),
    }
    if (alone := _samples(measured, ALONE)) is not None:
        figures["to_alone"] = _spread(mine / _total(other) for mine, other in zip(totals, alone, strict=True))
    floor = _samples(measured, FLOOR)
    if floor is not None and samples[0]["router_us"] > 0:
        figures["to_floor"] = _spread(
            sample["router_us"] / other["router_us"] for sample, other in zip(samples, floor, strict=True)
        )
    return figures


def _samples(measured: Mapping[str, Any], name: str) -> list[Any] | None:
    made = measured.get(name)
    return None if made is None or made["failed"] else made["samples"]


def _total(sample: Mapping[str, float]) -> float:
    return sample["proxy_us"] + sample["router_us"]


_PARTS: Mapping[str, Callable[[Mapping[str, float]], float]] = {
    "router": lambda sample: sample["router_us"],
    "proxy": lambda sample: sample["proxy_us"],
    "total": _total,
}


def _with_error(values: Iterable[float]) -> list[float]:
    known = list(values)
    error = stdev(known) / sqrt(len(known)) if len(known) > 1 else 0.0
    return [round(median(known), 3), round(error, 3)]


def _spread(values: Iterable[float]) -> Spread:
    known = list(values)
    return [float(f"{value:.4g}") for value in (median(known), min(known), max(known))]
