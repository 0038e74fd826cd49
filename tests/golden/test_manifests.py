"""``manifests/`` is what the examples render to; every Kubernetes object in it, and in the cases here, is valid."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from routegen import pipeline
from routegen.targets import TARGETS, find
from support.command import ROUTEGEN
from support.crds import problems
from support.golden import hold

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
EXAMPLES = sorted(ROOT.glob("examples/*/routes.yaml"))


def rendered(file: Path, target: str) -> dict[str, str]:
    """File name -> text: what is applied, in one file, and each companion in its own."""
    name = file.parent.name
    documents = pipeline.render(pipeline.read_plan(file, target)).documents
    texts = {f"{name}.yaml": pipeline.to_text(document for document in documents if not document.companion)}
    texts |= {
        f"{name}.{document.filename}": pipeline.file_text(document) for document in documents if document.companion
    }
    return texts


def targets(example: Path) -> list[str]:
    """What an example is rendered for: Envoy, its own target, and whatever else serves a cluster."""
    own = pipeline.read_plan(example).gateway.target
    return ["envoy", *(["envoy-gateway", "istio"] if own == "envoy-gateway" else [])]


@pytest.mark.parametrize("target", TARGETS)
def test_manifests_are_what_the_examples_render_to(target: str, *, update_golden: bool) -> None:
    files: dict[str, str] = {}
    for example in EXAMPLES:
        if target in targets(example):
            files |= rendered(example, target)
    hold(ROOT / "manifests" / target, files, update=update_golden)


CASES = [
    *((file, target) for file in EXAMPLES for target in targets(file)),
    *(
        (file, target)
        for file in sorted(HERE.glob("*/routes.yaml"))
        for target in TARGETS
        if (file.parent / target).is_dir()
    ),
]
ONLY_IN_A_CLUSTER = {"ServiceEntry"}
"""Kinds whose definition isn't among the CRD schemas: `make test-cluster` holds them to a real API server."""


@pytest.mark.parametrize(("file", "target"), CASES, ids=[f"{file.parent.name}-{target}" for file, target in CASES])
def test_every_rendered_object_is_valid(file: Path, target: str) -> None:
    """Files for other programs than Kubernetes' are checked by those: tests/envoy/test_validate.py."""
    documents = pipeline.render(pipeline.read_plan(file, target)).documents
    objects = [one for one in documents if "apiVersion" in one.document and one.kind not in ONLY_IN_A_CLUSTER]
    assert objects or not find(target).capabilities.creates_gateway
    assert {f"{document.kind}/{document.name}": problems(document.document) for document in objects} == {
        f"{document.kind}/{document.name}": [] for document in objects
    }


@pytest.mark.parametrize("target", TARGETS)
def test_two_processes_render_the_same_bytes(target: str) -> None:
    command = [*ROUTEGEN, "render", "-f", str(ROOT / "examples/five-models/routes.yaml"), "--target", target]
    outputs = {
        subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True, text=True
        ).stdout
        for seed in ("0", "1")
    }
    assert len(outputs) == 1
    assert "model-zoo" in outputs.pop()


def test_a_stale_manifest_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text("a: 1\n")
    with pytest.raises(pytest.fail.Exception, match="stale"):
        hold(tmp_path, {}, update=False)


def test_a_changed_manifest_is_noticed_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "new.yaml").write_text("a: 1\nb: 2\n")
    with pytest.raises(pytest.fail.Exception, match="line 2 is 'b: 2', rendered is 'b: 3'"):
        hold(tmp_path, {"new.yaml": "a: 1\nb: 3\n"}, update=False)


def test_an_update_writes_what_is_new_and_removes_what_is_stale(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text("a: 1\n")
    hold(tmp_path, {"sub/new.yaml": "b: 2\n"}, update=True)
    hold(tmp_path, {"sub/new.yaml": "b: 2\n"}, update=False)
