"""Each folder here is a case: a ``routes.yaml``, and for each target a folder with what it renders to.

A case without such a folder is rendered for the target that its file names. What the examples render to is in
``manifests/``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from routegen import pipeline
from routegen.common.problems import Problem
from support.golden import hold

HERE = Path(__file__).parent


def _cases() -> list[tuple[Path, str]]:
    """Every case with every target that it is held for."""
    cases = []
    for file in sorted(HERE.glob("*/routes.yaml")):
        named = pipeline.read_plan(file).gateway.target
        folders = sorted(path.name for path in file.parent.iterdir() if path.is_dir())
        cases += [(file, target) for target in folders or [named]]
    return cases


CASES = _cases()


@pytest.mark.parametrize(("file", "target"), CASES, ids=[f"{file.parent.name}-{target}" for file, target in CASES])
def test_a_routes_yaml_renders_to_exactly_these_documents(file: Path, target: str, *, update_golden: bool) -> None:
    notices: list[Problem] = []
    output = pipeline.render(pipeline.read_plan(file, target, notices))
    files = {document.filename: pipeline.file_text(document) for document in output.documents}
    if notices:
        files["notices.txt"] = "".join(f"{replace(notice, file=file.name)}\n" for notice in notices)
    hold(file.parent / target, files, update=update_golden)


def test_every_folder_here_is_a_case() -> None:
    folders = {path.name for path in HERE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == {file.parent.name for file, _ in CASES}


def test_what_was_rendered_before_changes_nothing() -> None:
    """Parts that are made once are shared by all that is rendered in one process: nobody may change them."""

    def rendered(case: str) -> list[str]:
        output = pipeline.render(pipeline.read_plan(HERE / case / "routes.yaml", "envoy"))
        return [pipeline.file_text(document) for document in output.documents]

    before = rendered("tls")
    pools = rendered("pools")
    assert rendered("tls") == before
    assert rendered("pools") == pools
