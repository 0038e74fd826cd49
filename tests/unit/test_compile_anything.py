"""Whatever stands in a file, reading it ends in a plan or in problems; the same file always in the same plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from routegen.common.problems import InputError
from routegen.compile import compile_text
from routegen.plan import Plan

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*/routes.yaml"))

WORDS = [
    *("apiVersion", "kind", "metadata", "name", "namespace", "spec", "gateway", "target", "listeners", "tls", "port"),
    *("router", "failure", "backend", "backends", "service", "llmInferenceService", "inferencePool", "endpoints"),
    *("models", "poll", "url", "enabled", "rules", "body", "header", "prefer", "split", "stickyBy", "reject", "when"),
    *("values", "onUnknown", "path", "model", "routegen/v1alpha1", "InferenceRoutes", "vllm", "a", "v*", "envoy"),
    *("10.0.0.1:80", "[::1]:80", "15s", "32Mi", "/v1/models", "x-a", "[key]", "<split>", "\x00", "é", "status", "."),
]
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(WORDS), st.text(max_size=8), st.just(10**400)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=25,
)
specs = st.fixed_dictionaries({}, optional=dict.fromkeys(("gateway", "router", "paths", "models"), values)).flatmap(
    lambda rest: st.fixed_dictionaries(
        {
            "backends": st.dictionaries(st.sampled_from(["a", "vllm", "service"]), values, max_size=2).map(
                lambda entries: {"b": {"endpoints": ["10.0.0.1:80"], "ownedBy": "vllm"}} | entries
            ),
            "rules": st.lists(values, max_size=3).map(lambda rules: [*rules, {"split": {"b": 1}}]),
        }
    ).map(lambda given_keys: rest | given_keys)
)
files = specs.map(
    lambda spec: {
        "apiVersion": "routegen/v1alpha1",
        "kind": "InferenceRoutes",
        "metadata": {"name": "demo"},
        "spec": spec,
    }
)
yamlish = st.text(alphabet="abx01:-[]{},&*!|>'\"%@`#?~<.=/\\ \n\t\r\x85\u2028é", max_size=60)


def _outcome(text: str) -> Plan | tuple[str, ...]:
    try:
        return compile_text(text, "routes.yaml")
    except InputError as error:
        return tuple(map(str, error.problems))


@settings(deadline=None)
@given(st.text(max_size=80) | yamlish)
def test_any_text_ends_in_problems_or_a_plan(text: str) -> None:
    _outcome(text)


@settings(deadline=None)
@given(values)
def test_any_structure_ends_in_problems_or_a_plan(value: Any) -> None:
    _outcome(json.dumps(value))


@settings(deadline=None)
@given(files)
def test_any_file_that_begins_right_has_problems_with_lines_or_the_same_plan_twice(value: Any) -> None:
    text = json.dumps(value, indent=1)
    outcome = _outcome(text)
    assert outcome == _outcome(text)
    if isinstance(outcome, tuple):
        assert outcome
        assert all(problem.startswith("routes.yaml:") for problem in outcome)


@settings(deadline=None)
@given(st.sampled_from(EXAMPLES), st.data())
def test_an_example_with_a_line_cut_or_doubled_ends_in_problems_or_a_plan(path: Path, data: st.DataObject) -> None:
    lines = path.read_text().splitlines(keepends=True)
    index = data.draw(st.integers(0, len(lines) - 1))
    times = data.draw(st.sampled_from([0, 2]))
    text = "".join([*lines[:index], *[lines[index]] * times, *lines[index + 1 :]])
    assert _outcome(text) == _outcome(text)
