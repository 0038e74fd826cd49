"""``routegen explain`` as a command: real engines, a real router, and where the knowledge comes from."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from routegen.cli import cli
from routegen.compile import compile_text
from routegen.explain import knowledge
from routegen.explain.report import checked_config
from routegen.mock_engine import SGLANG, VLLM, Behaviour, MockEngine
from support.command import ROUTEGEN
from support.engines import engine, serving
from support.router import headers, running, talk, wait_for

BODY = '{"model": "shared", "inference_server": "sglang"}'


def routes(folder: Path, *ports: int) -> Path:
    file = folder / "routes.yaml"
    owners = ("vllm", "sglang", "trtllm")
    backends = "".join(
        f"    {owner}: {{endpoints: [127.0.0.1:{port}], ownedBy: {owner}}}\n"
        for owner, port in zip(owners, ports, strict=False)
    )
    file.write_text(
        "apiVersion: routegen/v1alpha1\nkind: InferenceRoutes\nmetadata: {name: test}\n"
        "spec:\n  gateway: {target: envoy}\n  models: {poll: {interval: 60s, timeout: 1s}}\n  backends:\n" + backends
    )
    return file


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """As a user runs it."""
    return subprocess.run(
        [*ROUTEGEN, "explain", *arguments], input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


def report(*arguments: str, stdin: str = "") -> dict[str, Any]:
    """Its JSON, from within this process."""
    done = CliRunner().invoke(cli, ["explain", *arguments, "-o", "json"], input=stdin, catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_engines_are_asked_and_the_silent_one_is_named(tmp_path: Path) -> None:
    with engine(serving("shared", "only-vllm")) as vllm, engine(lambda request: request.answer(500, b"")) as broken:
        file = routes(tmp_path, vllm.port, broken.port)
        told = report("-f", str(file), "--body", '{"model": "only-vllm"}')
        text = run("-f", str(file), "--body", BODY).stdout
    assert told["origin"] == "engines polled now"
    assert told["backend"] == "vllm"
    known = {entry["name"]: entry for entry in told["registry"]}
    assert known["vllm"]["models"] == ["shared", "only-vllm"]
    assert (known["vllm"]["source"], known["vllm"]["alive"], known["vllm"]["error"]) == ("polled", True, None)
    assert known["vllm"]["age_seconds"] < 30
    assert (known["sglang"]["source"], known["sglang"]["alive"]) == ("none", False)
    assert "has told no models: answered 500, not 200" in text
    assert "refused: registry_incomplete, by body:inference_server" in text


def test_an_engine_that_wants_a_key_is_said_to_and_where_to_put_it(tmp_path: Path) -> None:
    with engine(lambda request: request.answer(401, b"")) as locked:
        done = run("-f", str(routes(tmp_path, locked.port)), "--body", '{"model": "m"}')
    assert "has told no models: answered 401, not 200; it wants a key, or another one" in done.stdout
    assert "never answered" not in done.stdout
    assert "say with `apiKey:` of vllm where the key is, as `env:` or `file:`: Secrets aren't read here" in done.stderr


def test_without_polling_nobody_is_asked(tmp_path: Path) -> None:
    with engine(serving("shared")) as vllm:
        told = report("-f", str(routes(tmp_path, vllm.port)), "--no-poll", "--body", '{"inference_server": "vllm"}')
        assert vllm.asked == []
    assert told["origin"] == "routes.yaml alone; engines were not asked"
    assert told["backend"] == "vllm"


def test_a_running_router_is_asked_what_it_knows(tmp_path: Path) -> None:
    with engine(serving("shared")) as vllm, engine(serving("shared", owner="sglang")) as sglang:
        file = routes(tmp_path, vllm.port, sglang.port)
        config = checked_config(compile_text(file.read_text(), "routes.yaml"))
        with running(tmp_path, config) as router:
            url = f"http://{router.status}"
            wait_for(lambda: knowledge.from_router(config, url).view.complete, "both engines' models")
            asked = len(vllm.asked)
            told = report("-f", str(file), "--registry", url, "--body", "-", stdin=BODY)
            for page in ("/", "/registry", "/metrics", "/metrics/"):  # `up` prints the third
                assert report("-f", str(file), "--registry", url + page, "--body", BODY)["backend"] == "sglang"
            assert len(vllm.asked) == asked
            third = routes(tmp_path, vllm.port, sglang.port, 9)
            other = report("-f", str(third), "--registry", url, "--body", BODY)
    assert told["origin"] == f"the router at {url}/registry"
    assert told["backend"] == "sglang"
    assert {entry["source"] for entry in told["registry"]} == {"router"}
    assert "doesn't know this backend" in other["registry"][2]["error"]


async def test_a_models_entry_is_shown_as_the_router_answers_it(tmp_path: Path) -> None:
    engines = MockEngine(VLLM, Behaviour(models=("m",))), MockEngine(SGLANG, Behaviour(("m",), max_model_len=8192))
    async with engines[0] as vllm, engines[1] as sglang:
        file = routes(tmp_path, vllm.port, sglang.port)
        config = checked_config(compile_text(file.read_text(), "routes.yaml"))
        asked = ("-f", str(file), "--method", "GET", "--path", "/v1/models/m")
        with running(tmp_path, config) as router:
            url = f"http://{router.status}"
            complete = lambda: knowledge.from_router(config, url).view.complete  # noqa: E731 - used once
            await asyncio.to_thread(wait_for, complete, "both engines' models")
            [answered] = await talk(router.address, headers("GET", "/v1/models/m", end=True))
            by_router, polled = [
                (await asyncio.to_thread(report, *asked, *more))["reply"]["body"] for more in (("--registry", url), ())
            ]
    assert json.loads(answered.immediate_response.body) == by_router == polled
    assert (polled["max_model_len"], polled["root"], polled["parent"]) == (8192, "m", None)


def test_no_router_at_the_address_is_a_sentence(tmp_path: Path) -> None:
    done = run("-f", str(routes(tmp_path, 9)), "--registry", "http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (1, "")
    assert "http://127.0.0.1:9/registry: no router answers there" in done.stderr
    with engine(serving("x")) as vllm:
        done = run("-f", str(routes(tmp_path, 9)), "--registry", vllm.url.removesuffix("/v1/models"))
    assert done.returncode == 1
    assert "no router answers there" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_body_may_come_from_a_file_or_standard_input(tmp_path: Path) -> None:
    file, body = routes(tmp_path, 9, 10), tmp_path / "request.json"
    body.write_text('{"owned_by": "sglang"}')
    assert report("-f", str(file), "--no-poll", "--body", f"@{body}")["rule"] == "body:owned_by"
    assert report("-f", str(file), "--no-poll", "--body", "-", stdin=BODY)["code"] == "registry_incomplete"
    assert report("-f", "-", "--no-poll", "--body", '{"owned_by":"vllm"}', stdin=file.read_text())["backend"] == "vllm"


def test_a_seed_repeats_the_choice(tmp_path: Path) -> None:
    file = str(routes(tmp_path, 9, 10))
    chosen = [report("-f", file, "--no-poll", "--seed", str(seed))["backend"] for seed in (1, 1, 1, 2)]
    assert chosen == ["vllm", "vllm", "vllm", "sglang"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--bdoy", "{}"],
        ["-f", "-", "--body", "-"],
        ["--body", "@/nowhere/request.json"],
        ["-H", "x-tenant"],
        ["-H", ": gold"],
        ["-H", "x tenant: gold"],
        ["--seed", "one"],
        ["--registry", "http://127.0.0.1:9", "--no-poll"],
        ["stray"],
    ],
)
def test_wrong_usage_is_exit_code_2_and_prints_nothing(arguments: list[str]) -> None:
    done = CliRunner().invoke(cli, ["explain", *arguments])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: ")


def test_warnings_go_to_standard_error(tmp_path: Path) -> None:
    done = run("-f", str(routes(tmp_path, 9)), "--no-poll", "--body", '{"infrence_server": "vllm"}', "-o", "json")
    assert done.returncode == 0
    assert done.stderr == 'warning: the field "infrence_server" is read by no rule; did you mean "inference_server"?\n'
    json.loads(done.stdout)
