"""Each alert fires on its fault and on nothing else: promtool judges the rules by recordings of real runs.

``make monitoring-recordings`` makes them; benchmarks/monitoring/record.py says how.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from monitoring.faults import FAULTS
from monitoring.record import CALM, FAULTY, spoken_of

from support.crds import problems
from support.promtool import needs_promtool, promtool

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "manifests" / "monitoring"
RULES = MONITORING / "alerts.yaml"
RECORDINGS = sorted(Path(__file__).with_name("recordings").glob("*.yaml"))
ALERTS: list[Any] = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
STEP = 15
END = (CALM + FAULTY - 1) * STEP
FIRED = 'count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[2h]))'


def judge(folder: Path, series: dict[str, str], expected: dict[int, list[str]], rules: Path = RULES) -> None:
    """Hold the alerts that have fired until some time to those expected.

    :param expected: seconds since the series begin -> alerts.
    """
    checks = [
        {
            "expr": FIRED,
            "eval_time": f"{at}s",
            "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in alerts],
        }
        for at, alerts in expected.items()
    ]
    values = [{"series": name, "values": values} for name, values in series.items()]
    told = {
        "rule_files": [str(rules)],
        "evaluation_interval": f"{STEP}s",
        "tests": [{"interval": f"{STEP}s", "input_series": values, "promql_expr_test": checks}],
    }
    (folder / "test.yaml").write_text(yaml.safe_dump(told, width=10_000))
    promtool("test", "rules", "test.yaml", folder=folder)


@needs_promtool
def test_prometheus_reads_the_rules(tmp_path: Path) -> None:
    promtool("check", "rules", str(RULES), folder=tmp_path)


@needs_promtool
@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.stem)
def test_the_alert_of_a_fault_fires_and_no_other(file: Path, tmp_path: Path) -> None:
    recording = yaml.safe_load(file.read_text())
    alert, began = recording["alert"], (recording["calm_scrapes"] - 1) * STEP
    judge(tmp_path, recording["series"], {began: [], END: [alert] if alert else []})


HAND_WRITTEN: dict[str, tuple[dict[str, str], list[str]]] = {
    "nothing is scraped": ({'up{job="node",instance="a"}': "1+0x63"}, ["RoutegenNoRouter"]),
    "routers are there, and none gets ready": (
        {'routegen_build_info{job="r",instance="a"}': "1+0x63", 'routegen_ready{job="r",instance="a"}': "0+0x63"},
        ["RoutegenNoRouter"],
    ),
    "one of two sets of routers has gone": (
        {
            'routegen_build_info{job="r",instance="a"}': "1+0x63",
            'routegen_ready{job="r",instance="a"}': "1+0x63",
            'routegen_build_info{job="s",instance="b"}': "1+0x20 stale _x42",
            'routegen_ready{job="s",instance="b"}': "1+0x20 stale _x42",
        },
        ["RoutegenNoRouter"],
    ),
    "few requests, one of them slow, one refused, one engine's error": (
        {
            'routegen_build_info{job="r",instance="a"}': "1+0x63",
            'routegen_ready{job="r",instance="a"}': "1+0x63",
            'routegen_decision_seconds_bucket{job="r",le="0.25"}': "0+0x20 1+0x42",
            'routegen_decision_seconds_bucket{job="r",le="1.0"}': "0+0x20 2+0x42",
            'routegen_decision_seconds_bucket{job="r",le="+Inf"}': "0+0x20 2+0x42",
            'routegen_rejections_total{job="s",code="registry_incomplete"}': "0+0x20 1+0x42",
            'routegen_rejections_total{job="s",code="router_overloaded"}': "0+0x20 1+0x42",
            'envoy_cluster_upstream_rq_xx{envoy_cluster_name="engine/a",envoy_response_code_class="5"}': "0+0x9 1+0x53",
            'envoy_cluster_upstream_rq_completed{envoy_cluster_name="engine/a"}': "0+0x9 2+0x53",
        },
        [],
    ),
}
"""What no run was made for: series by hand, and the alerts that they must bring."""


@needs_promtool
@pytest.mark.parametrize("case", HAND_WRITTEN)
def test_by_hand_written_series(case: str, tmp_path: Path) -> None:
    series, alerts = HAND_WRITTEN[case]
    judge(tmp_path, series, {END: alerts})


@needs_promtool
def test_a_rule_that_never_fires_would_be_found(tmp_path: Path) -> None:
    recording = yaml.safe_load((Path(__file__).with_name("recordings") / "engine-killed.yaml").read_text())
    document = yaml.safe_load(RULES.read_text())
    for group in document["groups"]:
        group["rules"] = [rule for rule in group["rules"] if rule["alert"] != "RoutegenEngineDown"]
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump(document))
    with pytest.raises(AssertionError, match="RoutegenEngineDown"):
        judge(tmp_path, recording["series"], {END: ["RoutegenEngineDown"]}, rules)


def test_each_alert_has_a_recording_and_each_fault_is_recorded() -> None:
    recordings = [yaml.safe_load(file.read_text()) for file in RECORDINGS]
    assert {one["fault"]: one["alert"] for one in recordings} == {name: fault.alert for name, fault in FAULTS.items()}
    assert {one["alert"] for one in recordings} - {None} == {rule["alert"] for rule in ALERTS}


def test_the_recordings_hold_what_the_rules_speak_of() -> None:
    """A rule that has learnt of another metric needs new recordings."""
    seen = {name.partition("{")[0] for file in RECORDINGS for name in yaml.safe_load(file.read_text())["series"]}
    assert seen == spoken_of()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_grave_it_is_what_is_wrong_and_where_to_read_on(rule: Any) -> None:
    assert re.fullmatch(r"\d+m", rule["for"])
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert re.search(r"[.;]$", rule["annotations"]["summary"])
    assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_the_operator_is_given_the_same_rules_and_scrapes_what_is_rendered() -> None:
    rule, pods = yaml.safe_load_all((MONITORING / "operator.yaml").read_text())
    assert (rule["kind"], pods["kind"]) == ("PrometheusRule", "PodMonitor")
    assert rule["spec"]["groups"] == yaml.safe_load(RULES.read_text())["groups"]
    deployment = next(
        document
        for document in yaml.safe_load_all((ROOT / "manifests" / "envoy-gateway" / "two-engines.yaml").read_text())
        if document["kind"] == "Deployment"
    )
    template = deployment["spec"]["template"]
    assert pods["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert pods["spec"]["jobLabel"] in template["metadata"]["labels"]
    ports = [port["name"] for container in template["spec"]["containers"] for port in container["ports"]]
    assert {one["port"] for one in pods["spec"]["podMetricsEndpoints"]} <= set(ports)


@pytest.mark.parametrize("number", [0, 1])
def test_the_api_server_would_take_the_operators_objects(number: int) -> None:
    assert problems(list(yaml.safe_load_all((MONITORING / "operator.yaml").read_text()))[number]) == []
