"""Whole configurations, as plain data: one static file, or a bootstrap with the files that it watches."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import betterproto2
from envoy_data_plane.envoy.config.bootstrap import v3 as bootstrap
from envoy_data_plane.envoy.config.cluster import v3 as cluster
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.google.protobuf import Struct

from routegen.plan import Plan

from . import memory
from .clusters import engine_clusters, fixed_clusters
from .listeners import listeners
from .messages import packed, parse_address, plain
from .mirrors import mirror_clusters
from .picker_clusters import picker_clusters
from .routes import route_configuration

ADMIN: Final = "127.0.0.1:9901"
"""The admin interface's address; it can stop Envoy and show its configuration, so it stays on loopback."""

LIVE: Final = "live"
"""The folder, inside the watched one, that Envoy reads from: a symbolic link that is renamed into place."""

LONGEST_PATTERN: Final = 1000
"""Instructions in one regular expression (RE2), about one a character. Envoy's own bound of 100 is less than a long
routing header needs in the one pattern that holds text of routes.yaml, the router's mutation rules."""


def static(plan: Plan, *, admin: str = ADMIN) -> dict[str, Any]:
    """Make one bootstrap that holds everything.

    :raises UserError: an address can't stand beside the others.
    """
    return plain(_bootstrap(plan, listeners(plan), [*_changing(plan), *fixed_clusters(plan)], None, admin))


def live(plan: Plan, directory: str | Path, *, admin: str = ADMIN) -> dict[str, dict[str, Any]]:
    """Make a bootstrap and the two files that it watches: what can change without a restart.

    Envoy reads ``DIRECTORY/live/rds.yaml`` and ``cds.yaml`` again when ``live``, a symbolic link to a folder with
    both, is replaced by a rename. Listeners are not among them: changing one cuts long streams.

    :returns: file name -> document: ``envoy.yaml``, ``rds.yaml``, ``cds.yaml``.
    :raises UserError: as for :func:`static`.
    """
    where = Path(directory)
    made = _bootstrap(
        plan, listeners(plan, _file(where, "rds.yaml")), fixed_clusters(plan), _file(where, "cds.yaml"), admin
    )
    return {
        "envoy.yaml": plain(made),
        "rds.yaml": _resources(route_configuration(plan)),
        "cds.yaml": _resources(*_changing(plan)),
    }


def _changing(plan: Plan) -> list[cluster.Cluster]:
    """The clusters that follow the backends."""
    return [*engine_clusters(plan), *mirror_clusters(plan), *picker_clusters(plan)]


def _bootstrap(
    plan: Plan,
    listening: list[Any],
    clusters: list[Any],
    clusters_from: core.ConfigSource | None,
    admin: str,
) -> bootstrap.Bootstrap:
    dynamic = None if clusters_from is None else bootstrap.BootstrapDynamicResources(cds_config=clusters_from)
    return bootstrap.Bootstrap(
        node=core.Node(id=f"{plan.namespace}/{plan.name}", cluster="routegen"),
        admin=bootstrap.Admin(address=parse_address(admin)),
        static_resources=bootstrap.BootstrapStaticResources(listeners=listening, clusters=clusters),
        dynamic_resources=dynamic,
        layered_runtime=_runtime(),
        overload_manager=memory.overload_manager(plan),
        memory_allocator_manager=memory.allocator(plan),
    )


def _runtime() -> bootstrap.LayeredRuntime:
    """Raise the bound on regular expressions. The admin layer is what Envoy has by itself where no layer is named."""
    fixed = Struct.from_dict({"re2.max_program_size.error_level": LONGEST_PATTERN})
    return bootstrap.LayeredRuntime(
        layers=[
            bootstrap.RuntimeLayer(name="routegen", static_layer=fixed),
            bootstrap.RuntimeLayer(name="admin", admin_layer=bootstrap.RuntimeLayerAdminLayer()),
        ]
    )


def _file(directory: Path, name: str) -> core.ConfigSource:
    return core.ConfigSource(
        path_config_source=core.PathConfigSource(
            path=str(directory / LIVE / name), watched_directory=core.WatchedDirectory(path=str(directory))
        ),
        resource_api_version=core.ApiVersion.V3,
    )


def _resources(*messages: betterproto2.Message) -> dict[str, Any]:
    """Wrap resources as Envoy reads them from a file."""
    return {"resources": [plain(packed(message)) for message in messages]}
