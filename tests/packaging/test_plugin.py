"""The example plugin: built, installed as its Dockerfile does, and routed by through a real Envoy."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from routegen.emit.router_config import router_config
from routegen.pipeline import read_plan
from routegen_router.config import dump
from support.command import ROUTEGEN
from support.gateway import Gateway, gateway
from support.packaging import empty_environment, pip
from support.router import router_config as ready_made
from support.router import running, wait_for

PLUGIN = Path(__file__).parents[2] / "examples" / "plugin"
EXAMPLE = PLUGIN / "example" / "routes.yaml"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What its README builds: a folder with the package and its metadata."""
    folder = tmp_path_factory.mktemp("plugin")
    pip(empty_environment(folder / "venv"), "wheel", "--no-deps", "--wheel-dir", str(folder), str(PLUGIN))
    [wheel] = folder.glob("*.whl")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    subprocess.run([*command, "--target", str(folder / "build"), str(wheel)], check=True)
    return folder / "build"


@pytest.fixture
def installed(built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Here and in every process that a test starts."""
    monkeypatch.syspath_prepend(built)
    monkeypatch.setenv("PYTHONPATH", str(built))
    importlib.invalidate_caches()
    return built


@pytest.fixture
def running_gateway(installed: Path) -> Iterator[Gateway]:
    with gateway(EXAMPLE.read_text(), {"small": ["both", "only-small"], "large": ["both", "only-large"]}) as started:
        yield started


def test_it_is_routed_by_through_a_real_envoy(running_gateway: Gateway) -> None:
    for body, backend in (
        ({"model": "both"}, "small"),
        ({"model": "only-large"}, "large"),
        ({"model": "both", "inference_server": "large"}, "large"),
    ):
        reply = running_gateway.post(body)
        assert (reply.status, reply.header("x-inference-server")) == (200, backend)
    assert running_gateway.reached() == {"small": 1, "large": 2}


def test_the_dockerfile_puts_it_where_the_routers_image_looks(built: Path) -> None:
    base, copy = (PLUGIN / "Dockerfile").read_text().splitlines()
    assert base.startswith("FROM ")
    assert copy == "COPY build/ /app/"
    ours = (PLUGIN.parents[1] / "Dockerfile").read_text()
    assert "PYTHONPATH=/app" in ours
    assert {path.name for path in built.iterdir()} >= {"example_fallback", "example_fallback_rule-1.0.0.dist-info"}


def test_its_own_tests_pass() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(PLUGIN), str(PLUGIN)]
    environment = {**os.environ, "PYTHONPATH": str(PLUGIN), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_command_line_has_it(installed: Path) -> None:
    listed = subprocess.run([*ROUTEGEN, "plugins"], check=True, capture_output=True, text=True).stdout
    assert "  fallback  example-fallback-rule 1.0.0  Keep the backends of the first of these names" in listed
    tested = subprocess.run([*ROUTEGEN, "test", "-f", str(EXAMPLE)], check=True, capture_output=True, text=True)
    assert tested.stdout.endswith("3 cases, all passed\n")
    rendered = [*ROUTEGEN, "render", "-f", str(EXAMPLE), "--only", "router-config"]
    done = subprocess.run(rendered, check=True, capture_output=True, text=True)
    assert '"requires": [\n    "example-fallback-rule"\n  ]' in done.stdout
    assert "is a rule of example-fallback-rule: a router without it refuses this configuration" in done.stderr


def test_a_router_without_it_refuses_to_start_and_keeps_what_it_has(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = dump(router_config(read_plan(EXAMPLE)))
    monkeypatch.delenv("PYTHONPATH")
    lone = tmp_path / "needs.json"
    lone.write_bytes(data)
    command = [sys.executable, "-m", "routegen_router", "--config", str(lone), "--listen", "127.0.0.1:0"]
    refused = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1
    assert "needs example-fallback-rule, which is not installed here" in refused.stderr
    with running(tmp_path, ready_made()) as router:
        router.rewrite(data)
        wait_for(lambda: router.logged("configuration refused; the last good one stays in force"), "the refusal")
        [entry] = router.logged("configuration refused; the last good one stays in force")
        assert "needs example-fallback-rule, which is not installed here" in entry["problem"]
        assert router.stop() == 0
