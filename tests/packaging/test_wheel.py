"""The distribution: what the wheel holds, what it depends on, and that its console script runs."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import tomllib
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from support.packaging import empty_environment, pip

REPOSITORY = Path(__file__).parents[2]
PACKAGES = {
    "routegen": REPOSITORY / "generator" / "routegen",
    "routegen_router": REPOSITORY / "router" / "routegen_router",
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment's Python."""
    return empty_environment(tmp_path_factory.mktemp("wheel-venv"))


@pytest.fixture(scope="module")
def wheel(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip(python, "wheel", "--no-deps", "--wheel-dir", str(folder), str(REPOSITORY))
    [made] = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return table


def test_the_wheel_holds_exactly_the_two_packages(wheel: Path) -> None:
    names = [PurePosixPath(name) for name in zipfile.ZipFile(wheel).namelist()]
    packaged = {str(name) for name in names if name.parts[0] in PACKAGES}
    assert {name.parts[0] for name in names} - set(PACKAGES) == {f"{'-'.join(wheel.stem.split('-')[:2])}.dist-info"}
    assert packaged == {
        f"{package}/{file.relative_to(folder)}"
        for package, folder in PACKAGES.items()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {"routegen/py.typed", "routegen_router/py.typed", "routegen_router/_pb/extproc_pb2.pyi"} <= packaged


def test_the_first_dependencies_are_the_routers_requirements_line_for_line(project: dict[str, Any]) -> None:
    requirements = (REPOSITORY / "router" / "requirements.txt").read_text().splitlines()
    assert project["dependencies"][: len(requirements)] == requirements


def test_the_console_script_runs_from_an_installed_wheel(python: Path, wheel: Path, tmp_path: Path) -> None:
    pip(python, "install", "--no-deps", str(wheel))
    # The dependencies come from here. A folder on PYTHONPATH runs no .pth files, so routegen itself, which is
    # installed here as editable, can only come from the wheel.
    environment = {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")}
    where = "import routegen, routegen_router; print(routegen.__file__, routegen_router.__file__)"
    found = subprocess.run(
        [python, "-c", where], env=environment, cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert found.stdout.count(str(python.parents[1])) == 2
    for verb in ([], ["router"], ["render"]):
        run = [str(python.with_name("routegen")), *verb, "--help"]
        done = subprocess.run(run, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True)
        assert done.stdout.startswith("Usage: routegen")
