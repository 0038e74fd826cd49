"""docs/targets/envoy-gateway.md names what is rendered, and its lines to merge are the ones that are meant."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from routegen import pipeline
from routegen.emit.envoy import bootstrap
from routegen.emit.envoy_gateway import proxy
from routegen.emit.envoy_gateway.policies import client_traffic_settings
from support.crds import problems
from support.plans import TWO_ENGINES, with_gateway

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/targets/envoy-gateway.md").read_text(encoding="utf-8")


def test_every_kind_that_is_rendered_is_in_the_table() -> None:
    files = [ROOT / f"tests/golden/{case}/routes.yaml" for case in ("cluster", "network-policy")]
    kinds = {one.kind for file in files for one in pipeline.render(pipeline.read_plan(file)).documents}
    _, _, section = PAGE.partition("## What is rendered")
    rows = re.findall(r"^\| ([A-Za-z, ]+) \|", section.partition("\n## ")[0], re.MULTILINE)
    table = {kind for row in rows for kind in row.split(", ")}
    assert kinds == table - {"object"}


def test_the_page_says_that_everything_runs_in_front_of_the_router() -> None:
    """In the order that tests/cluster/test_policies.py finds in a real Envoy."""
    rows = re.findall(r"^\| (before the router|the router) \| .* \| (.*) \|$", PAGE, re.MULTILINE)
    places = {field: place for place, cell in rows for field in re.findall("`(.*?)`", cell)}
    assert {field for field, place in places.items() if place == "before the router"} >= {"authorization", "rateLimit"}
    assert places["requestBuffer"] == "the router"


def test_the_lines_to_merge_are_those_that_are_rendered() -> None:
    clients, order, _ = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert yaml.safe_load(clients) == {"spec": client_traffic_settings(TWO_ENGINES)}
    assert yaml.safe_load(order) == {"spec": {"filterOrder": proxy.filter_order()}}


def test_the_lines_that_bound_memory_are_an_envoy_proxys_and_do_what_target_envoy_does() -> None:
    _, _, memory = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    lines = yaml.safe_load(memory)
    patches = {patch["path"]: patch["value"] for patch in lines["spec"]["bootstrap"]["jsonPatches"]}
    plan = with_gateway(TWO_ENGINES, memory=1 << 30)
    manager = bootstrap.static(plan)["overload_manager"]
    assert patches["/overload_manager/loadshed_points"] == manager["loadshed_points"]
    assert patches["/overload_manager/resource_monitors/-"] in manager["resource_monitors"]
    metadata = {"name": "proxy", "namespace": "inference"}
    head = {"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyProxy", "metadata": metadata}
    assert problems(head | lines) == []
