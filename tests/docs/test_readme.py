"""Every command in the README is run, or named here with the test that runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from routegen.compile import compile_text

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
ELSEWHERE = {
    "make demo": "tests/envoy/test_demo.py",
    "make up": "tests/envoy/test_up.py",
    "pip install '.[local]'": "tests/packaging/test_wheel.py",
    "routegen up --mock-engines": "tests/envoy/test_up.py",
}
"""Commands that run for long or set up a machine -> the test that runs the same."""
KUBECTL = """\
#!/usr/bin/env bash
set -eu
test "$*" = "apply -f -"
exec "$PYTHON" -c 'import sys, yaml; assert all(d["kind"] and d["apiVersion"] for d in yaml.safe_load_all(sys.stdin))'
"""


def commands() -> list[str]:
    """The commands of all console blocks, without their comments."""
    lines = [line for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
    return [re.sub(r"\s+#.*", "", line) for line in lines]


def test_the_commands_of_the_readme_work_one_after_the_other(tmp_path: Path) -> None:
    """In an empty folder, with a kubectl that checks what it is given."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "kubectl").write_text(KUBECTL)
    (tools / "kubectl").chmod(0o755)
    here = tmp_path / "empty"
    here.mkdir()
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHON": sys.executable}
    run = [command for command in commands() if command not in ELSEWHERE]
    assert len(run) >= 5
    for command in run:
        line = ["bash", "-euo", "pipefail", "-c", command]
        done = subprocess.run(line, cwd=here, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    assert sorted(file.name for file in here.iterdir()) == ["envoy.yaml", "routes.cases.yaml", "routes.yaml"]


@pytest.mark.parametrize(("command", "test"), ELSEWHERE.items())
def test_commands_that_run_elsewhere_have_a_test_there(command: str, test: str) -> None:
    """The named test exists, and make's targets too."""
    assert command in commands()
    assert (ROOT / test).exists()
    if command.startswith("make "):
        assert re.search(rf"^{command.split()[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_routes_of_the_readme_compile() -> None:
    """The smallest file, and the same with the further rules put in front."""
    whole, more = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    plan = compile_text(whole, "README.md")
    assert [backend.name for backend in plan.backends] == ["vllm", "sglang"]
    head, tail = whole.split("    - body: inference_server")
    renamed = more.replace("stable", "vllm").replace("canary", "sglang")
    rules = [rule.name for rule in compile_text(head + renamed, "README.md").rules]
    assert len(rules) == 3
    assert "- body: owned_by" in tail
