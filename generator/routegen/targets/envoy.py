"""Target ``envoy``: a whole Envoy configuration and the router's, no cluster needed."""

from __future__ import annotations

import json
from typing import ClassVar

from routegen.plan import Plan
from routegen.targets.target import Capabilities, Output, Rendered, Target


class Envoy(Target):
    """``envoy.yaml`` and its companion ``router.json``."""

    name: ClassVar = "envoy"
    capabilities: ClassVar = Capabilities(
        certificates=frozenset({"files"}),
        creates_gateway=False,
        binds_addresses=True,
        bounds_memory=True,
        deploys_router=False,
        pools=False,
        asks_pickers=True,
        pool_tls=True,
        second_choices=True,
        first_byte="backends",
        verifies_addresses=True,
    )

    def render(self, plan: Plan) -> Output:
        """Make both files."""
        # Envoy's types take half a second to import, which nobody else should pay for.
        from routegen.emit.envoy.bootstrap import static  # noqa: PLC0415
        from routegen.emit.router_config import router_config  # noqa: PLC0415
        from routegen_router import config  # noqa: PLC0415

        router = json.loads(config.dump(router_config(plan)))
        return Output(
            (
                Rendered("envoy", plan.name, "envoy.yaml", static(plan)),
                Rendered("router-config", plan.name, "router.json", router, companion=True),
            )
        )

    def check(self, output: Output) -> tuple[str, ...]:
        """Let the Envoy on this machine validate its configuration."""
        from routegen.envoy import check  # noqa: PLC0415 - only here is Envoy looked for

        return tuple(
            notice
            for document in output.documents
            if document.kind == "envoy"
            for notice in check.check(document.document)
        )
