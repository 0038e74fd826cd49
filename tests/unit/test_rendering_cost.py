"""What rendering many backends costs, counted in calls of functions: the same on every machine, whatever else it does.

Seconds and megabytes are the benchmarks' business (docs/performance.md).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import betterproto2
import pytest

from routegen import pipeline
from routegen.emit.envoy import once_a_class
from routegen.emit.envoy.bootstrap import static

MOST_CALLS = {"envoy": 31_500, "envoy-gateway": 9_900}
"""Calls that a further backend may cost, a tenth more than it does.

Without the caches and libyaml it is several times as many.
"""


def routes(folder: Path, backends: int, target: str = "envoy") -> Path:
    lines = [
        f"    b{number}: {{endpoints: ['e{number}.example.com:8000'], ownedBy: vllm}}" for number in range(backends)
    ]
    head = "apiVersion: routegen/v1alpha1\nkind: InferenceRoutes\nmetadata: {name: many}\n"
    path = folder / f"{target}-{backends}.yaml"
    path.write_text(f"{head}spec:\n  gateway: {{target: {target}}}\n  backends:\n" + "\n".join(lines))
    return path


def calls(path: Path) -> int:
    """Functions that were called to render, Python's and C's."""
    count = 0

    def called(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event.endswith("call")

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        pipeline.to_text(pipeline.render(pipeline.read_plan(path)).documents)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("target", MOST_CALLS)
def test_a_further_backend_costs_little_and_always_the_same(tmp_path: Path, target: str) -> None:
    calls(routes(tmp_path, 1, target))  # what is made once is made here
    few, some, many = (
        calls(routes(tmp_path, number, target)) for number in (35, 55, 95)
    )  # beyond FEW, where each has one stand-in
    each = (some - few) / 20
    assert each < MOST_CALLS[target]
    assert (many - some) / 40 < 1.1 * each, "more backends make each of them dearer"


UNCHANGED = """
import json, sys
from routegen.emit.envoy import once_a_class
once_a_class.KNOWN = "none"
from routegen import pipeline
from routegen.emit.envoy.bootstrap import static
import betterproto2
assert betterproto2.Message._validate is not once_a_class._validate
print(json.dumps(static(pipeline.read_plan(sys.argv[1]))))
"""


def test_messages_are_the_same_without_the_caches(tmp_path: Path) -> None:
    path = routes(tmp_path, 3)
    plain = subprocess.run([sys.executable, "-c", UNCHANGED, str(path)], capture_output=True, text=True, check=True)
    assert betterproto2.Message._validate is once_a_class._validate
    assert json.loads(plain.stdout) == static(pipeline.read_plan(path))


def test_the_library_is_the_one_that_needs_the_caches() -> None:
    assert betterproto2.__version__ == once_a_class.KNOWN, (
        "betterproto2 has changed: see whether Message._type_hints and Message._validate still work for every message "
        "anew. If so, name the version in once_a_class.KNOWN; if not, remove once_a_class.py and this test"
    )
