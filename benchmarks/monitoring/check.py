"""Ask a real Prometheus every query of dashboard and rules, after some minutes: ``make monitoring-check``.

Two routers, two engines, one Envoy and Debian's Prometheus on loopback, scraped every 5 s, five requests a second. In
the last half minute an engine fails every second request, so that there is something to see of 5xx.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from processes import free_port
from reliability.rig import Process, rig, until

from . import record
from .faults import ENGINE, Fault, engine

MINUTES: Final = 5.0
FAILING: Final = 30.0
"""Seconds."""
DASHBOARD: Final = record.ROOT / "manifests" / "monitoring" / "dashboard.json"
VARIABLES: Final = {"$__rate_interval": "1m", "$job": "routegen-router", "$envoy": "envoy"}
"""As Grafana would fill them in."""


def queries(dashboard: Any) -> Iterator[tuple[str, str]]:
    """Panel and query, the variables as Grafana writes them."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def filled(query: str) -> str:
    """A query that Prometheus takes."""
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    return query


def configuration(targets: dict[tuple[str, str], str]) -> dict[str, Any]:
    """What Prometheus is started with."""
    jobs: dict[str, list[Any]] = {}
    paths = {}
    for (job, instance), url in targets.items():
        parts = urllib.parse.urlsplit(url)
        paths[job] = parts.path
        jobs.setdefault(job, []).append({"targets": [parts.netloc], "labels": {"instance": instance}})
    return {
        "global": {"scrape_interval": "5s", "evaluation_interval": "5s"},
        "rule_files": [str(record.RULES)],
        "scrape_configs": [
            {"job_name": job, "metrics_path": paths[job], "static_configs": static} for job, static in jobs.items()
        ],
    }


def ask(server: str, query: str) -> Any:
    """The result of a query now."""
    with urllib.request.urlopen(f"{server}/api/v1/query?{urllib.parse.urlencode({'query': query})}") as response:
        answer = json.load(response)
    return answer["data"]["result"]


async def check(minutes: float = MINUTES) -> int:
    """Run, ask, and say how many queries had no answer."""
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        print("prometheus isn't here; Debian and Ubuntu have it in the package prometheus")
        return 1
    with tempfile.TemporaryDirectory(prefix="monitoring-") as folder:
        async with rig(2, 1, plan=record.plan(Fault(None)), engine=ENGINE) as made:
            config, server = Path(folder, "prometheus.yaml"), f"127.0.0.1:{free_port()}"
            settings = yaml.safe_dump(configuration(record.targets(made)))
            await asyncio.to_thread(config.write_text, settings)
            options = [f"--config.file={config}", f"--storage.tsdb.path={folder}/data"]
            process = Process([prometheus, *options, f"--web.listen-address={server}"], Path(folder, "prometheus.log"))
            process.start()
            try:
                with record.clients(made.url):
                    await until(lambda: bool(ask(f"http://{server}", "up")))
                    await asyncio.sleep(minutes * 60 - FAILING)
                    fired = ask(f"http://{server}", "count by (alertname) (count_over_time(ALERTS[2h]))")
                    engine(made, "one", "failing")
                    await asyncio.sleep(FAILING)
                    return report(f"http://{server}", fired)
            finally:
                process.kill()


def report(server: str, fired: Any) -> int:
    """Print what each query gave."""
    silent = 0
    for panel, query in queries(json.loads(DASHBOARD.read_text())):
        results = ask(server, filled(query))
        numbers = [result["value"][1] for result in results]
        silent += not numbers or "NaN" in numbers
        print(f"{len(numbers):3d} series  {panel}: {', '.join(numbers[:4])}")
    rules = json.load(urllib.request.urlopen(f"{server}/api/v1/rules"))["data"]["groups"]
    sick = [rule["name"] for group in rules for rule in group["rules"] if rule["health"] != "ok"]
    count = sum(len(group["rules"]) for group in rules)
    names = [one["metric"]["alertname"] for one in fired]
    print(
        f"queries without an answer: {silent}; rules: {count}, not evaluated: {sick or 'none'}; "
        f"alerts: {names or 'none'}"
    )
    return silent + len(sick) + len(names)
