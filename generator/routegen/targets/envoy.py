"""Target ``envoy``: a whole Envoy configuration and the router's, no cluster needed."""

from __future__ import annotations

import json

from routegen.emit.envoy.bootstrap import live, static
from routegen.emit.router_config import router_config
from routegen.plan import Plan
from routegen.targets import Output, Rendered
from routegen_router import config

__all__ = ["live", "render", "static"]


def render(plan: Plan) -> Output:
    """Make ``envoy.yaml`` and its companion ``router.json``."""
    return Output(
        (
            Rendered("envoy", plan.name, "envoy.yaml", static(plan)),
            Rendered(
                "router-config",
                plan.name,
                "router.json",
                json.loads(config.dump(router_config(plan))),
                companion=True,
            ),
        )
    )
