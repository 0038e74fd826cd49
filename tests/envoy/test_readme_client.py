"""The README's lines of Python, against a running gateway."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from support.up import TWO_ENGINES, up

README = Path(__file__).parents[2] / "README.md"


def test_the_client_of_the_readme_reaches_the_engine_that_it_names() -> None:
    [lines] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert "127.0.0.1:10000" in lines  # the port of `make up`
    with up("-f", str(TWO_ENGINES), "--mock-engines") as running:
        code = lines.replace("127.0.0.1:10000", running.ready())
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "sglang\n", "")
