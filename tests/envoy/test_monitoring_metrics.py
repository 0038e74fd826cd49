"""What alerts and dashboard ask for exists: every metric, label and value, of a real router and a real Envoy."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from monitoring.check import queries
from monitoring.promql import Matcher, grouped, selectors

from routegen.plan import Addresses
from support.envoy import VERSIONS
from support.gateway import first_backend, gateway
from support.router import RouterProcess, wait_for

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "manifests" / "monitoring"
ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: monitored}
spec:
  gateway: {target: envoy}
  router: {workers: 2}
  backends:
    dead: {endpoints: [127.0.0.1:8001], ownedBy: sglang, models: [m], poll: {enabled: false}}
    vllm: {endpoints: [127.0.0.1:8002], ownedBy: vllm}
"""
OF_PROMETHEUS = {"job", "instance", "namespace"}
"""Labels that scraping adds."""
ELSEWHERE = {
    ("routegen_config_reloads_total", "refused"),
    ("routegen_rejections_total", "registry_incomplete"),
    ("routegen_rejections_total", "router_misconfigured"),
    ("routegen_rejections_total", "router_overloaded"),
}
"""What this run doesn't bring about; the recordings of tests/monitoring have it."""
Series = dict[str, list[dict[str, str]]]
_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$", re.MULTILINE)


def text(router: RouterProcess | None) -> str:
    """All that it exports."""
    assert router is not None
    with urllib.request.urlopen(f"http://{router.status}/metrics", timeout=10) as response:
        return str(response.read().decode())


def read(exposition: str) -> Series:
    """The series of an exposition, by metric."""
    found: Series = {}
    for name, labels in _SAMPLE.findall(exposition):
        found.setdefault(name, []).append(dict(re.findall(r'(\w+)="([^"]*)"', labels)))
    return found


@pytest.fixture(scope="module", params=VERSIONS)
def series(request: pytest.FixtureRequest) -> Iterator[Series]:
    """All that both export after a few requests, one of them to an engine that isn't there."""
    nowhere = first_backend(reach=Addresses((("127.0.0.1", 1),)))
    with gateway(ROUTES, {"dead": [], "vllm": ["m"]}, version=request.param, adjust=nowhere) as gate:
        statuses = [gate.post({"model": "m", "inference_server": name}).status for name in ("vllm", "dead", "nobody")]
        assert statuses == [200, 503, 400]
        wait_for(lambda: "routegen_rejections_total{" in text(gate.router), "the workers to tell what they counted")
        # Envoy adds up its threads' histograms every 5 s.
        wait_for(
            lambda: "engine/vllm" in gate.envoy.admin("/stats/prometheus?usedonly&filter=upstream_rq_time"), "Envoy"
        )
        yield read(text(gate.router) + gate.envoy.admin("/stats/prometheus"))


def asked() -> list[tuple[str, str]]:
    """Where a query stands, and the query."""
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    alerts = [(rule["alert"], rule["expr"]) for group in rules["groups"] for rule in group["rules"]]
    return [*alerts, *queries(json.loads((MONITORING / "dashboard.json").read_text()))]


def holds(matcher: Matcher, labels: dict[str, str]) -> bool:
    if matcher.label in OF_PROMETHEUS:
        return True
    value = labels.get(matcher.label)
    return value is not None and bool(re.fullmatch(matcher.value, value) if matcher.regular else matcher.value == value)


def wrong(query: str, series: Series) -> list[str]:
    """What a query asks for that isn't there."""
    found, labels = [], set(OF_PROMETHEUS)
    for selector in selectors(query):
        if selector.name == "up":  # Prometheus' own
            continue
        there = series.get(selector.name, [])
        labels |= {label for one in there for label in one}
        matchers = [one for one in selector.matchers if (selector.name, one.value) not in ELSEWHERE]
        if not any(all(holds(matcher, one) for matcher in matchers) for one in there):
            found.append(str(selector))
    return found + sorted(grouped(query) - labels)


def test_every_query_asks_for_what_is_there(series: Series) -> None:
    assert len(asked()) > 30
    assert {where: bad for where, query in asked() if (bad := wrong(query, series))} == {}


@pytest.mark.parametrize(
    "query",
    [
        "sum(routegen_decision_total)",
        'routegen_decisions_total{engine="vllm"}',
        "sum by (engine) (routegen_decisions_total)",
        'envoy_cluster_upstream_rq_xx{envoy_cluster_name=~"engines/.*"}',
    ],
)
def test_what_is_not_there_would_be_found(series: Series, query: str) -> None:
    assert wrong(query, series) != []


def test_legends_name_labels_of_their_queries() -> None:
    for panel in json.loads((MONITORING / "dashboard.json").read_text())["panels"]:
        for target in panel.get("targets", ()):
            legend: Any = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            aggregated = "by (" in target["expr"]
            known = grouped(target["expr"]) if aggregated else {"instance", "backend"}
            assert legend <= known, (panel["title"], legend)
