"""What Envoy Gateway makes of the objects that we render, as one static Envoy configuration.

Envoy Gateway itself takes minutes to build (tests/cluster does so); its translation can be imitated where it matters
to a request. Sources: its task pages on external processing, ClientTrafficPolicy and direct responses, its own golden
files, and what tests/cluster found. In particular: a route that answers itself is a direct response; the body limit is
the listener's; the routes of a policy whose Service has no address answer 500.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from support.envoy_gateway_clusters import Document, Objects, address, clusters, routers_policy_is_valid
from support.envoy_gateway_filters import (
    BUFFER,
    OVERRIDE,
    PROCESSOR,
    RATE_LIMIT,
    TYPES,
    filters,
    named,
    rate_limit,
    retry_policy,
)

_ENABLED = {"@type": f"{TYPES}.config.route.v3.FilterConfig", "config": {}}
_UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def bootstrap(documents: Iterable[Document], *routers: str) -> dict[str, Any]:
    """An Envoy that serves ``documents``; listener and admin are on free ports.

    :param routers: ``host:port`` or ``unix:/path`` of each router pod that has an address.
    """
    objects = {(document["kind"], document["metadata"]["name"]): document for document in documents}
    listener = _listener(objects, answers=routers_policy_is_valid(objects, routers))
    return {
        "admin": {"address": address("127.0.0.1", 0)},
        "static_resources": {"listeners": [listener], "clusters": clusters(objects, routers)},
    }


def _listener(objects: Objects, *, answers: bool) -> dict[str, Any]:
    policies = [document["spec"] for (kind, _), document in objects.items() if kind == "ClientTrafficPolicy"]
    clients = policies[0] if policies else {}
    removed = clients.get("headers", {}).get("earlyRequestHeaders", {}).get("remove", [])
    manager: dict[str, Any] = {
        "@type": f"{TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": {"KeepUnchanged": "KEEP_UNCHANGED"}.get(
            clients.get("path", {}).get("escapedSlashesAction", ""), "UNESCAPE_AND_REDIRECT"
        ),
        "common_http_protocol_options": {
            "headers_with_underscores_action": {"DropHeader": "DROP_HEADER"}.get(
                clients.get("headers", {}).get("withUnderscoresAction", ""), "REJECT_REQUEST"
            )
        },
        "http_filters": filters(objects),
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": _routes(objects, answers=answers)}],
        },
    }
    if removed:
        manager["early_header_mutation_extensions"] = [
            named(
                "envoy.http.early_header_mutation.header_mutation",
                "http.early_header_mutation.header_mutation.v3.HeaderMutation",
                mutations=[{"remove": name} for name in removed],
            )
        ]
    return {
        "name": "http",
        "address": address("127.0.0.1", 0),
        "per_connection_buffer_limit_bytes": _bytes(clients.get("connection", {}).get("bufferLimit", "32Ki")),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _bytes(quantity: str) -> int:
    unit = quantity[-2:]
    return int(quantity[:-2]) * _UNITS[unit] if unit in _UNITS else int(quantity)


def _routes(objects: Objects, *, answers: bool) -> list[dict[str, Any]]:
    """All routes of all HTTPRoutes, the most particular first."""
    found = []
    for (kind, name), document in objects.items():
        if kind != "HTTPRoute":
            continue
        for rule in document["spec"]["rules"]:
            for match in rule["matches"]:
                path = match["path"]
                rank = (
                    path["type"] != "Exact",
                    -len(path["value"]),
                    "method" not in match,
                    -len(match.get("headers", [])),
                )
                found.append(((*rank, name), _route(document, rule, match, objects, answers=answers)))
    return [route for _, route in sorted(found, key=lambda pair: pair[0])]


def _route(
    document: Document, rule: Mapping[str, Any], match: Mapping[str, Any], objects: Objects, *, answers: bool
) -> dict[str, Any]:
    path, headers = match["path"], match.get("headers", [])
    wanted = [{"name": one["name"], "string_match": {"exact": one["value"]}} for one in headers]
    if "method" in match:
        wanted.append({"name": ":method", "string_match": {"exact": match["method"]}})
    where = (
        {"path": path["value"]}
        if path["type"] == "Exact"
        else {"prefix": "/"}
        if path["value"] == "/"
        else {"path_separated_prefix": path["value"].rstrip("/")}
    )
    route: dict[str, Any] = {"name": document["metadata"]["name"], "match": {**where, "headers": wanted}}
    if "backendRefs" in rule:
        weights = [{"name": ref["name"], "weight": ref.get("weight", 1)} for ref in rule["backendRefs"]]
        route["route"] = {
            "weighted_clusters": {"clusters": weights},
            "timeout": rule.get("timeouts", {}).get("request", "0s"),
        }
    for entry in rule.get("filters", []):
        _apply(entry, route, objects)
    asked = _choosing("EnvoyExtensionPolicy", document, objects)
    if asked and not answers:
        return {"name": route["name"], "match": route["match"], "direct_response": {"status": 500}}
    per_filter: dict[str, Any] = {f"{PROCESSOR}/{name}": _ENABLED for name in asked}
    if "route" in route and (limit := rate_limit(objects)):
        per_filter[RATE_LIMIT] = limit
    for name in _choosing("BackendTrafficPolicy", document, objects):
        per_filter |= _treated(name, objects["BackendTrafficPolicy", name]["spec"], route)
    if per_filter:
        route["typed_per_filter_config"] = per_filter
    return route


def _treated(name: str, settings: Mapping[str, Any], route: dict[str, Any]) -> dict[str, Any]:
    """What a BackendTrafficPolicy does to a route; the filters that it switches on there."""
    per_filter: dict[str, Any] = {}
    if "requestBuffer" in settings:
        limit = {"max_request_bytes": _bytes(settings["requestBuffer"]["limit"])}
        buffer = {"@type": f"{TYPES}.extensions.filters.http.buffer.v3.BufferPerRoute", "buffer": limit}
        per_filter[BUFFER] = {"@type": f"{TYPES}.config.route.v3.FilterConfig", "config": buffer}
    if "responseOverride" in settings:
        per_filter[f"{OVERRIDE}/{name}"] = _ENABLED
    if "route" in route:
        route["route"]["idle_timeout"] = settings["timeout"]["http"]["streamIdleTimeout"]
        if "retry" in settings:
            route["route"]["retry_policy"] = retry_policy(settings["retry"])
    return per_filter


def _apply(entry: Mapping[str, Any], route: dict[str, Any], objects: Objects) -> None:
    overwrite = "OVERWRITE_IF_EXISTS_OR_ADD"
    match entry["type"]:
        case "ExtensionRef":
            answer = objects["HTTPRouteFilter", entry["extensionRef"]["name"]]["spec"]["directResponse"]
            route["direct_response"] = {
                "status": answer["statusCode"],
                "body": {"inline_string": answer["body"]["inline"]},
            }
            header = {"key": "content-type", "value": answer["contentType"]}
            route["response_headers_to_add"] = [{"header": header, "append_action": overwrite}]
        case "RequestHeaderModifier":
            route["request_headers_to_remove"] = entry["requestHeaderModifier"]["remove"]
        case "ResponseHeaderModifier":
            change = entry["responseHeaderModifier"]
            route["response_headers_to_remove"] = change.get("remove", [])
            route["response_headers_to_add"] = [
                {"header": {"key": pair["name"], "value": pair["value"]}, "append_action": overwrite}
                for pair in change.get("set", [])
            ]


def _choosing(wanted: str, route: Document, objects: Objects) -> list[str]:
    """The policies of one kind that select the route."""
    labels = route["metadata"]["labels"].items()
    return [
        name
        for (kind, name), policy in objects.items()
        if kind == wanted
        for selector in policy["spec"].get("targetSelectors", [])
        if selector["matchLabels"].items() <= labels
    ]
