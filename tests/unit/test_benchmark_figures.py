"""The benchmarks' arithmetic and tables, and that no published figure is written by hand."""

from __future__ import annotations

import json
from typing import Any

import bodies
import publish
import pytest
import report
from summary import ALONE, FLOOR, compare, summarise


def sample(proxy: float, router: float, p50: float = 1.0) -> dict[str, Any]:
    return {
        "proxy_us": proxy,
        "router_us": router,
        "p50_ms": p50,
        "p99_ms": p50,
        "router_faults": 3.0,
        "failed": 0,
        "answers": {"200": 1},
    }


def measured(*samples: dict[str, Any]) -> dict[str, Any]:
    return {"failed": False, "samples": list(samples), "peak_mb": {"proxy": 10.04, "router": 20.0}}


def test_ratios_are_taken_within_rounds() -> None:
    # The second round was slowed three times, all of it: the ratio doesn't notice.
    figures = summarise(
        {
            ALONE: measured(sample(10, 0), sample(30, 0), sample(10, 0)),
            FLOOR: measured(sample(30, 100), sample(90, 300), sample(30, 100)),
            "routegen": measured(sample(50, 150), sample(150, 450), sample(50, 160)),
        }
    )
    router = figures["routegen"]
    assert router["to_floor"] == [1.5, 1.5, 1.6]
    assert router["to_alone"] == [20.0, 20.0, 21.0]
    assert router["router_us"] == [160, 150, 450]
    assert router["peak_mb"] == {"proxy": 10.0, "router": 20.0}
    assert "to_floor" not in figures[ALONE]


def test_what_fails_is_said_and_compared_with_nothing() -> None:
    broken = {"failed": True, "samples": [sample(1, 1) | {"answers": {"500": 3, "200": 1}}]}
    figures = summarise({ALONE: broken, "routegen": measured(sample(1, 1))})
    assert figures[ALONE] == {"failed": {"500": 3, "200": 1}}
    assert "to_alone" not in figures["routegen"]
    assert "to_floor" not in figures["routegen"]


def test_small_differences_come_with_their_standard_error() -> None:
    figures = compare(
        {"as it is": measured(sample(1, 100), sample(1, 200)), "other": measured(sample(1, 110), sample(1, 260))},
        "as it is",
    )
    assert figures["as it is"]["router"] == [1.0, 0.0]
    assert figures["other"]["router"] == [1.2, 0.1]
    assert figures["other"]["faults"] == 3


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        *((shape, size) for shape in bodies.SHAPES for size in (256, 4 * bodies.KB, bodies.MB)),
        *((bodies.MANY, size) for size in (4 * bodies.KB, bodies.MB)),
    ],
)
def test_bodies_are_as_long_as_they_say_and_name_their_engine(shape: str, size: int) -> None:
    for engine in bodies.ENGINES:
        body = bodies.chat(size, engine, shape)
        document = json.loads(body)
        assert len(body) == size
        assert document["model"] == document["inference_server"] == engine
        assert (len(document["messages"]) > 4) == (shape == bodies.MANY)


def test_a_setup_that_fails_has_no_figure_in_the_tables() -> None:
    cell = {
        "size": 256,
        "shape": "plain",
        "at_once": 32,
        "setups": summarise(
            {
                ALONE: measured(sample(10, 0)),
                FLOOR: measured(sample(10, 10)),
                "routegen": {"failed": True, "samples": [sample(1, 1) | {"answers": {"503": 1}}]},
            }
        ),
    }
    figures = {
        "cells": [cell, cell | {"size": 4096}],
        "legend": {ALONE: "a", FLOOR: "b", "routegen": "c"},
        "missing": {"smg": "no Go"},
    }
    assert "| 256 B | 32 | failed |" in report.cost(figures)
    assert "| routegen | answers 503 |" in report.peers(figures)
    assert "smg: not measured, no Go" in report.peers(figures)
    assert report.plot(figures).startswith("<svg ")


@pytest.mark.parametrize("block", publish.BLOCKS)
def test_published_figures_are_those_that_were_measured(block: str) -> None:
    page = (publish.REPOSITORY / publish.BLOCKS[block][0]).read_text()
    assert publish.written(page, block) == page
