"""Target ``envoy``: a whole Envoy configuration and the router's, no cluster needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar, Final

from routegen.common.problems import Remark
from routegen.plan import Plan
from routegen.targets.target import Capabilities, Output, Rendered, Target

_MIB: Final = 1 << 20

ROOM: Final = 8
"""Times ``router.maxInflightBytes`` that Envoy's memory should be at least: what is decided stands in it three times,
and has to fit beside what is still coming in, below the mark from which on load is shed."""


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
        cors=True,
        mirrors=True,
        router_tls=True,
        verifies_addresses=True,
    )

    def examine(self, plan: Plan) -> Iterator[Remark]:
        """What this Envoy may have too little of."""
        memory, inflight = plan.gateway.memory, plan.router.max_inflight_bytes
        held = sum(one.mirror.at_once for one in plan.backends if one.mirror is not None) * plan.max_body_bytes
        if memory < ROOM * inflight:
            yield Remark(
                ("spec", "gateway", "memory"),
                f"is {-(-memory // _MIB)}Mi, little beside router.maxInflightBytes ({-(-inflight // _MIB)}Mi): a body"
                f" stands in Envoy three times while it is decided. Set maxInflightBytes to at most"
                f" {max(memory // ROOM // _MIB, 1)}Mi, or memory to {ROOM * -(-inflight // _MIB)}Mi",
            )

        elif held and memory < ROOM * inflight + held:
            yield Remark(
                ("spec", "gateway", "memory"),
                f"is {-(-memory // _MIB)}Mi, little beside copies: where nobody reads them they hold up to"
                f" {-(-held // _MIB)}Mi (mirror.atOnce times maxBodyBytes). Set memory to"
                f" {-(-(ROOM * inflight + held) // _MIB)}Mi, or lower mirror.atOnce",
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
