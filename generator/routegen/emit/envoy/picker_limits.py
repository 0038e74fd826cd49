"""Bodies that are larger than a pool's picker takes.

A picker gets the whole body as one gRPC message, and refuses one that is too large (4 MiB, where its server says
nothing else). What becomes of such a request is decided beforehand, by its length, which the buffer filter has seen to.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from envoy_data_plane.envoy.config.route import v3 as route

from routegen.plan import Backend, Plan, PoolRef

from . import names
from .matching import longer_than


def with_limit(plan: Plan, backend: Backend, routes: Sequence[route.Route]) -> list[route.Route]:
    """The routes to a backend, and before each its twin for what the picker is not asked of, if any."""
    reach = backend.reach
    if not isinstance(reach, PoolRef) or reach.picker is None or reach.picker.max_body_bytes >= plan.max_body_bytes:
        return list(routes)
    made = []
    for one in routes:
        twin = copy.deepcopy(one)
        assert twin.match is not None
        twin.match.headers.append(longer_than(reach.picker.max_body_bytes))
        del twin.typed_per_filter_config[names.PICKER]
        if not reach.picker.fail_open:
            twin.route, twin.direct_response = None, route.DirectResponseAction(status=413)
        made += [twin, one]
    return made
