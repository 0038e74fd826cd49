"""No input crashes the audit, and what it says of one input doesn't depend on accidents."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from routegen.audit.engines import kinds
from routegen.audit.formats import FORMATS
from routegen.audit.pairs import choose
from routegen.audit.quantities import quantity
from routegen.audit.reading import Manifest, parse_manifests, read_manifests
from routegen.audit.report import audit
from routegen.audit.shell import Word, commands
from routegen.audit.workloads import find_engines
from routegen.common.problems import UserError

HERE = Path(__file__).parent
GUIDE = (HERE / "guide" / "vllm.yaml").read_text(encoding="utf-8")
ENGINES = [json.dumps(document) for document in yaml.safe_load_all(
    (HERE / "cases" / "FAIR001" / "fires.yaml").read_text(encoding="utf-8")
)]  # fmt: skip
KINDS = [list(yaml.safe_load_all(file.read_text(encoding="utf-8"))) for file in sorted((HERE / "kinds").glob("*.yaml"))]
FLAGS = sorted({flag for kind in kinds().values() for flag in kind.by_flag})

_leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from(["8Gi", "500m", "nvidia.com/gpu", "all", "0,1", "$(X)", "sh", "-c", "vllm", "serve"])
)  # fmt: skip
_anything = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)


def _render_all(manifests: list[Manifest]) -> None:
    try:
        report = audit(manifests)
    except UserError:
        return
    for render in FORMATS.values():
        assert render(report)


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        found += _paths(child, (*path, key))
    return found


@given(st.text())
def test_no_text_crashes_the_reader(text: str) -> None:
    manifests, problems = parse_manifests(text, "x.yaml")
    assert all(problem.file == "x.yaml" for problem in problems)
    _render_all(manifests)


@given(st.data())
def test_no_value_anywhere_in_a_manifest_crashes_a_rule(data: st.DataObject) -> None:
    documents = copy.deepcopy(data.draw(st.sampled_from([[json.loads(text) for text in ENGINES], *KINDS])))
    for _ in range(data.draw(st.integers(1, 3))):
        document = data.draw(st.sampled_from(documents))
        *parents, last = data.draw(st.sampled_from(_paths(document)))
        place = document
        try:
            for part in parents:
                place = place[part]
            place[last] = data.draw(_anything)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the path away
    manifests, _ = parse_manifests(json.dumps({"kind": "List", "items": documents}), "x.json")
    _render_all(manifests)


@given(st.integers(0, len(GUIDE)), st.text(alphabet="{}[]:-,\"'#&*!|>%@\t\n a0", max_size=4))
def test_a_broken_manifest_is_named_by_file_and_line_or_read(position: int, noise: str) -> None:
    manifests, problems = parse_manifests(GUIDE[:position] + noise + GUIDE[position:], "guide.yaml")
    for problem in problems:
        assert problem.file == "guide.yaml"
        assert 1 <= problem.line <= GUIDE.count("\n") + noise.count("\n") + 2
        assert str(problem).startswith(f"guide.yaml:{problem.line}")
    _render_all(manifests)


@given(st.text(alphabet="vllm serve$(){}'\"\\`;&|<>#\n=A-:@*!", max_size=60))
def test_no_script_crashes_the_shells_reader(script: str) -> None:
    for run in commands((Word("sh"), Word("-c"), Word(script)), {"A": Word("x y")}):
        assert all(isinstance(word.text, str) for word in run.words)


@given(st.lists(st.sampled_from([*(f"--{flag}" for flag in FLAGS), "-tp", "1", "x", "--", "-", "=", "--=", "", "-1"])))
def test_no_arguments_crash_the_parser(arguments: list[str]) -> None:
    for command in (["vllm", "serve"], ["python3", "-m", "sglang.launch_server"]):
        pod = {"kind": "Pod", "spec": {"containers": [{"command": command, "args": arguments}]}}
        manifests, _ = parse_manifests(json.dumps(pod), "x.json")
        [engine] = find_engines(manifests)
        for name in engine.line.kind.options if engine.line.kind else ():
            assert engine.option(name).shown


@given(_leaves)
def test_a_quantity_is_exact_or_none(value: Any) -> None:
    number = quantity(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**30:
        assert number == value


@given(st.permutations(sorted((HERE / "guide").glob("*.yaml"))))
def test_the_order_of_files_changes_no_finding(files: list[Path]) -> None:
    report = audit(read_manifests([str(file) for file in files]))
    expected = audit(read_manifests([str(HERE / "guide")]))
    assert {finding.rule.id for finding in report.findings} == {finding.rule.id for finding in expected.findings}


def test_an_engine_compared_with_itself_differs_in_nothing() -> None:
    for file in (HERE / "guide" / "vllm.yaml", HERE / "guide" / "sglang.yaml"):
        world = read_manifests([str(file)])
        twice = [*world, Manifest(world[0].document, (), {**world[0].value, "metadata": {"name": "twin"}})]
        [pair] = choose(find_engines(twice), twice, ())
        comparing = {"model", "engine", "image"} - {"image"}
        report = audit(twice)
        found = {one.rule.id for one in report.findings if one.rule.group in comparing and not one.unknown}
        assert pair.second.name == "twin"
        assert not found
