"""The kinds that teams run, in the shapes that public manifests have: what is read, what is found, what is passed over.

Each file says so in its head, and each was read by eye: what is listed is a true statement about the manifests, and
what they differ in is either found or known to make no difference.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from routegen.audit.facts import Fact
from routegen.audit.findings import Severity
from routegen.audit.reading import read_manifests
from routegen.audit.report import Report, audit

KINDS = Path(__file__).parent / "kinds"
FILES = sorted(KINDS.glob("*.yaml"))


def _report(file: Path) -> Report:
    return audit(read_manifests([str(file)]))


def _head(file: Path) -> dict[str, str]:
    lines = file.read_text(encoding="utf-8").splitlines()[1:4]
    return dict(line.removeprefix("# ").split(": ", 1) for line in lines)


def test_there_are_as_many_as_promised() -> None:
    assert len(FILES) >= 40


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_manifest_is_read_as_its_head_says(file: Path) -> None:
    report, head = _report(file), _head(file)
    engines = [engine for one in report.compared for engine in (one.pair.first, one.pair.second)]
    reads = dict.fromkeys(f"{engine.name} is {engine.read.split(' (')[0]}" for engine in engines)
    assert "; ".join(reads) == head["reads"]
    assert ", ".join(sorted({one.rule.id for one in report.findings})) == head["finds"].replace("nothing", "")
    over = [*(one.what for one in report.skipped), *(engine.name for engine in report.left_out)]
    assert "; ".join(over) == head["passes over"].replace("nothing", "")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_place_is_the_line_of_its_value(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    for one in _report(file).compared:
        for engine in (one.pair.first, one.pair.second):
            for name in ("model", "context_length", "max_sequences"):
                fact: Fact = engine.option(name)
                if fact.state == "set" and fact.place.path not in {"$.spec", "$.spec.serveConfigV2"}:
                    assert str(fact.value) in lines[fact.place.line - 1], fact


@pytest.mark.parametrize(
    ("name", "option", "path"),
    [
        ("inference-service-args", "cuda_graphs", "$.spec.predictor.model.args[0]"),
        ("inference-service-args", "context_length", "$.spec.containers[0].args[2]"),
        ("llm-base-refs", "max_sequences", "$.spec.template.containers[0].env[0].value"),
        ("dynamo", "cuda_graphs", "$.spec.services.VllmWorker.extraPodSpec.mainContainer.args[0]"),
        ("storm-services", "context_length", "$.spec.template.spec.roles[1].template.spec.containers[0].args[1]"),
        ("ray-services", "context_length", "$.spec.serveConfigV2"),
    ],
)
def test_the_pieces_of_a_composed_object_keep_their_places(name: str, option: str, path: str) -> None:
    [compared] = _report(KINDS / f"{name}.yaml").compared
    assert (
        compared.pair.first.option(option).place.path == path or compared.pair.second.option(option).place.path == path
    )


UNEXPLAINED = ("attention-backend", "expert-parallel", "launch-blocking", "llm-kv-offloading", "lmcache-variables")


MORE = ("dynamo-multinode", "inference-service-batcher", "llm-worker", "ray-service-accelerators", "torchao")


@pytest.mark.parametrize("name", [*UNEXPLAINED, *MORE, "page-size", "rdma", "start-script"])
def test_no_unexplained_difference_is_clean(name: str) -> None:
    report = _report(KINDS / f"{name}.yaml")
    assert {"FAIR073", "FAIR076"} & {one.rule.id for one in report.findings}
    assert report.fails(Severity.WARNING)
