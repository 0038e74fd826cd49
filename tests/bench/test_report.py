"""The report's model and its JSON form: what is computed beside the analysis, and the schema that documents it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from click.testing import CliRunner, Result

from routegen.bench import records, wording
from routegen.bench.comparisons import Compared
from routegen.bench.design import Arm, Comparison
from routegen.bench.records import Recorded, Request, Sample
from routegen.bench.report import as_json
from routegen.bench.report.model import Report, build
from routegen.bench.report.parity import Row
from routegen.bench.report.usage import Usage
from routegen.bench.verdict import Effect, Outcome
from routegen.cli import cli
from support.bench_runs import DESIGN, make_run, measure

SCHEMA = Path(__file__).parents[2] / "docs" / "bench-report.schema.json"
GUIDE = Path(__file__).parents[1] / "audit" / "guide"
SMALL = msgspec.structs.replace(DESIGN, requests=4)


@cache
def whole() -> Recorded:
    """Two arms, twenty blocks."""
    return measure(make_run("a", "b", design=SMALL))


@cache
def report_of_whole() -> Report:
    return build(whole())


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["bench", *arguments])


def write(folder: Path, recorded: Recorded) -> Path:
    records.create(folder, recorded.run)
    records.append(folder, recorded.requests)
    records.append(folder, recorded.blocks)
    return folder


def with_samples(recorded: Recorded, *samples: Sample) -> Recorded:
    return Recorded(recorded.run, recorded.requests, recorded.blocks, samples)


def changed(recorded: Recorded, arm: str, **fields: object) -> Recorded:
    """The same run, with these fields in every request of ``arm``."""
    requests: list[Request] = [
        msgspec.structs.replace(request, **fields) if request.arm == arm else request for request in recorded.requests
    ]
    return Recorded(recorded.run, tuple(requests), recorded.blocks, recorded.samples)


def validate(document: Any) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    checker = jsonschema.validators.validator_for(schema)
    checker.check_schema(schema)
    checker(schema).validate(document)


def engine(at: float, **values: float) -> Sample:
    return Sample(at=at, source="engine", subject="a", values=values)


def usage(report: Report, figure: str) -> Usage:
    (found,) = [one for one in report.resources.usage if one.figure == figure]
    return found


def row(report: Report, what: str) -> Row:
    (found,) = [one for one in report.parity.rows if one.what == what]
    return found


# JSON


@pytest.mark.parametrize("control", [False, True])
def test_every_report_is_valid_by_the_documented_schema(control: bool) -> None:
    run = measure(make_run("a", "b", design=SMALL, control=control), slower={"b": 1.2})
    samples = (engine(1.0, running_requests=4.0), Sample(at=0.0, source="gpu", subject="", absent="none"))
    nothing = Recorded(run.run, run.requests, (), ())
    for recorded in (with_samples(run, *samples), Recorded(run.run, run.requests, run.blocks[:3], ())):
        document = json.loads(as_json.render(build(recorded)))
        validate(document)
        assert document["schema_version"] == 1
    validate(json.loads(as_json.render(build(nothing))))


@pytest.mark.parametrize("missing", ["answers", "schema_version", "parity"])
def test_the_schema_refuses_what_is_no_report(missing: str) -> None:
    document = json.loads(as_json.render(report_of_whole()))
    del document[missing]
    with pytest.raises(jsonschema.ValidationError, match=missing):
        validate(document)


def test_the_documented_schema_is_that_of_the_code() -> None:
    """``python -m routegen.bench.report.as_json > docs/bench-report.schema.json`` brings it up to date."""
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == as_json.schema()


def test_the_schema_says_what_the_code_says_of_a_field() -> None:
    described = as_json.schema()["$defs"]
    assert described["Arm"]["properties"]["repeats"]["description"] == (
        "The arm that this one repeats as the A/A control."
    )
    assert (
        "description" in described["Report"]["properties"]["run"] or "$ref" in described["Report"]["properties"]["run"]
    )
    assert described["Effect"]["properties"]["p_adjusted"]["description"].startswith("Holm's")


def test_the_same_records_always_give_the_same_report() -> None:
    recorded = measure(make_run("a", "b", design=SMALL, control=True))
    assert as_json.render(build(recorded)) == as_json.render(build(recorded))


# words


def answer(question: str, outcome: Outcome, difference: float | None = 0.05) -> str:
    """The plain sentence for an outcome."""
    effect = Effect(metric="e2e", pairs=(), difference=difference, low=0.04, high=0.06, floor=0.01, outcome=outcome)
    comparison = msgspec.convert({"base": "a", "other": "b", "question": question}, Comparison)
    return wording.plain(report_of_whole(), Compared(comparison=comparison, primary=effect, others=()))


@pytest.mark.parametrize(
    ("question", "outcome", "difference", "sentence"),
    [
        ("engines", "base better", 0.05, "a is better than b. End to end: 5.0 % longer with b."),
        ("engines", "other better", -0.05, "b is better than a. End to end: 5.0 % shorter with b."),
        ("engines", "equivalent", 0.01, "a and b are equivalent: in end to end they differ by less than 3 %."),
        ("engines", "inconclusive", 0.05, "No verdict on b beside a yet."),
        ("engines", "inconclusive", None, "Too few blocks to compare b with a."),
        ("overhead", "base better", 0.05, "The gateway in front of b changes end to end by +5.0 %."),
        ("overhead", "equivalent", 0.01, "The gateway in front of b changes end to end by less than 3 %."),
        ("interference", "base better", 0.05, "Loading the other engines beside a changes end to end by +5.0 %."),
        ("control", "equivalent", 0.01, "a agrees with itself within 1.0 %: that is the noise."),
        (
            "control",
            "base better",
            0.05,
            "The control differs from a, which it repeats: not only the engines are measured here.",
        ),
    ],
)
def test_every_outcome_has_one_plain_sentence(
    question: str, outcome: Outcome, difference: float | None, sentence: str
) -> None:
    assert answer(question, outcome, difference) == sentence


@pytest.mark.parametrize("control", [False, True])
@pytest.mark.parametrize("format_", ["text", "json", "html"])
def test_no_format_gives_a_verdict_where_a_check_failed(tmp_path: Path, format_: str, control: bool) -> None:
    """Half the time of the other, and half of its answers aborted."""
    measured = measure(make_run("a", "b", design=SMALL, control=control), slower={"b": 0.5})
    aborted = [
        msgspec.structs.replace(request, error="unfinished") if request.arm == "b" and request.prompt % 2 else request
        for request in measured.requests
    ]
    folder = write(tmp_path / "run", Recorded(measured.run, tuple(aborted), measured.blocks, ()))
    found = bench("report", str(folder), "-o", format_)
    assert found.exit_code == 3
    assert "No verdict" in found.stdout
    for word in ("better</td>", "b better", "a better", "is better than", '"other better"', "agrees with itself"):
        assert word not in found.stdout
    assert "equivalent" not in found.stdout.partition("</style>")[2 if format_ == "html" else 0]
    if format_ == "json":
        document = json.loads(found.stdout)
        validate(document)
        assert {one["plain"] for one in document["answers"]} >= {
            "No verdict on b beside a: a check failed (errors), so the figures can't be trusted."
        }
        effects = [effect for one in document["compared"] for effect in (one["primary"], *one["others"])]
        assert {effect["outcome"] for effect in effects} == {"no verdict"}


# distributions and the course of the run


def test_a_distribution_rises_to_one_and_keeps_the_slowest() -> None:
    recorded = measure(make_run("a", "b"))
    found = next(one for one in build(recorded).distributions if (one.metric, one.arm) == ("e2e", "b"))
    values, shares = zip(*found.curve, strict=True)
    assert found.n == 320
    assert len(found.curve) <= 200
    assert list(values) == sorted(values)
    assert list(shares) == sorted(shares)
    assert (values[0], values[-1]) == (
        min(request.chunks[-1] for request in recorded.requests if request.arm == "b"),
        max(request.chunks[-1] for request in recorded.requests if request.arm == "b"),
    )
    assert shares[-1] == 1.0


def test_a_curve_of_few_values_has_every_one() -> None:
    recorded = measure(make_run("a", "b", design=msgspec.structs.replace(DESIGN, requests=1)))
    found = build(recorded).distributions[0]
    assert (found.n, len(found.curve)) == (20, 20)


def test_the_course_has_every_part_once_in_the_order_of_the_run() -> None:
    recorded = whole()
    stretches = build(recorded).timeline.stretches
    assert len(stretches) == 40
    assert [one.started for one in stretches] == sorted(one.started for one in stretches)
    assert all(one.low <= one.median <= one.high for one in stretches if one.low and one.median and one.high)


def test_failed_requests_leave_a_part_without_a_median() -> None:
    recorded = changed(whole(), "b", error="reset")
    stretches = [one for one in build(recorded).timeline.stretches if one.arm == "b"]
    assert {(one.median, one.failed) for one in stretches} == {(None, 4)}


def test_a_primary_metric_of_whole_parts_is_shown_over_time_as_end_to_end() -> None:
    design = msgspec.structs.replace(SMALL, primary="request_rate")
    assert build(measure(make_run("a", "b", design=design))).timeline.metric == "e2e"


# resources


def test_a_figure_counts_for_the_arm_that_was_loaded_at_the_time() -> None:
    recorded = whole()
    first, second = recorded.blocks[0].parts
    samples = [
        engine((part.started + part.ended) / 2, running_requests=value) for part, value in ((first, 4.0), (second, 1.0))
    ]
    found = usage(build(with_samples(recorded, *samples)), "running_requests")
    assert {mean.arm: (mean.n, mean.mean) for mean in found.arms} == {
        first.arms[0]: (1, 4.0),
        second.arms[0]: (1, 1.0),
    }


def test_a_counter_becomes_a_rate_and_a_rate_over_two_arms_counts_for_neither() -> None:
    recorded = whole()
    first, second = recorded.blocks[0].parts  # 4 seconds each
    samples = [
        engine(first.started + 1, prompt_tokens_total=100.0),
        engine(first.started + 3, prompt_tokens_total=120.0),
        engine(second.started + 1, prompt_tokens_total=1000.0),
        engine(second.started + 2, prompt_tokens_total=0.0),  # restarted
        engine(second.started + 3, prompt_tokens_total=7.0),
    ]
    found = usage(build(with_samples(recorded, *samples)), "prompt_tokens_per_second")
    assert [value for _, value in found.series] == [10.0, 440.0, 7.0]
    assert {mean.arm: mean.mean for mean in found.arms} == {first.arms[0]: 10.0, second.arms[0]: 7.0}


def test_a_long_series_is_thinned_and_keeps_its_mean() -> None:
    recorded = whole()
    samples = [engine(number / 100, running_requests=float(number % 2)) for number in range(4000)]
    found = usage(build(with_samples(recorded, *samples)), "running_requests")
    assert len(found.series) == 400
    assert sum(value for _, value in found.series) / 400 == pytest.approx(0.5)


def test_an_absent_source_is_said_once_with_its_reason() -> None:
    recorded = whole()
    gone = Sample(at=0.0, source="gpu", subject="", absent="there is no nvidia-smi")
    absent = build(with_samples(recorded, gone, gone)).resources.absent
    assert [(one.source, one.reason) for one in absent] == [
        ("gpu", "there is no nvidia-smi"),
        ("engine", "not sampled"),
        ("pod", "not sampled"),
        ("node", "not sampled"),
        ("client", "not sampled"),
    ]


def test_a_source_that_came_later_was_absent_for_some_of_the_time() -> None:
    early = Sample(at=0.0, source="engine", subject="a", absent="gives no answer")
    found = build(with_samples(whole(), early, engine(5.0, running_requests=1.0))).resources
    assert [(one.subject, one.partly) for one in found.absent if one.source == "engine"] == [("a", True)]
    assert [one.figure for one in found.usage] == ["running_requests"]


def test_engines_stand_in_the_order_of_their_arms() -> None:
    samples = [Sample(at=1.0, source="engine", subject=name, values={"x": 1.0}) for name in ("a", "z", "b")]
    swapped = make_run("z", "a", "b", design=SMALL)
    found = build(with_samples(measure(swapped), *samples)).resources.usage
    assert [one.subject for one in found] == ["z", "a", "b"]


# parity


def arms(recorded: Recorded, **fields: object) -> Recorded:
    """The same run, with these fields in its second arm."""
    first, second, *rest = recorded.run.arms
    changed_arm: Arm = msgspec.structs.replace(second, **fields)
    run = msgspec.structs.replace(recorded.run, arms=(first, changed_arm, *rest))
    return Recorded(run, recorded.requests, recorded.blocks, recorded.samples)


def test_arms_that_did_the_same_work_are_said_to_be_the_same() -> None:
    report = report_of_whole()
    assert row(report, "model") == Row(what="model", values={"a": "m", "b": "m"}, state="same")
    assert row(report, "prompt (median)").state == "same"
    assert row(report, "answer (median)").values == {"a": "11 tokens", "b": "11 tokens"}


def test_what_an_engine_does_not_tell_is_unknown() -> None:
    report = build(arms(whole(), max_length=4096))
    assert row(report, "longest sequence") == Row(what="longest sequence", values={"b": "4096 tokens"}, state="unknown")


@pytest.mark.parametrize(("fields", "what"), [({"model": "other"}, "model"), ({"max_length": 1}, "longest sequence")])
def test_arms_that_differ_are_said_to_differ(fields: dict[str, object], what: str) -> None:
    told = whole()
    same = msgspec.structs.replace(told.run.arms[0], max_length=2)
    run = msgspec.structs.replace(told.run, arms=(same, told.run.arms[1]))
    report = build(arms(Recorded(run, told.requests, told.blocks, ()), **fields))
    assert row(report, what).state == "different"


def test_prompts_that_differ_in_a_few_pairs_differ_though_their_medians_agree() -> None:
    told = whole()
    requests = [
        msgspec.structs.replace(request, prompt_tokens=99) if request.arm == "b" and request.prompt == 0 else request
        for request in told.requests
    ]
    found = row(build(Recorded(told.run, tuple(requests), told.blocks, ())), "prompt (median)")
    assert (found.values, found.state) == ({"a": "128 tokens", "b": "128 tokens"}, "different")


def test_the_audit_of_the_manifests_stands_beside_the_figures(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", whole())
    without = json.loads(bench("report", str(folder), "-o", "json").stdout)
    assert (without["parity"]["audited"], without["parity"]["findings"]) == (False, [])
    found = bench("report", str(folder), "-o", "json", "--manifests", str(GUIDE))
    document = json.loads(found.stdout)
    validate(document)
    assert document["parity"]["audited"] is True
    rules = {finding["rule"] for finding in document["parity"]["findings"]}
    expected = json.loads(CliRunner().invoke(cli, ["audit", str(GUIDE), "-o", "json"]).stdout)
    assert rules == {finding["rule"] for finding in expected["findings"]}
    assert f"{min(rules)} " in bench("report", str(folder), "--manifests", str(GUIDE)).stdout


# the command


@pytest.mark.parametrize(
    ("format_", "start"), [("text", "20 of 20 blocks"), ("json", "{"), ("html", "<!doctype html>")]
)
def test_a_report_goes_to_standard_output(tmp_path: Path, format_: str, start: str) -> None:
    folder = write(tmp_path / "run", whole())
    printed = bench("report", str(folder), "-o", format_)
    assert printed.exit_code == 0
    assert printed.stdout.lstrip().startswith(start)
