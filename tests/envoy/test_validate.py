"""Both Envoys accept everything that target ``envoy`` renders: every example and every golden case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from routegen import pipeline
from routegen.common.problems import UserError
from routegen.common.text import to_yaml
from routegen.compile import compile_text
from routegen.emit.envoy import bootstrap
from routegen.envoy import check as envoy_check
from routegen.plan import Plan
from support.engines import certificate
from support.envoy import VERSIONS, refusal

_REPOSITORY = Path(__file__).parents[2]
FILES = sorted(_REPOSITORY.glob("examples/*/routes.yaml")) + [
    folder.parent / "routes.yaml" for folder in sorted(_REPOSITORY.glob("tests/golden/*/envoy"))
]


LARGEST = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: largest}
spec:
  gateway: {target: envoy}
"""
"""Filled up by :func:`largest`."""


def largest(backends: int) -> Plan:
    """Everything as long, and lists as full, as routes.yaml takes them."""
    document = yaml.safe_load(LARGEST)
    document["spec"] |= {
        "routingHeader": "x-" + "h" * 254,
        "paths": [f"/v1/{index}/".ljust(1024, "+") for index in range(64)],
        "passthrough": [
            {"path": f"/open/{index}/".ljust(1022, "+") + "/*", "method": "POST", "backend": "backend-0"}
            for index in range(64)
        ],
        "backends": {f"backend-{index}": {"endpoints": [f"10.0.0.1:{8000 + index}"]} for index in range(backends)},
    }
    document["spec"]["gateway"]["hostnames"] = [f"h{index}." + "a." * 100 + "test" for index in range(16)]
    return compile_text(yaml.safe_dump(document), "routes.yaml", target="envoy")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Suffix -> a file of that kind: certificates live where Envoy will run, and validation reads them."""
    folder = tmp_path_factory.mktemp("tls")
    _, chain = certificate(folder, "gateway.test")
    return {".crt": str(chain), ".key": str(folder / "gateway.test.key")}


def here(value: Any, files: dict[str, str]) -> Any:
    """Copy a document with its certificate files exchanged for ones that exist."""
    if isinstance(value, list):
        return [here(item, files) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: files[Path(item).suffix] if key == "filename" else here(item, files) for key, item in value.items()}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", FILES, ids=[file.parent.name for file in FILES])
def test_envoy_accepts_what_is_rendered(file: Path, version: str, files: dict[str, str]) -> None:
    document = bootstrap.static(pipeline.read_plan(file, "envoy"))
    assert refusal(version, here(document, files)) is None


def test_envoy_accepts_the_largest_file_that_routes_yaml_allows_and_no_path_stands_there_for_each_backend() -> None:
    document = bootstrap.static(largest(backends=400))
    assert {version: refusal(version, document) for version in VERSIONS} == dict.fromkeys(VERSIONS)
    text = to_yaml([document])
    assert {text.count(path) for path in largest(backends=1).paths} == {2}  # with a query and without


@pytest.mark.parametrize("version", VERSIONS)
def test_envoy_accepts_the_live_bootstrap(version: str, tmp_path: Path) -> None:
    documents = bootstrap.live(pipeline.read_plan(FILES[0], "envoy"), tmp_path)
    assert set(documents) == {"envoy.yaml", "rds.yaml", "cds.yaml"}
    (tmp_path / "live").mkdir()
    for name in ("rds.yaml", "cds.yaml"):
        (tmp_path / "live" / name).write_text(to_yaml([documents[name]]))
    assert refusal(version, documents["envoy.yaml"]) is None


def test_the_live_files_hold_what_the_static_bootstrap_holds(tmp_path: Path) -> None:
    plan = pipeline.read_plan(_REPOSITORY / "tests/golden/hostnames/routes.yaml", "envoy")
    static, live = bootstrap.static(plan), bootstrap.live(plan, tmp_path)
    [manager] = [
        chain["filters"][0]["typed_config"] for chain in static["static_resources"]["listeners"][0]["filter_chains"]
    ]
    [routes] = live["rds.yaml"]["resources"]
    assert {key: value for key, value in routes.items() if key != "@type"} == manager["route_config"]
    clusters = [
        {key: value for key, value in cluster.items() if key != "@type"} for cluster in live["cds.yaml"]["resources"]
    ]
    fixed = live["envoy.yaml"]["static_resources"]["clusters"]
    assert [*clusters, *fixed] == static["static_resources"]["clusters"]


def test_the_check_before_writing_leaves_out_certificates_that_are_elsewhere_and_says_so() -> None:
    document = bootstrap.static(pipeline.read_plan(_REPOSITORY / "tests/golden/tls/routes.yaml"))
    [notice] = envoy_check.check(document)
    assert notice.startswith("TLS settings were not checked: not on this machine: ")
    assert "/etc/gateway/tls.key" in notice
    assert "/etc/engines/ca.crt" in notice


def test_the_check_before_writing_gives_envoys_own_reason() -> None:
    document = bootstrap.static(pipeline.read_plan(FILES[0], "envoy"))
    document["static_resources"]["clusters"][0]["connect_timeout"] = "-1s"
    with pytest.raises(UserError, match=r"refuses the configuration: .*positive duration"):
        envoy_check.check(document)


@pytest.mark.parametrize("version", VERSIONS)
def test_many_pools_are_accepted(version: str) -> None:
    """No pattern or list of them grows beyond what Envoy takes."""
    pools = {
        f"pool-{'x' * 50}-{index}": {
            "inferencePool": {
                "name": f"p{index}",
                "endpoints": [f"10.0.0.1:{8000 + index}"],
                "picker": {"endpoints": [f"10.0.0.2:{8000 + index}"]},
            }
        }
        for index in range(100)
    }
    document = yaml.safe_load(LARGEST)
    document["spec"] |= {"backends": pools, "failover": {"enabled": False}}
    plan = compile_text(yaml.safe_dump(document), "routes.yaml", target="envoy")
    assert refusal(version, bootstrap.static(plan)) is None
