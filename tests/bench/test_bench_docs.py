"""docs/bench.md says what the code does."""

from pathlib import Path
from typing import get_args

import click
import pytest

from routegen.bench.metrics import METRICS
from routegen.bench.records import ErrorKind
from routegen.commands import bench, bench_run
from routegen.common.problems import INTERRUPTED

PAGE = (Path(__file__).parents[2] / "docs" / "bench.md").read_text()


def table() -> str:
    """The page's table of metrics, as it must be."""
    rows = ["| id | key | metric | unit | formula |", "|---|---|---|---|---|"]
    for metric in METRICS:
        unit = {"s": "s", "1/s": "1/s", "tokens/s": "tokens/s", "share": "%"}[metric.unit]
        rows.append(f"| {metric.id} | `{metric.key}` | {metric.title} | {unit} | {metric.formula} |")
    return "\n".join(rows)


def test_the_page_has_every_metric_with_its_formula() -> None:
    assert table() in PAGE, f"put this table into docs/bench.md:\n{table()}"


@pytest.mark.parametrize("kind", get_args(ErrorKind))
def test_the_page_has_every_kind_of_error(kind: str) -> None:
    assert f"`{kind}`" in PAGE


@pytest.mark.parametrize("parameter", bench.command.params, ids=lambda parameter: parameter.name)
def test_the_page_has_every_option(parameter: click.Parameter) -> None:
    assert any(option in PAGE for option in parameter.opts)


@pytest.mark.parametrize("code", [bench_run.INVALID, bench_run.WORSE, INTERRUPTED])
def test_the_page_has_every_exit_code(code: int) -> None:
    assert f"| {code} |" in PAGE
