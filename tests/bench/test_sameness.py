"""Whether two engines answer alike, and what is said where they don't."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen.bench import records, wording
from routegen.bench.analysis import analyse
from routegen.bench.answers import STEP, alike, marks
from routegen.bench.measure import measure
from routegen.bench.records import PROBE, Recorded
from routegen.mock_engine import SGLANG, VLLM, MockEngine
from support.bench_runs import DESIGN, answered, make_run
from support.bench_runs import measure as made_up

KEY = b"key"


@given(st.text(min_size=1, max_size=200), st.text(max_size=200), st.text(max_size=200))
def test_answers_are_alike_as_far_as_their_beginnings_are(common: str, one: str, two: str) -> None:
    same, until = alike(marks(common + one, KEY), marks(common + two, KEY))
    assert same == (one == two)
    if not same:
        shared = next((at for at, (a, b) in enumerate(zip(common + one, common + two, strict=False)) if a != b), None)
        assert until <= (min(len(common + one), len(common + two)) if shared is None else shared)
        assert until >= len(common) // STEP * STEP - STEP


def test_marks_say_nothing_without_their_key() -> None:
    assert marks("the answer", b"one") != marks("the answer", b"two")
    assert len(marks("x" * 100, KEY)) == 7


DESIGNED = msgspec.structs.replace(DESIGN, probes=4)


def probed(base: list[str], other: list[str], **design: object) -> Recorded:
    run = make_run("a", "b", design=msgspec.structs.replace(DESIGNED, **design))
    recorded = made_up(run, slower={"b": 0.5})
    probes = [
        msgspec.structs.replace(answered(run, PROBE, arm, prompt, 0.0, 0.1, 0.01), marks=marks(text, KEY))
        for arm, texts in (("a", base), ("b", other))
        for prompt, text in enumerate(texts)
    ]
    return Recorded(run, (*probes, *recorded.requests), recorded.blocks, ())


LONG = [
    "It is a truth universally acknowledged",
    "Call me Ishmael. Some years ago",
    "All happy families are alike",
    "Who?",
]


@pytest.mark.parametrize(
    ("other", "level", "words"),
    [
        (LONG, "ok", "4 of 4 answers to the same prompts are alike."),
        (
            [*LONG[:3], "What?"],
            "note",
            "3 of 4 answers to the same prompts are alike, the others for about 0 ",
        ),
        (
            ["Colorless green ideas sleep furiously", "x", "y", "z"],
            "note",
            "not one even begins alike: is it the same model",
        ),
        ([], "unknown", "no answers to compare"),
    ],
)
def test_how_alike_they_are_is_said(other: list[str], level: str, words: str) -> None:
    (check,) = [found for found in analyse(probed(LONG, other)).checks if found.id == "answers"]
    assert check.level == level
    assert words in check.message


def test_a_faster_engine_that_answers_something_else_is_flagged() -> None:
    same, strange = analyse(probed(LONG, LONG)), analyse(probed(LONG, ["x", "y", "z", "?"]))
    flag = "But they answer differently from the first words on."
    assert flag not in wording.plain(same, same.compared[0])
    assert wording.plain(strange, strange.compared[0]).startswith("b is better than a.")
    assert wording.plain(strange, strange.compared[0]).endswith(flag)


def test_sampled_answers_are_not_compared() -> None:
    found = analyse(probed(LONG, LONG, sampling={"temperature": 0.7}))
    assert [check.level for check in found.checks if check.id == "answers"] == ["unknown"]


async def test_every_arm_answers_the_same_prompts_before_the_first_block(tmp_path: Path) -> None:
    design = msgspec.structs.replace(DESIGNED, blocks=1, requests=2, warmup=2, output_tokens=5, input_tokens=40)
    async with MockEngine(VLLM, port=0) as one, MockEngine(VLLM, port=0) as two, MockEngine(SGLANG, port=0) as three:
        run = make_run("a", "b", "c", design=design)
        arms = [
            msgspec.structs.replace(arm, url=engine.url, model="mock-model")
            for arm, engine in zip(run.arms, (one, two, three), strict=True)
        ]
        run = msgspec.structs.replace(run, arms=tuple(arms), started_at=datetime.now(UTC).isoformat())
        records.create(tmp_path, run)
        await measure(tmp_path, lambda _: None)
    recorded = records.read(tmp_path)
    assert {request.block for request in recorded.measured()} == {0}
    levels = {check.message.split(":")[0]: check.level for check in analyse(recorded).checks if check.id == "answers"}
    assert levels == {"a and b": "ok", "a and c": "note"}, "a mock engine's answer begins with its owner"
