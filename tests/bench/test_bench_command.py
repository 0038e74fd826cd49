"""``routegen bench`` as users call it: what it refuses, what it prints, what it ends with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import msgspec
import pytest
from click.testing import CliRunner, Result

from routegen.bench import records
from routegen.bench.analysis import analyse
from routegen.cli import cli
from routegen.commands.bench_run import INVALID, WORSE, exit_code
from routegen.common.problems import INTERRUPTED, UserError
from support.bench_engines import engines_with
from support.bench_runs import DESIGN, make_run, measure

SMALL = ("--requests", "2", "--warmup", "2", "--concurrency", "2", "--input-tokens", "40", "--output-tokens", "4")


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["bench", *arguments])


def write(folder: Path, recorded: records.Recorded) -> None:
    records.create(folder, recorded.run)
    records.append(folder, recorded.requests)
    records.append(folder, recorded.blocks)


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, str]]:
    """Two mock engines in processes of their own; name -> address."""
    with (
        engines_with("--personality", "vllm", "--ttft", "0.01") as vllm,
        engines_with("--personality", "sglang", "--ttft", "0.01") as sglang,
    ):
        yield {"vllm": vllm, "sglang": sglang}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the engines: --url NAME=URL, twice or more"),
        (["--primary", "speed"], 'unknown metric "speed"; known: e2e, ttft'),
        (["--primary", "ttft_p99", "--requests", "64"], "--primary ttft_p99 needs --requests 299"),
        (["--rate", "5", "--concurrency", "2"], "--rate (open loop) excludes --concurrency"),
        (["--requests", "4", "--concurrency", "8"], "--requests 4 a block can't keep 8 in flight"),
        (["--warmup", "4", "--concurrency", "8"], "--warmup 4 can't warm up 8 requests at once"),
        (["--slo", "ttft=fast"], '"fast" is not a number of seconds'),
        (["--slo", "latency=1"], "give ttft, tpot or e2e"),
        (["--primary", "goodput"], "--primary goodput needs a limit"),
        (["--primary", "steady_token_rate", "--requests", "16"], "--primary steady_token_rate needs --requests 32"),
        (["--rate", "nan"], "--rate nan is no number of its own"),
        (["--timeout", "inf"], "--timeout inf is no number of its own"),
        (["--sampling", "model=gold"], '--sampling model: the bench sets "model" itself'),
        (["--sampling", "stop=[1"], "--sampling stop=[1: starts like JSON and isn't"),
        (["--model", "m", "--model", "n"], "--model names m and n; one engine's own model is --model NAME=MODEL"),
        (["--url", "a=http://127.0.0.1:1", "--model", "b=m"], '--model: no engine is called "b"; known: a'),
        (["--margin", "3"], "3 is not between 0 and 100 %"),
        (["--margin", "much"], "neither a percentage (3%) nor a share"),
        (["--url", "vllm"], '"vllm" is not NAME=VALUE'),
        (["--url", "a=127.0.0.1:8001"], '"127.0.0.1:8001" is not an address such as http://'),
        (["--url", "a=http://127.0.0.1:1/v1/"], "leave /v1 out of the address: http://127.0.0.1:1"),
        (["--url", "a=http://me:secret@host:1"], "a password or a query would be recorded"),
        (["--url", "a=http://127.0.0.1:1", "--engine", "a"], "add -f routes.yaml"),
        (["--url", "a=http://127.0.0.1:1", "--url", "a=http://127.0.0.1:2"], '--url names "a" twice'),
        (["--url", "a=http://127.0.0.1:1", "--way", "both"], "--way both needs a gateway"),
        (["--resume", "RUN", "--blocks", "1"], "20 blocks are measured already"),
        (
            ["--resume", "RUN", "--blocks", "40"],
            "has been given, on 20 blocks; blocks added after looking find a difference",
        ),
        (["--resume", "RUN", "--until-decided"], "has been given, on 20 blocks"),
        (["--max-blocks", "40"], "--max-blocks goes with --until-decided"),
        (["--until-decided", "--blocks", "40"], "--max-blocks says where it ends"),
        (["--until-decided", "--plan"], "--max-blocks says where it ends"),
        (["--until-decided", "--max-blocks", "12"], "--max-blocks 12: a verdict needs 20"),
        (["--resume", "RUN", "--concurrency", "4"], "--concurrency does not go with --resume"),
        (["--resume", "RUN", "--seed", "1"], "--seed does not go with --resume"),
    ],
)
def test_options_that_make_no_sense_are_refused_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "run", measure(make_run("a", "b", design=msgspec.structs.replace(DESIGN, requests=1))))
    found = bench(*(str(tmp_path / "run") if argument == "RUN" else argument for argument in arguments))
    assert message in found.stderr.replace("\n", " ")
    assert found.exit_code == 2
    assert found.stdout == ""


def test_an_engine_that_is_not_there_is_named() -> None:
    found = bench("--url", "a=http://127.0.0.1:9", "--url", "b=http://127.0.0.1:19")
    assert isinstance(found.exception, UserError)
    assert str(found.exception) == (
        "a does not answer at http://127.0.0.1:9 (nothing listens there: connections are refused); is it running?"
    )


def test_a_model_that_an_engine_does_not_serve_is_named(engines: dict[str, str], tmp_path: Path) -> None:
    urls = [part for name, url in engines.items() for part in ("--url", f"{name}={url}")]
    found = bench(*urls, "--model", "gold", "--output-dir", str(tmp_path / "run"))
    assert 'vllm does not serve the model "gold"; it serves: mock-model' in str(found.exception)
    assert not (tmp_path / "run").exists()


def test_engines_that_name_one_model_differently_are_compared_by_each_ones_name(tmp_path: Path) -> None:
    with engines_with("--model", "one") as one, engines_with("--model", "two") as two:
        urls = ["--url", f"a={one}", "--url", f"b={two}"]
        found = bench(*urls, *SMALL, "--blocks", "1", "--output-dir", str(tmp_path / "none"))
        assert "or, where engines name it differently, --model NAME=MODEL for each (a: one; b: two)" in str(
            found.exception
        )
        bench(
            *urls,
            *SMALL,
            "--blocks",
            "1",
            "--output-dir",
            str(tmp_path / "run"),
            "--model",
            "a=one",
            "--model",
            "b=two",
        )
    recorded = records.read(tmp_path / "run")
    assert [arm.model for arm in recorded.run.arms] == ["one", "two"]
    assert {request.error for request in recorded.requests} == {None}


def test_sampling_is_sent_as_the_json_it_is(engines: dict[str, str], tmp_path: Path) -> None:
    urls = [part for name, url in engines.items() for part in ("--url", f"{name}={url}")]
    given = ("--sampling", 'stop=["a", "b"]', "--sampling", 'chat_template_kwargs={"enable_thinking": false}')
    bench(*urls, *SMALL, "--blocks", "1", "--output-dir", str(tmp_path / "run"), *given, "--sampling", "user=me")
    received = json.loads(urlopen(f"{engines['vllm']}/_received?last=20").read())["requests"]
    sent = json.loads(b64decode(next(one["body"]["base64"] for one in received[::-1] if one["method"] == "POST")))
    assert sent["stop"] == ["a", "b"]
    assert sent["chat_template_kwargs"] == {"enable_thinking": False}
    assert sent["user"] == "me"


def test_a_run_measures_every_block_and_reports_it(engines: dict[str, str], tmp_path: Path) -> None:
    urls = [part for name, url in engines.items() for part in ("--url", f"{name}={url}")]
    found = bench(*urls, *SMALL, "--blocks", "6", "--output-dir", str(tmp_path / "run"))
    assert "sglang beside vllm (engines)" in found.stdout
    assert "n too small: needs 299" in found.stdout
    assert "block 6 of 6: vllm" in found.stderr
    assert found.exit_code in {0, INVALID}, "a busy machine may fail the client's check"
    recorded = records.read(tmp_path / "run")
    assert (len(recorded.done), recorded.run.arms[0].model) == (6, "mock-model")

    again = bench("--resume", str(tmp_path / "run"), "--blocks", "8")
    assert "block 8 of 8: vllm" in again.stderr
    assert len(records.read(tmp_path / "run").done) == 8


def test_a_plan_says_what_a_run_can_tell_and_goes_on_as_one(tmp_path: Path) -> None:
    with engines_with("--ttft", "0.04") as one, engines_with("--ttft", "0.1") as two:
        planned = bench("--url", f"a={one}", "--url", f"b={two}", *SMALL, "--plan", "--output-dir", str(tmp_path))
        assert "b beside a, with this load: 6 blocks (" in planned.stderr
        assert "b better" not in planned.stdout
        if planned.exit_code == 0:  # a busy machine may fail the client's check, and then nothing is said
            told = " ".join(planned.stdout.split())
            assert "6 blocks are too few: a verdict needs 20" in told
            assert "b beside a, with this load: 6 blocks (" in told
        found = bench("--resume", str(tmp_path), "--until-decided", "--max-blocks", "100")
    recorded = records.read(tmp_path)
    assert recorded.run.design.looks == (20, 28, 40, 57, 80, 100)
    if found.exit_code == 0:
        assert "a better: b beside a" in found.stdout
    assert len(recorded.done) < 100, "so large a difference is plain before the end"
    again = bench("--resume", str(tmp_path))
    assert f"{tmp_path} is decided; measure a new run" in again.stderr.replace("\n", " ")


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_a_pods_end_report_what_was_measured_and_say_how_to_go_on(
    engines: dict[str, str], tmp_path: Path, told: signal.Signals
) -> None:
    urls = [part for name, url in engines.items() for part in ("--url", f"{name}={url}")]
    process = subprocess.Popen(
        [
            Path(sys.executable).with_name("routegen"),
            "bench",
            *urls,
            *SMALL,
            "--blocks",
            "100000",
            "--output-dir",
            str(tmp_path / "run"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("block 8 of"):
            break
    process.send_signal(told)
    out, err = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert "of 100000 blocks, 2 requests per arm and block" in out
    assert f"go on with: routegen bench --resume {tmp_path / 'run'}" in err
    assert len(records.read(tmp_path / "run").done) >= 8


def test_ctrl_c_while_the_report_is_made_says_how_to_have_it(
    engines: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(recorded: records.Recorded) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("routegen.bench.report.model.build", interrupted)
    urls = [part for name, url in engines.items() for part in ("--url", f"{name}={url}")]
    found = bench(*urls, *SMALL, "--blocks", "1", "--output-dir", str(tmp_path / "run"))
    assert f"see it with: routegen bench report {tmp_path / 'run'}" in found.stderr
    assert found.exit_code == INTERRUPTED


def test_an_engine_that_dies_in_the_middle_is_named_after_the_report_of_what_was_measured(
    engines: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = [part for name, url in engines.items() for part in ("--url", f"{name}={url}")]
    folder = str(tmp_path / "run")
    bench(*urls, *SMALL, "--blocks", "1", "--output-dir", folder)

    def dies(*_: object) -> bool:
        raise UserError("vllm: none of 2 requests was answered")

    monkeypatch.setattr("routegen.bench.conduct.conduct", dies)
    found = bench("--resume", folder, "--blocks", "2")
    assert "1 of 2 blocks, 2 requests per arm and block" in found.stdout
    assert f"go on with: routegen bench --resume {folder}" in found.stderr
    assert str(found.exception) == "vllm: none of 2 requests was answered"


def test_a_cluster_that_can_not_be_reached_leaves_no_run_folder(
    engines: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    urls = [part for name, url in engines.items() for part in ("--url", f"{name}={url}")]
    found = bench(*urls, *SMALL, "--pods", "inference", "--output-dir", str(tmp_path / "run"))
    assert "can't reach the cluster" in str(found.exception)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("watched", "sentence"),
    [
        ("", '"" names no namespace'),
        ("Inference", '"Inference" names no namespace'),
        ("inference/", '"" are no labels'),
        ("inference/app", '"app" are no labels; they are key=value, such as inference/app=vllm'),
        ("inference/app=vllm,", '"app=vllm," are no labels'),
    ],
)
def test_what_is_watched_is_a_namespace_and_perhaps_labels(watched: str, sentence: str) -> None:
    found = bench("--url", "a=http://127.0.0.1:1", "--url", "b=http://127.0.0.1:2", "--pods", watched)
    assert found.exit_code == 2
    assert sentence in found.stderr


def test_a_report_is_made_again_from_the_folder_alone(tmp_path: Path) -> None:
    write(tmp_path, measure(make_run("a", "b", control=True), slower={"b": 1.2}))
    found = bench("report", str(tmp_path))
    assert found.exit_code == 0
    assert "a better: b beside a, end to end +" in found.stdout
    assert "measured by the control" in found.stdout
    assert found.stdout == bench("report", str(tmp_path)).stdout


def test_a_report_of_nothing_says_so(tmp_path: Path) -> None:
    records.create(tmp_path, make_run("a", "b"))
    assert "No block is complete" in bench("report", str(tmp_path)).stdout


@pytest.mark.parametrize(
    ("arguments", "primary"), [([], "e2e"), (["--stop-at-eos"], "tpot"), (["--primary", "ttft"], "ttft")]
)
def test_answers_that_end_by_themselves_are_compared_per_token(
    engines: dict[str, str], tmp_path: Path, arguments: list[str], primary: str
) -> None:
    urls = [part for name, url in engines.items() for part in ("--url", f"{name}={url}")]
    bench(*urls, *SMALL, "--blocks", "1", "--output-dir", str(tmp_path / "run"), *arguments)
    assert records.read(tmp_path / "run").run.design.primary == primary


def test_the_exit_code_tells_invalid_worse_and_interrupted_apart() -> None:
    small = msgspec.structs.replace(DESIGN, requests=8)
    run = make_run("a", "b", design=small)
    slower, faster = (analyse(measure(run, slower={"b": factor})) for factor in (1.3, 0.7))
    assert exit_code(slower, complete=True, fail_if_worse=False) == 0
    assert exit_code(slower, complete=True, fail_if_worse=True) == WORSE
    assert exit_code(faster, complete=True, fail_if_worse=True) == 0
    assert exit_code(slower, complete=False, fail_if_worse=True) == INTERRUPTED
    recorded = measure(run)
    broken = tuple(msgspec.structs.replace(request, error="reset") for request in recorded.requests)
    invalid = analyse(records.Recorded(run, broken, recorded.blocks, ()))
    assert exit_code(invalid, complete=True, fail_if_worse=True) == INVALID
