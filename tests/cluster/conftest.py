"""One cluster for all tests of this folder, which run in namespaces of their own: `make test-cluster`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from support.cluster import tools
from support.cluster.cluster import Cluster
from support.cluster.sandbox import INSIDE

collect_ignore_glob = [] if INSIDE in os.environ else ["test_*.py"]
"""`make test` leaves them out: they need programs that take minutes to build."""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    version = tools.ENVOY_GATEWAYS[os.environ[INSIDE]]
    if why := tools.missing(version):
        pytest.skip(why)
    folder = tools.FOLDER / f"run-{version.gateway}"  # its logs stay, to be read after a failure
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    started = Cluster(folder, version)
    yield started
    started.close()
