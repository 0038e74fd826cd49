"""From records to everything that a report shows, the checks included."""

from __future__ import annotations

import math
import random

import msgspec
import pytest

from routegen.bench import wording
from routegen.bench.analysis import Analysis, analyse
from routegen.bench.design import Comparison
from routegen.bench.metrics import BY_KEY
from routegen.bench.records import Block, Part, Recorded, Request
from routegen.bench.simulate import Machine
from support.bench_runs import DESIGN, make_run, measure

SMALL = msgspec.structs.replace(DESIGN, requests=4)


def levels(analysis: Analysis, check: str) -> set[str]:
    return {found.level for found in analysis.checks if found.id == check}


def changed(recorded: Recorded, arm: str, **fields: object) -> Recorded:
    """The same run, with these fields in every request of ``arm``."""
    requests = tuple(
        msgspec.structs.replace(request, **fields) if request.arm == arm else request for request in recorded.requests
    )
    return Recorded(recorded.run, requests, recorded.blocks, recorded.samples)


def failing(recorded: Recorded, arm: str, every: int) -> Recorded:
    """The same run, in which every so-many-th request of ``arm`` was reset."""
    requests: list[Request] = []
    for number, request in enumerate(recorded.requests):
        hit = request.arm == arm and number % every == 0
        requests.append(msgspec.structs.replace(request, error="reset") if hit else request)
    return Recorded(recorded.run, tuple(requests), recorded.blocks, recorded.samples)


def test_a_slower_engine_is_named_with_the_size_of_the_difference() -> None:
    found = analyse(measure(make_run("a", "b"), slower={"b": 1.15}))
    assert found.valid
    (compared,) = found.compared
    assert compared.comparison == Comparison(base="a", other="b", question="engines")
    assert compared.primary.outcome == "base better"
    assert compared.primary.difference == pytest.approx(0.15, abs=0.05)
    assert {effect.metric for effect in compared.others} >= {"ttft", "tpot", "request_rate", "goodput"}


def test_the_same_records_always_give_the_same_analysis() -> None:
    recorded = measure(make_run("a", "b", "c", design=SMALL))
    assert analyse(recorded) == analyse(recorded)


def test_the_control_gives_the_noise_floor_of_its_base() -> None:
    found = analyse(measure(make_run("a", "b", design=SMALL, control=True)))
    engines, control = found.compared
    assert control.comparison.question == "control"
    assert engines.primary.floor_from == "control"
    assert control.primary.floor_from == "interval"


def test_a_control_that_differs_is_said() -> None:
    found = analyse(measure(make_run("a", "b", design=SMALL, control=True), slower={"a again": 1.5}))
    assert levels(found, "control") == {"note"}
    assert found.compared[0].primary.outcome == "inconclusive", "half as much again is the noise here"


def test_of_three_engines_each_is_held_against_the_first_under_holm() -> None:
    found = analyse(measure(make_run("a", "b", "c", design=SMALL), slower={"b": 1.2}))
    b, c = found.compared
    assert (b.comparison.other, c.comparison.other) == ("b", "c")
    assert b.primary.p is not None
    assert b.primary.p_adjusted == pytest.approx(2 * b.primary.p)


def test_percentiles_are_given_only_where_the_sample_supports_them() -> None:
    few = analyse(measure(make_run("a", "b", design=SMALL)))  # 80 requests an arm
    figure = few.arms[0].figure("e2e")
    assert figure is not None
    assert [found.value is not None for found in figure.percentiles] == [True, True, True, False]
    assert figure.percentiles[-1].needs == 299


def test_an_interrupted_run_is_reported_up_to_its_last_complete_block() -> None:
    whole = measure(make_run("a", "b", design=SMALL), slower={"b": 1.3})
    cut = analyse(Recorded(whole.run, whole.requests, whole.blocks[:9], ()))
    assert cut.blocks == 9
    assert levels(cut, "blocks") == {"note"}
    assert cut.compared[0].primary.difference is not None
    assert cut.compared[0].primary.outcome == "inconclusive", "nobody is called better with fewer than 20 blocks"
    assert cut.compared[0].primary.reason == "9 of 20 blocks are measured, and the verdict is on 20"


def test_one_block_is_not_called_blocks() -> None:
    recorded = measure(make_run("a", "b", design=msgspec.structs.replace(DESIGN, blocks=1)))
    assert any(check.message.startswith("1 block: with fewer") for check in analyse(recorded).checks)


def test_a_run_without_a_complete_block_has_an_empty_analysis() -> None:
    whole = measure(make_run("a", "b", design=SMALL))
    found = analyse(Recorded(whole.run, whole.requests, (), ()))
    assert found.arms == ()
    assert found.compared[0].primary.pairs == ()


def test_a_block_is_measured_once_however_often_it_was_tried() -> None:
    whole = measure(make_run("a", "b", design=SMALL))
    again = tuple(msgspec.structs.replace(request, session=1) for request in whole.requests if request.block == 3)
    part = Part(arms=("a",), started=0.0, ended=1.0)
    others = (block for block in whole.blocks if block.block != 3)
    blocks = (*others, Block(session=1, block=3, parts=(part,)))
    found = analyse(Recorded(whole.run, whole.requests + again, blocks, ()))
    assert found.arms[0].requests == 80
    assert levels(found, "sessions") == {"note"}


def test_a_run_in_which_all_is_well_passes_every_check() -> None:
    assert {check.level for check in analyse(measure(make_run("a", "b"))).checks} == {"ok"}


@pytest.mark.parametrize(
    ("fields", "check", "level"),
    [
        ({"prompt_tokens": 140}, "prompt-tokens", "fail"),
        ({"prompt_tokens": None}, "prompt-tokens", "unknown"),
        ({"completion_tokens": 9}, "completion-tokens", "fail"),
        ({"completion_tokens": None}, "completion-tokens", "unknown"),
        ({"cached_tokens": 100}, "cache", "fail"),
        ({"cached_tokens": 32}, "cache", "ok"),
        ({"cached_tokens": None}, "cache", "unknown"),
        ({"done_marker": False}, "done", "note"),
        ({"characters": 20}, "text", "fail"),
        ({"characters": 120}, "text", "fail"),
        ({"characters": 60}, "text", "ok"),
        ({"characters": None}, "text", "unknown"),
        ({"repeats": True}, "repeats", "fail"),
        ({"scheduled": -10.0}, "client", "fail"),
    ],
)
def test_what_makes_a_comparison_unfair_is_found(fields: dict[str, object], check: str, level: str) -> None:
    found = analyse(changed(measure(make_run("a", "b", design=SMALL)), "b", **fields))
    assert level in levels(found, check)
    assert found.valid is (level != "fail")


@pytest.mark.parametrize(("primary", "level"), [("tpot", "note"), ("ttft", "note"), ("e2e", "fail")])
def test_answers_of_other_lengths_are_no_fault_where_engines_may_stop_and_are_compared_by_token(
    primary: str, level: str
) -> None:
    run = make_run("a", "b", design=msgspec.structs.replace(SMALL, ignore_eos=False, primary=primary))
    found = analyse(changed(measure(run), "b", completion_tokens=9))
    assert levels(found, "completion-tokens") == {level}


@pytest.mark.parametrize(
    ("late", "level"), [(0.001, "ok"), (0.003, "ok"), (0.006, "note"), (0.02, "fail"), (None, "unknown")]
)
def test_a_client_that_reads_late_is_found(late: float | None, level: str) -> None:
    """The median time to first token is 100 ms; a millisecond is the timer's own."""
    recorded = measure(make_run("a", "b", design=SMALL), machine=Machine(step=0.0))
    blocks = tuple(
        msgspec.structs.replace(block, parts=tuple(msgspec.structs.replace(part, late=late) for part in block.parts))
        for block in recorded.blocks
    )
    found = analyse(Recorded(recorded.run, recorded.requests, blocks, ()))
    assert levels(found, "reading") == {level}


def test_both_engines_may_repeat_themselves_as_small_models_do() -> None:
    recorded = changed(changed(measure(make_run("a", "b", design=SMALL)), "a", repeats=True), "b", repeats=True)
    assert levels(analyse(recorded), "repeats") == {"note"}


def test_warm_prompts_must_be_found_in_the_cache() -> None:
    run = make_run("a", "b", design=msgspec.structs.replace(SMALL, cache="warm"))
    assert levels(analyse(measure(run)), "cache") == {"fail"}
    warm = changed(changed(measure(run), "a", cached_tokens=112), "b", cached_tokens=112)
    assert levels(analyse(warm), "cache") == {"ok"}


@pytest.mark.parametrize(("every", "level"), [(5, "fail"), (250, "note")])
def test_failed_requests_are_counted_by_kind(every: int, level: str) -> None:
    found = analyse(failing(measure(make_run("a", "b")), "b", every))
    assert level in levels(found, "errors")
    assert found.arms[1].errors.keys() == {"reset"}
    assert found.arms[0].errors == {}


@pytest.mark.parametrize(("arm", "held"), [("a", True), ("b", False)])
def test_an_arm_with_more_failures_is_never_better(arm: str, held: bool) -> None:
    recorded = measure(make_run("a", "b"), slower={"b": 1.3})
    (first, *rest) = [request for request in recorded.requests if request.arm == arm]
    requests = tuple(
        msgspec.structs.replace(request, error="reset") if request is first else request
        for request in recorded.requests
    )
    assert len(rest) > 100
    found = analyse(Recorded(recorded.run, requests, recorded.blocks, ()))
    assert found.valid, "one of 320 is a note"
    effects = found.compared[0].effects
    assert ("base better" not in {effect.outcome for effect in effects}) is held
    if held:
        assert effects[0].reason == "a would be better, but more of its requests failed: 1 beside 0 of b"
        assert wording.plain(found, found.compared[0]) == f"No verdict: {effects[0].reason}."


def test_a_tail_can_be_what_the_verdict_is_about() -> None:
    """One request in ten of b takes half as long again: no median sees it, the 95th percentile does."""
    design = msgspec.structs.replace(DESIGN, requests=60, primary="e2e_p95")
    recorded = measure(make_run("a", "b", design=design), machine=Machine(step=0.005, noise=0.05))
    requests = tuple(
        msgspec.structs.replace(one, chunks=(*one.chunks[:-1], 1.5 * one.chunks[-1]))
        if one.arm == "b" and one.prompt % 10 == 0
        else one
        for one in recorded.requests
    )
    found = analyse(Recorded(recorded.run, requests, recorded.blocks, ()))
    primary, *others = found.compared[0].effects
    assert (primary.metric, primary.outcome) == ("e2e_p95", "base better")
    assert next(effect for effect in others if effect.metric == "e2e").outcome == "equivalent"
    figure = found.arms[1].figure("e2e_p95")
    assert figure is not None
    assert wording.headline(found, found.compared[0]).startswith("a better: b beside a, end to end, p95 +")


def test_requests_that_fail_fast_make_an_arm_slower_not_faster() -> None:
    """Every fifth request of b, the slowest, is cut off: what is left is faster, what was asked for is not."""
    recorded = measure(make_run("a", "b", design=msgspec.structs.replace(DESIGN, requests=32)))
    slow = {
        (request.block, request.prompt)
        for block in range(20)
        for request in sorted(
            (one for one in recorded.requests if (one.block, one.arm) == (block, "b")), key=lambda one: one.chunks[-1]
        )[-6:]
    }
    requests = tuple(
        msgspec.structs.replace(request, error="reset")
        if request.arm == "b" and (request.block, request.prompt) in slow
        else request
        for request in recorded.requests
    )
    before, after = analyse(recorded), analyse(Recorded(recorded.run, requests, recorded.blocks, ()))
    was, now = before.compared[0].primary.difference, after.compared[0].primary.difference
    assert was is not None
    assert now is not None
    assert was <= now < was + 0.05


def test_prompts_that_differ_much_more_than_the_arms_cost_no_precision() -> None:
    """Answers of one token to hundreds: prompt by prompt the arms differ by 5 %, and the block medians by anything."""
    recorded = measure(make_run("a", "b"), slower={"b": 1.05}, machine=Machine(step=0.0, noise=0.02))
    draw = random.Random(1)
    length = {(block, prompt): math.exp(draw.gauss(0, 1.5)) for block in range(20) for prompt in range(16)}
    requests = tuple(
        msgspec.structs.replace(
            request, chunks=tuple(length[request.block, request.prompt] * chunk for chunk in request.chunks)
        )
        for request in recorded.requests
    )
    found = analyse(Recorded(recorded.run, requests, recorded.blocks, ())).compared[0].primary
    assert found.outcome == "base better"
    assert found.difference == pytest.approx(0.05, abs=0.01)
    assert found.low is not None
    assert found.low > 0.03


def test_fewer_blocks_than_the_least_are_not_equivalent_either() -> None:
    design = msgspec.structs.replace(SMALL, blocks=12, requests=16)
    found = analyse(measure(make_run("a", "b", design=design), machine=Machine(step=0.0, noise=0.01)))
    assert {effect.outcome for effect in found.compared[0].effects} == {"inconclusive"}


def test_a_steady_rate_of_too_few_requests_says_what_it_needs() -> None:
    design = msgspec.structs.replace(DESIGN, requests=8)
    found = analyse(measure(make_run("a", "b", design=design)))
    figure = found.arms[0].figure("steady_token_rate")
    assert figure is not None
    assert wording.typical(BY_KEY["steady_token_rate"], figure) == "n too small: needs 16 requests a block"
    assert "steady_token_rate" not in {effect.metric for effect in found.compared[0].effects}


@pytest.mark.parametrize(("backend", "level"), [(None, "unknown"), ("a", "ok")])
def test_answers_through_a_gateway_must_name_their_backend(backend: str | None, level: str) -> None:
    run = make_run("a", "b", design=SMALL)
    arms = (msgspec.structs.replace(run.arms[0], via="gateway", inference_server="a"), run.arms[1])
    recorded = changed(measure(msgspec.structs.replace(run, arms=arms)), "a", backend=backend)
    assert levels(analyse(recorded), "backend") == {level}
