"""``make demo`` passes on the example, and would fail if requests went elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from routegen.demo.cases import CASES
from support.up import TWO_ENGINES


def demo(routes: Path) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        [sys.executable, "-m", "routegen.demo", str(routes)], capture_output=True, text=True, timeout=60, check=False
    )


def test_every_row_is_as_expected_and_the_exit_code_says_so() -> None:
    done = demo(TWO_ENGINES)
    assert done.stderr == ""
    assert f"\n{len(CASES)} of {len(CASES)} as expected" in done.stdout
    assert done.returncode == 0


def test_a_request_that_goes_elsewhere_makes_it_fail_in_its_row(tmp_path: Path) -> None:
    routes = tmp_path / "routes.yaml"
    routes.write_text(TWO_ENGINES.read_text().replace("- body: owned_by", "- prefer: [vllm]"))
    done = demo(routes)
    [row] = [line for line in done.stdout.splitlines() if line.startswith("owned_by: sglang")]
    assert "expected backend sglang" in row
    assert done.returncode == 1


def test_a_file_that_is_not_there_is_a_sentence() -> None:
    done = demo(Path("nowhere.yaml"))
    assert done.stderr == "routegen: nowhere.yaml: no such file; `routegen init` writes one to start from\n"
    assert done.returncode == 1


def test_it_ends_without_a_traceback_when_nobody_reads_on() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "routegen.demo", str(TWO_ENGINES)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(60) == 0
