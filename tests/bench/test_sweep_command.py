"""``routegen bench --sweep`` as users call it, against mock engines in processes of their own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from routegen.bench import records, sweep
from routegen.cli import cli
from routegen.common.problems import UserError
from support.bench_engines import engines_with

SMALL = ("--requests", "4", "--warmup", "4", "--input-tokens", "40", "--output-tokens", "4", "--blocks", "1")


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["bench", *arguments])


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Result]]:
    """A whole sweep of two loads; its folder and what the command said."""
    folder = tmp_path_factory.mktemp("sweep") / "run"
    with (
        engines_with("--personality", "vllm", "--ttft", "0.01", "--slots", "2") as vllm,
        engines_with("--personality", "sglang", "--ttft", "0.01") as sglang,
    ):
        yield (
            folder,
            bench(
                *("--url", f"vllm={vllm}", "--url", f"sglang={sglang}", "--output-dir", str(folder)),
                *("--sweep", "concurrency=4,1", *SMALL),
            ),
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sweep", "1,2"], '"1,2" is neither concurrency=1,4,16 nor rate=0.5,1,2'),
        (["--sweep", "concurrency=2"], "give two loads at least"),
        (["--sweep", "concurrency=2,2"], "give two loads at least"),
        (["--sweep", "concurrency=0,2"], "each above 0"),
        (["--sweep", "concurrency=1.5,2"], "requests at once are whole numbers"),
        (["--sweep", "rate=fast,2"], "is not a list of numbers"),
        (["--sweep", "rate=1,inf"], "each above 0"),
        (["--sweep", "rate=1,2", "--rate", "3"], "--rate does not go with --sweep"),
        (["--sweep", "rate=1,2", "--resume", "RUN"], "--sweep does not go with --resume"),
        (["--resume", "RUN", "--blocks", "30"], "its size is fixed"),
    ],
)
def test_options_that_make_no_sense_are_refused_with_a_reason(
    measured: tuple[Path, Result], arguments: list[str], message: str
) -> None:
    engines = ("--url", "a=http://127.0.0.1:1", "--url", "b=http://127.0.0.1:2")
    given = [str(measured[0]) if argument == "RUN" else argument for argument in arguments]
    found = bench(*(() if "--resume" in given else engines), *given)
    assert message in found.stderr.replace("\n", " ")
    assert found.exit_code == 2


def test_a_sweep_measures_every_load_and_reports_the_curve(measured: tuple[Path, Result]) -> None:
    folder, found = measured
    assert found.exit_code in {0, 3}, found.output  # 3: a busy machine's client came late, which a check says
    assert "step 1 of 2, at 1 at once" in found.stderr
    assert "step 2 of 2, at 4 at once" in found.stderr
    assert "A sweep at 1 and 4 at once" in found.stdout
    told = json.loads((folder / "report.json").read_text())
    assert told["loads"] == [1, 4]
    assert [(point["arm"], point["load"]) for point in told["points"]] == [
        ("vllm", 1),
        ("sglang", 1),
        ("vllm", 4),
        ("sglang", 4),
    ]
    for number in (1, 2):
        assert (folder / f"step-{number}" / "report.html").exists()
    assert "step-2/report.html" in (folder / "report.html").read_text()


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_the_report_can_be_made_again(measured: tuple[Path, Result], form: str) -> None:
    folder, found = measured
    printed = bench("report", str(folder), "-o", form)
    assert printed.exit_code == found.exit_code
    if form != "text":
        assert printed.stdout == (folder / f"report.{form}").read_text(encoding="utf-8")
    assert "A sweep at 1 and 4 at once" in printed.stdout or form != "text"


def test_the_manifests_are_audited_step_by_step(measured: tuple[Path, Result], tmp_path: Path) -> None:
    found = bench("report", str(measured[0]), "--manifests", str(tmp_path))
    assert found.exit_code == 2
    assert "is a sweep; report its steps" in found.stderr.replace("\n", " ")


def test_what_is_measured_is_not_measured_again(measured: tuple[Path, Result], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(measured[0], folder)
    for name in ("requests.jsonl", "blocks.jsonl"):
        (folder / "step-2" / name).unlink()
    before = (folder / "step-1" / "requests.jsonl").read_bytes()
    found = bench("--resume", str(folder))
    assert found.exit_code in {0, 3}, found.output
    assert (folder / "step-1" / "requests.jsonl").read_bytes() == before
    assert all(step.done == {0} for step in sweep.read_all(folder).steps)


def test_an_engine_that_dies_leaves_what_was_complete(measured: tuple[Path, Result], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(measured[0], folder)
    for name in ("requests.jsonl", "blocks.jsonl"):
        (folder / "step-2" / name).unlink()
    run = records.read(folder / "step-2").run
    dead = tuple(msgspec.structs.replace(arm, url="http://127.0.0.1:9") for arm in run.arms)
    records.rewrite(folder / "step-2", msgspec.structs.replace(run, arms=dead))
    found = bench("--resume", str(folder))
    assert isinstance(found.exception, UserError)
    assert "none of 4 requests was answered" in str(found.exception)
    assert f"stopped; go on with: routegen bench --resume {folder}" in found.stderr
    assert [point["load"] for point in json.loads((folder / "report.json").read_text())["points"]] == [1, 1]
