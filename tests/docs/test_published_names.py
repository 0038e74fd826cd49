"""No page, message or manifest sends anybody to a name that somebody else could register."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from routegen.distribution import REGISTRY, ROUTEGEN_IMAGE, ROUTER_IMAGE, unpublished

ROOT = Path(__file__).parents[2]
READ = (
    "README.md",
    "CHANGELOG.md",
    "Dockerfile",
    "Makefile",
    "docs",
    "examples",
    "generator",
    "manifests",
    "router",
    "tests/golden",
)
FREE = (
    r"pip install [^`\n]*\broutegen\b",  # no such package on the index
    r"routegen\[\w+\]",
    r"(?<![\w./])routegen/[\w-]+:[\w{]",  # an image on the default registry
    r"(?<![\w./])routegen(?:-router)?:[\dv{]",
)
"""Names of packages and images as they were, or could be, written."""


@pytest.mark.parametrize("name", READ)
def test_nothing_names_what_anybody_may_register(name: str) -> None:
    path = ROOT / name
    files = [file for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
    texts = {file: file.read_text(encoding="utf-8") for file in files if file.suffix not in {".png", ".pyc"}}
    assert texts
    found = [
        (str(file.relative_to(ROOT)), hit)
        for file, text in texts.items()
        for one in FREE
        for hit in re.findall(one, text)
    ]
    assert found == []


@pytest.mark.parametrize(
    "text", ["pip install 'routegen[local]'", "routegen/router:0.1.0", "routegen:0.1.0", "routegen/routegen:{v}"]
)
def test_such_names_would_be_found(text: str) -> None:
    assert any(re.search(one, f"`{text}`") for one in FREE)


@pytest.mark.parametrize("image", [ROUTER_IMAGE, ROUTEGEN_IMAGE])
def test_the_default_images_are_under_a_host_that_is_nobodys(image: str) -> None:
    assert REGISTRY.rpartition(".")[2] == "invalid", "RFC 6761"
    assert image.startswith(f"{REGISTRY}/")
    dockerfile = re.findall(r"from (\S+) and", unpublished(image, "there", "docs") or "")
    assert [(ROOT / file).exists() for file in dockerfile] == [True]


def test_an_image_of_ones_own_is_not_ours_to_speak_of() -> None:
    assert unpublished("registry.example.com/routegen-router:0.1.0", "there", "docs") is None
