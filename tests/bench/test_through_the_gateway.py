"""The bench through a real Envoy and the real router: every arm reaches its own engine, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from routegen.bench import records
from routegen.bench.analysis import Analysis, analyse
from routegen.cli import cli
from support.gateway import Gateway, gateway

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: compare}
spec:
  gateway: {target: envoy}
  backends:
    vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm}
    sglang: {endpoints: [127.0.0.1:8002], ownedBy: sglang}
"""
SIZE = ("--blocks", "2", "--requests", "4", "--warmup", "2", "--concurrency", "2", "--output-tokens", "4")


@pytest.fixture(scope="module")
def running() -> Iterator[Gateway]:
    with gateway(ROUTES, {"vllm": ["both", "one"], "sglang": ["both"]}) as started:
        yield started


def bench(running: Gateway, folder: Path, *arguments: str, routes: str = ROUTES) -> Analysis:
    running.forget()
    file = folder / "routes.yaml"
    file.write_text(routes)
    address = ("--gateway", f"http://127.0.0.1:{running.port}")
    urls = [part for name, engine in running.engines.items() for part in ("--url", f"{name}={engine.url}")]
    command = ["bench", "-f", str(file), *address, *urls, *SIZE, "--output-dir", str(folder / "run"), *arguments]
    found = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert found.stdout.startswith("2 of 2 blocks"), found.stderr
    return analyse(records.read(folder / "run"))


def test_engines_with_keys_are_measured_both_ways_and_each_sees_its_own(tmp_path: Path) -> None:
    """One whose key the router puts on requests, and one whose clients have to bring it."""
    keys = {"vllm": "sk-of-vllm", "sglang": "sk-of-sglang"}
    for name, key in keys.items():
        (tmp_path / name).write_text(key)
    routes = ROUTES.replace("ownedBy: vllm", f"ownedBy: vllm, apiKey: {{file: {tmp_path}/vllm, send: true}}")
    routes = routes.replace("ownedBy: sglang", f"ownedBy: sglang, apiKey: {{file: {tmp_path}/sglang}}")
    with gateway(routes, {"vllm": ["both"], "sglang": ["both"]}) as keyed:
        found = bench(keyed, tmp_path, "--way", "both", routes=routes)
        assert all(not arm.errors for arm in found.arms)
        for name, key in keys.items():
            requests = keyed.engines[name].recorder.requests
            shown = {value for one in requests if one.path.startswith("/v1/") for value in one.header("authorization")}
            assert shown == {f"Bearer {key}"}
            assert all(one.header("authorization") for one in requests if one.path.startswith("/v1/"))
    written = b"".join(path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert written
    assert not any(key.encode() in written for key in keys.values())


def generations(running: Gateway) -> dict[str, int]:
    """Engine -> requests that asked it for text."""
    return {name: len(engine.recorder.generations()) for name, engine in running.engines.items()}


def test_each_arm_reaches_the_engine_that_it_names(running: Gateway, tmp_path: Path) -> None:
    found = bench(running, tmp_path)
    assert [arm.arm.model for arm in found.arms] == ["both", "both"], "the only model that both serve"
    assert generations(running) == {"vllm": 2 + 8 + 2 * 4, "sglang": 2 + 8 + 2 * 4}, "warm-up, probes, blocks"
    assert [check.level for check in found.checks if check.id == "backend"] == ["ok", "ok"]
    assert all(
        request.backend == request.arm and request.error is None
        for request in records.read(tmp_path / "run").measured()
    )


def test_both_ways_say_what_the_gateway_costs(running: Gateway, tmp_path: Path) -> None:
    found = bench(running, tmp_path, "--way", "both")
    questions = [compared.comparison.question for compared in found.compared]
    assert questions == ["engines", "engines", "overhead", "overhead"]
    assert [arm.arm.name for arm in found.arms] == ["vllm", "vllm direct", "sglang", "sglang direct"]
    assert all(not arm.errors for arm in found.arms)
    assert generations(running) == {"vllm": 2 * 18, "sglang": 2 * 18}
