"""One cluster for all tests of this folder, which run in namespaces of their own: `make test-cluster`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from support.cluster import tools
from support.cluster.cluster import Cluster
from support.cluster.gateways import GATEWAYS, TARGET
from support.cluster.sandbox import INSIDE

collect_ignore_glob = [] if INSIDE in os.environ else ["test_*.py"]
"""`make test` leaves them out: they need programs that take minutes to build."""
ONLY_FOR: dict[str, str] = {
    "test_pools": "envoy-gateway",
    "test_discover": "envoy-gateway",
    "test_policies": "envoy-gateway",
    "test_existing_gateway": "envoy-gateway",
    "test_gateway_class": "envoy-gateway",
    "test_workers": "envoy-gateway",
    "test_status": "envoy-gateway",
    "test_istio": "istio",
}
"""Tests of what one gateway alone has, or that need be run with one alone: module -> target."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [one for one in items if ONLY_FOR.get(one.path.stem, TARGET) == TARGET]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    name = os.environ[INSIDE]
    if why := GATEWAYS[name].missing():
        pytest.skip(why)
    folder = tools.FOLDER / f"run-{name}"  # its logs stay, to be read after a failure
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    started = Cluster(folder, GATEWAYS[name])
    yield started
    started.close()
