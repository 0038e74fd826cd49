"""The API server takes every object that routegen renders, and the controller accepts them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from routegen.status.drift import differences
from support.cluster.cluster import Cluster
from support.cluster.gateways import TARGET

ROOT = Path(__file__).parents[2]
GOLDEN = sorted(folder for folder in (ROOT / "tests/golden").glob(f"*/{TARGET}") if list(folder.glob("*.yaml")))
MANIFESTS = sorted((ROOT / "manifests" / TARGET).glob("*.yaml"))


def taken(cluster: Cluster, documents: str) -> None:
    """A server-side dry run of all of them: schema, defaults, CEL rules, admission."""
    for document in yaml.safe_load_all(documents):
        cluster.namespace(document["metadata"]["namespace"])
    done = cluster.api.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", documents=documents)
    assert (done.code, done.err) == (0, "")
    done = cluster.api.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", documents=documents)
    assert (done.code, done.err) == (0, "")


def written(folder: Path) -> str:
    """All documents of a golden folder but cert-manager's, which isn't here."""
    files = [file for file in sorted(folder.glob("*.yaml")) if not file.name.startswith("certificate-")]
    return "---\n".join(file.read_text(encoding="utf-8") for file in files)


@pytest.mark.parametrize("folder", GOLDEN, ids=lambda folder: folder.parent.name)
def test_every_golden_document_is_taken(cluster: Cluster, folder: Path) -> None:
    taken(cluster, written(folder))


@pytest.mark.parametrize("folder", GOLDEN, ids=lambda folder: folder.parent.name)
def test_a_second_apply_changes_nothing_and_says_so(cluster: Cluster, folder: Path) -> None:
    """Where the API server fills in a list that was applied, kubectl sends it again each time.

    A PodDisruptionBudget's selector is sent each time whatever stands there (`patchStrategy: replace`).
    """
    documents = written(folder)
    for document in yaml.safe_load_all(documents):
        cluster.namespace(document["metadata"]["namespace"])
    cluster.api.apply(documents)
    try:
        again = cluster.api.apply(documents).splitlines()
        changed = [line for line in again if not line.endswith(" unchanged")]
        assert [line for line in changed if not line.startswith("poddisruptionbudget.policy/")] == []
        for document in yaml.safe_load_all(documents):
            metadata = document["metadata"]
            live = cluster.api.get(document["kind"].lower(), metadata["name"], metadata["namespace"])
            assert list(differences(document, live)) == [], "`routegen status` finds a difference where there is none"
    finally:
        done = cluster.api.kubectl("delete", "--wait=false", "-f", "-", documents=documents)
        assert done.code == 0, done.err


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.stem)
def test_every_manifest_is_taken(cluster: Cluster, file: Path) -> None:
    taken(cluster, file.read_text(encoding="utf-8"))
