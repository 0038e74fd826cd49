"""What `validate` lets through, the API server takes: searched for in files at the edges of what may stand in them.

``ROUTEGEN_SEARCH=2000`` looks at that many files in place of 200.
"""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import HealthCheck, assume, given, settings

from routegen import pipeline
from routegen.common.problems import InputError
from support.cluster.cluster import Cluster
from support.cluster.dry_run import DryRun
from support.cluster.odd_routes import NAMESPACES, files

EXAMPLES = int(os.environ.get("ROUTEGEN_SEARCH", "200"))


def test_what_validate_lets_through_is_taken_by_the_api_server(cluster: Cluster) -> None:
    for namespace in NAMESPACES:
        cluster.namespace(namespace)
    dry_run = DryRun(cluster.api)
    rendered = 0

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(files)
    def search(file: dict[str, Any]) -> None:
        nonlocal rendered
        text = json.dumps(file)  # which is YAML too
        try:
            plan = cluster.compiled(text)
        except InputError:
            assume(False)
            raise
        rendered += 1
        for document in pipeline.render(plan).documents:
            refusal = dry_run.refusal(document.document)
            assert refusal is None, f"{document.kind}/{document.name}: {refusal}\n{text}"

    search()
    assert rendered >= EXAMPLES // 2
    print(f"{rendered} files, {dry_run.asked} different objects, all taken")
