"""The router's image: what the Dockerfile says, and that the router runs on nothing but its own requirements."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from routegen.emit.kubernetes.router_deployment import GRPC_PORT, HTTP_PORT
from routegen_router import __main__ as router_main
from support.packaging import empty_environment, pip
from support.router import PATIENCE, body, headers, router_config, running, talk

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    """The Dockerfile: (instruction, the rest of its logical line)."""
    text = re.sub(r"^#.*\n", "", (REPOSITORY / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


def only(instructions: list[tuple[str, str]], word: str) -> str:
    [rest] = [rest for found, rest in instructions if found == word]
    return rest


def test_the_base_is_an_argument(instructions: list[tuple[str, str]]) -> None:
    assert instructions[:2] == [("ARG", "BASE=python:3.13-slim"), ("FROM", "${BASE}")]


def test_it_installs_the_routers_requirements_and_nothing_else(instructions: list[tuple[str, str]]) -> None:
    copies = [rest.split() for word, rest in instructions if word == "COPY"]
    assert copies == [
        ["router/requirements.txt", "/tmp/requirements.txt"],
        ["router/routegen_router", "/app/routegen_router"],
    ]
    [install] = [rest for word, rest in instructions if word == "RUN" and " install " in rest]
    assert re.search(r" install( --[a-z-]+)* -r /tmp/requirements.txt && rm", install)


def test_what_it_copies_exists_and_is_all_that_the_build_is_given(instructions: list[tuple[str, str]]) -> None:
    ignore = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    sources = [rest.split()[0] for word, rest in instructions if word == "COPY"]
    assert ignore[0] == "*"
    assert [line[1:] for line in ignore if line.startswith("!")] == sources
    for source in sources:
        assert (REPOSITORY / source).exists()
        assert not any(fnmatch.fnmatch(source, line) for line in ignore[1:] if not line.startswith("!"))


def test_it_runs_as_a_number_that_is_not_root(instructions: list[tuple[str, str]]) -> None:
    user, _, group = only(instructions, "USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0


def test_its_ports_are_those_that_the_deployment_uses(instructions: list[tuple[str, str]]) -> None:
    assert only(instructions, "EXPOSE").split() == [str(GRPC_PORT), str(HTTP_PORT)]


def test_its_command_is_the_routers_own_in_exec_form(instructions: list[tuple[str, str]]) -> None:
    entry, arguments = json.loads(only(instructions, "ENTRYPOINT")), json.loads(only(instructions, "CMD"))
    assert entry == ["python", "-m", "routegen_router"]
    options = router_main.parser().parse_args(arguments)
    assert options.listen == [f"[::]:{GRPC_PORT}"]
    assert options.metrics == f"[::]:{HTTP_PORT}"


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment that holds what the image holds."""
    python = empty_environment(tmp_path_factory.mktemp("image"))
    pip(python, "install", "-r", str(REPOSITORY / "router" / "requirements.txt"))
    present = json.loads(pip(python, "list", "--format=json"))
    names = {entry["name"].lower() for entry in present}
    assert not names & {"click", "pydantic", "jinja2", "envoy-data-plane", "aiohttp", "routegen"}
    return python


async def test_the_router_runs_on_its_own_requirements(bare_python: Path, tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(REPOSITORY / "router"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = (str(bare_python), "-W", "error", "-m", "routegen_router")
    with running(tmp_path, router_config(), command=command, environment=environment) as router:
        async with grpc.aio.insecure_channel(router.address) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check
            reply = await check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
            assert reply.status == health_pb2.HealthCheckResponse.SERVING
        *_, decided = await talk(router.address, headers(), body({"inference_server": "sglang"}))
        assert decided.dynamic_metadata["routegen"]["backend"] == "sglang"  # type: ignore[index]
        assert router.stop() == 0


def test_the_router_imports_nothing_that_its_image_lacks() -> None:
    code = "import sys, routegen_router.__main__; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not set(loaded) & {"click", "pydantic", "jinja2", "envoy_data_plane", "aiohttp", "routegen", "yaml"}
