"""A sweep: its designs, its curve, where it says that an engine is saturated, and its reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from routegen.bench import records, setup, sweep, sweep_setup
from routegen.bench.curve import Estimate, Point, curve, saturation
from routegen.bench.design import Load
from routegen.bench.report import as_json, sweep_html, sweep_model, sweep_text
from routegen.bench.report.sweep_model import SweepReport
from routegen.bench.sweep import Sweep, Swept
from routegen.bench.values import UsageError
from routegen.common.problems import UserError
from support.bench_runs import DESIGN, make_run, measure

OPTIONS: dict[str, Any] = {
    "sweep": ("concurrency", (1.0, 8.0, 32.0)),
    "concurrency": None,
    "rate": None,
    "ramp": 0.0,
    "arrivals": "poisson",
    "blocks": None,
    "plan": False,
    "until_decided": False,
    "max_blocks": None,
    "requests": None,
    "warmup": None,
    "input_tokens": 256,
    "output_tokens": 128,
    "shared_prefix": None,
    "prompts": None,
    "cache": "cold",
    "probes": 8,
    "completions": False,
    "stop_at_eos": False,
    "sampling": (),
    "timeout": 300.0,
    "primary": None,
    "margin": 0.03,
    "slo": (),
    "seed": 7,
}
SCHEMA = Path(__file__).parents[2] / "docs" / "bench-sweep.schema.json"


def swept(*slower: dict[str, float], loads: tuple[float, ...] = (1.0, 4.0, 16.0)) -> Swept:
    """A sweep over ``loads`` of the arms a and b; an engine that is slower at a load gives less there."""
    steps = []
    for number, (load, factors) in enumerate(zip(loads, slower, strict=True)):
        design = msgspec.structs.replace(
            DESIGN, load=Load(kind="closed", concurrency=int(load)), seed=number, requests=16
        )
        steps.append(measure(make_run("a", "b", design=design), seed=number, slower=factors))
    return Swept(Sweep(format=1, kind="concurrency", loads=loads), tuple(steps))


def report(*slower: dict[str, float]) -> SweepReport:
    return sweep_model.build(swept(*slower))


def points(*throughputs: float, trusted: tuple[bool, ...] = (), tokens: float = 10.0) -> list[Point]:
    """An arm's points at 1, 2, 4, … with intervals of 1 %."""
    return [
        Point(
            arm="a",
            load=2.0**number,
            trustworthy=trusted[number] if trusted else True,
            figures={"steady_token_rate": Estimate(value=value, low=0.99 * value, high=1.01 * value)},
            tokens=tokens,
        )
        for number, value in enumerate(throughputs)
    ]


@pytest.mark.parametrize(
    ("throughputs", "load", "given"),
    [
        ((10, 20, 40, 80), None, 80),
        ((10, 20, 21, 20.5), 2.0, 20),
        ((10, 20, 21.1, 21), 4.0, 21.1),
        ((10, 9, 8, 7), 1.0, 10),
        ((10, 10.4, 10.8, 11.4), None, 11.4),  # little by little, but more than 5 % beyond each of them
        ((10, 10, 20, 40), None, 40),
    ],
)
def test_an_engine_is_saturated_where_no_higher_load_brings_more(
    throughputs: tuple[float, ...], load: float | None, given: float
) -> None:
    found = saturation("a", "concurrency", points(*throughputs))
    assert found.throughput is not None
    assert (found.load, found.throughput.value, found.known) == (load, given, True)


def test_a_rate_is_not_answered_where_provably_fewer_tokens_come_than_were_asked_for() -> None:
    found = saturation("a", "rate", points(10, 20, 40, 70))  # 10 tokens an answer: 80 are asked for at 8 a second
    assert found.load == 8.0
    assert saturation("a", "rate", points(10, 20, 40, 76)).load is None  # 4 % less: not provably more than the gain
    assert saturation("a", "rate", points(10, 20, 40, 75.5)).load is None  # the interval's end is above


def test_loads_at_which_a_check_failed_tell_nothing() -> None:
    found = saturation("a", "concurrency", points(10, 20, 20, trusted=(True, True, False)))
    assert (found.load, found.highest, found.known) == (None, 2.0, True)
    nothing = saturation("a", "concurrency", points(10, 20, trusted=(False, False)))
    assert (nothing.load, nothing.throughput, nothing.known) == (None, None, False)
    assert not saturation("a", "concurrency", points(10, 20, trusted=(True, False))).known


def test_every_step_has_its_share_of_the_error_its_own_seed_and_enough_requests() -> None:
    found = sweep_setup.designs(OPTIONS)
    assert [design.load.concurrency for design in found] == [1, 8, 32]
    assert [design.requests for design in found] == [16, 32, 128]
    assert len({design.seed for design in found}) == 3
    assert sum(1 - design.confidence for design in found) == pytest.approx(1 - setup.CONFIDENCE)
    assert {design.blocks for design in found} == {20}


def test_a_sweep_of_rates_is_an_open_loop_whose_parts_last_ten_seconds() -> None:
    found = sweep_setup.designs({**OPTIONS, "sweep": ("rate", (0.5, 8.0))})
    assert [design.load for design in found] == [Load(kind="poisson", rate=0.5), Load(kind="poisson", rate=8.0)]
    assert [design.requests for design in found] == [16, 80]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"concurrency": 4}, "--concurrency does not go with --sweep: the sweep says how many at once"),
        ({"rate": 1.0}, "--rate does not go with --sweep"),
        ({"plan": True}, "--plan does not go with --sweep"),
        ({"until_decided": True}, "--until-decided does not go with --sweep"),
        ({"arrivals": "trace"}, "--arrivals trace does not go with --sweep"),
        ({"prompts": Path("own.jsonl"), "cache": "as-is"}, "--cache as-is with --prompts does not go with --sweep"),
        ({"requests": 8}, "--requests 8 a block can't keep 32 in flight"),
    ],
)
def test_what_does_not_go_with_a_sweep_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("--", r"\-\-")):
        sweep_setup.designs({**OPTIONS, **change})


def test_the_answers_say_who_is_better_at_which_load() -> None:
    found = report({"b": 1.2}, {}, {"a": 1.3})
    assert found.answers[0] == (
        "b beside a, end to end: a is better at 1 at once; no verdict at 4 at once; b is better at 16 at once."
    )
    assert found.trustworthy


def test_the_intervals_of_the_curve_hold_its_values() -> None:
    found = curve(swept({}, {}, {}))
    assert [(point.arm, point.load) for point in found.points] == [
        (arm, load) for load in (1.0, 4.0, 16.0) for arm in ("a", "b")
    ]
    for point in found.points:
        assert point.tokens == DESIGN.output_tokens
        for key in ("e2e", "ttft", "tpot"):
            estimate = point.figures[key]
            assert estimate.low is not None
            assert estimate.high is not None
            assert estimate.low < estimate.value < estimate.high


def test_text_and_page_show_every_load_of_every_arm_and_what_failed() -> None:
    whole = swept({}, {}, {})
    step = whole.steps[1]
    failing = tuple(
        msgspec.structs.replace(request, error="timeout", chunks=(), first=None) if request.arm == "b" else request
        for request in step.requests
    )
    broken = Swept(
        whole.sweep,
        (whole.steps[0], records.Recorded(step.run, failing, step.blocks, step.samples), whole.steps[2]),
    )
    found = sweep_model.build(broken)
    assert not found.trustworthy
    text, page = sweep_text.render(found), sweep_html.render(found)
    assert "no verdict, because a check failed, at 4 at once" in text
    assert "4 !" in text
    assert "4 !" in page
    for number in (1, 2, 3):
        assert f'href="step-{number}/report.html"' in page
    assert "<script" not in page
    assert page.count("<svg") > 2


def test_the_json_report_is_valid_by_its_documented_schema() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert schema == as_json.schema(SweepReport), (
        "python -m routegen.bench.report.as_json sweep > docs/bench-sweep.schema.json"
    )
    validator = Draft202012Validator(schema)
    validator.validate(json.loads(as_json.render(report({}, {"b": 1.1}, {}))))


def test_a_sweep_that_is_not_measured_yet_is_reported_as_that() -> None:
    whole = swept({}, {}, {})
    empty = Swept(whole.sweep, tuple(records.Recorded(step.run, (), (), ()) for step in whole.steps))
    found = sweep_model.build(empty)
    assert sweep_text.render(found) == "No block is complete, so there is nothing to report.\n"
    assert "No block is complete" in sweep_html.render(found)


def test_the_folder_is_read_as_it_was_written_and_never_overwritten(tmp_path: Path) -> None:
    whole = swept({}, {}, {})
    runs = tuple(step.run for step in whole.steps)
    sweep.make(tmp_path / "s", "concurrency", whole.sweep.loads, runs)
    assert sweep.is_sweep(tmp_path / "s")
    found = sweep.read_all(tmp_path / "s")
    assert found.sweep == whole.sweep
    assert tuple(step.run for step in found.steps) == runs
    with pytest.raises(UserError, match="holds a run already"):
        sweep.make(tmp_path / "s", "concurrency", whole.sweep.loads, runs)
    with pytest.raises(UserError, match="is not a sweep's folder"):
        sweep.load(tmp_path)
    (tmp_path / "s" / "sweep.json").write_text('{"format": 9, "kind": "rate", "loads": [1, 2]}')
    with pytest.raises(UserError, match="written by a later routegen"):
        sweep.load(tmp_path / "s")
