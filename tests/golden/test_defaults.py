"""What the API server fills into the entries of lists is rendered already.

``kubectl apply`` compares a custom resource's lists as a whole: an entry that lacks a default is sent again each time,
and the answer is "configured" although nothing changes. tests/cluster asks a real API server the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.crd_schema import with_defaults
from support.crds import BUILT_IN, definition

ROOT = Path(__file__).parents[2]
TARGETS = ("envoy-gateway", "istio")
FILES = sorted(
    file
    for target in TARGETS
    for file in [*ROOT.glob(f"tests/golden/*/{target}/*.yaml"), *ROOT.glob(f"manifests/{target}/*.yaml")]
)


def filled_in(given: Any, full: Any, path: str, *, listed: bool = False) -> Iterator[str]:
    """The paths of what ``full`` has in a list's entries and ``given`` hasn't."""
    if isinstance(given, dict):
        for key, value in full.items():
            if key in given:
                yield from filled_in(given[key], value, f"{path}.{key}", listed=listed)
            elif listed:
                yield f"{path}.{key}: {value!r}"
    elif isinstance(given, list):
        for index, (one, other) in enumerate(zip(given, full, strict=True)):
            yield from filled_in(one, other, f"{path}[{index}]", listed=True)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parts[-3]}/{file.name}")
def test_no_entry_of_a_list_lacks_a_default(file: Path) -> None:
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        key = document["apiVersion"], document["kind"]
        if key not in BUILT_IN and (schema := definition(*key)):
            assert list(filled_in(document, with_defaults(document, schema), document["kind"])) == []
