"""Envoys in front of the engines: lean ones, written here, for routers that aren't routegen."""

from __future__ import annotations

import json
from typing import Any

from bodies import ENGINES, MB
from processes import Watched, free_port, start, wait_for
from setups import Place

from routegen.envoy.binary import require

PATH = "/v1/chat/completions"
PLENTY = 1_000_000
WAITING = "waiting"
"""The route of a request that nothing was chosen for yet, and its cluster without endpoints."""
CONNECTION_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
Document = dict[str, Any]


def run(place: Place, name: str, document: Document, port: int) -> Watched:
    """Start an Envoy with one worker thread; wait until it listens."""
    config = place.folder / f"{name}-envoy.json"
    config.write_text(json.dumps(document))
    log = place.folder / f"{name}-envoy.log"
    command = [str(require()), "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
    envoy = start(place.stack, command, log)
    wait_for(port, log)
    return envoy


def lean(place: Place, port: int, filters: list[Document], clusters: list[Document], by: Document | None) -> Document:
    """The least that proxies: no access log, no health checks, no replies of its own.

    :param filters: before the last one.
    :param by: a route match, with ENGINE where the engine's name belongs; ``None``: the first engine gets everything.
    """
    routes = (
        [_route(ENGINES[0], {"prefix": "/"})]
        if by is None
        else [
            *(
                _route(engine, {"prefix": "/", **json.loads(json.dumps(by).replace("ENGINE", engine))})
                for engine in ENGINES
            ),
            # Before a filter has chosen, a request needs a route that has the limit; a direct response has none.
            _route(WAITING, {"prefix": "/"}),
        ]
    )
    name = "envoy.filters.network.http_connection_manager"
    manager = {
        "@type": f"type.googleapis.com/{CONNECTION_MANAGER}",
        "stat_prefix": "lean",
        "route_config": {
            "name": "routes",
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": routes, "request_body_buffer_limit": 33 * MB}
            ],
        },
        "http_filters": [
            *filters,
            extension("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router"),
        ],
    }
    network = {"name": name, "typed_config": manager}
    listener = {"name": "http", "address": _address("127.0.0.1", port), "filter_chains": [{"filters": [network]}]}
    engines = [cluster(engine, place.engines[engine]) for engine in ENGINES]
    return {
        "admin": {"address": _address("127.0.0.1", free_port())},
        "static_resources": {
            "listeners": [listener],
            "clusters": [*engines, *clusters, {"name": WAITING, "connect_timeout": "5s"}],
        },
    }


def extension(name: str, kind: str, **fields: Any) -> Document:
    """A filter."""
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/{kind}", **fields}}


def cluster(name: str, port: int, *, http2: bool = False) -> Document:
    """One endpoint on this machine."""
    limits = ["max_connections", "max_pending_requests", "max_requests"]
    made: Document = {
        "name": name,
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [dict.fromkeys(limits, PLENTY)]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address("127.0.0.1", port)}}]}],
        },
    }
    if http2:
        made["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        }
    return made


def _route(engine: str, match: Document) -> Document:
    return {"match": match, "route": {"cluster": engine, "timeout": "0s"}}


def _address(host: str, port: int) -> Document:
    return {"socket_address": {"address": host, "port_value": port}}
