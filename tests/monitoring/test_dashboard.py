"""The dashboard's queries are PromQL and its panels lie beside each other; tests/envoy says that the metrics exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from monitoring.check import filled, queries

from support.promtool import needs_promtool, promtool

DASHBOARD: Any = json.loads(
    (Path(__file__).parents[2] / "manifests" / "monitoring" / "dashboard.json").read_text(encoding="utf-8")
)
PANELS: list[Any] = DASHBOARD["panels"]


@needs_promtool
def test_every_query_is_promql(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:query:{number}", "expr": filled(query)}
        for number, (_, query) in enumerate(queries(DASHBOARD))
    ]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", "rules.yaml", folder=tmp_path)


def test_every_variable_of_a_query_is_filled_in() -> None:
    known = {f"${variable['name']}" for variable in DASHBOARD["templating"]["list"]} | {"$__rate_interval"}
    for panel, query in queries(DASHBOARD):
        assert set(re.findall(r"\$\w+", query)) <= known, panel
        assert "$" not in filled(query), panel


def test_every_panel_says_what_it_shows_and_has_a_place_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or panel["description"].endswith("."), panel["title"]
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
