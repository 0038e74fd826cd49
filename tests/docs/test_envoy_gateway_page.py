"""docs/targets/envoy-gateway.md names what is rendered, and its lines to merge are the ones that are meant."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from routegen import pipeline
from routegen.emit.policies import client_traffic_settings
from support.plans import TWO_ENGINES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/targets/envoy-gateway.md").read_text(encoding="utf-8")


def test_every_kind_that_is_rendered_is_in_the_table() -> None:
    plan = pipeline.read_plan(ROOT / "tests/golden/cluster/routes.yaml")
    kinds = {document.kind for document in pipeline.render(plan).documents}
    table = {kind for row in re.findall(r"^\| ([A-Za-z, ]+) \|", PAGE, re.MULTILINE) for kind in row.split(", ")}
    assert kinds == table - {"object"}


def test_the_lines_to_merge_are_those_that_are_rendered() -> None:
    (lines,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert yaml.safe_load(lines) == {"spec": client_traffic_settings(TWO_ENGINES)}
