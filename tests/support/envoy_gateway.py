"""What Envoy Gateway makes of the objects that we render, as one static Envoy configuration.

Envoy Gateway itself can't run in a test; its translation can be imitated where it matters to a request. Sources:
its task pages on external processing, ClientTrafficPolicy and direct responses, and its own golden files. In
particular: each policy's ext_proc is in the filter chain but disabled, and each route that the policy selects enables
it; a route that answers itself is a direct response; the body limit is the listener's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Document = Mapping[str, Any]
_TYPES = "type.googleapis.com/envoy"
_FILTER = "envoy.filters.http.ext_proc"
_BUFFER = "envoy.filters.http.buffer"
_OVERRIDE = "envoy.filters.http.custom_response"
_UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def bootstrap(documents: Iterable[Document], router: str) -> dict[str, Any]:
    """An Envoy that serves ``documents``; listener and admin are on free ports.

    :param router: ``host:port`` or ``unix:/path`` of the router.
    """
    objects = {(document["kind"], document["metadata"]["name"]): document for document in documents}
    backends = {name: document["spec"] for (kind, name), document in objects.items() if kind == "Backend"}
    clusters = [
        _cluster(name, [_address(end["ip"]["address"], end["ip"]["port"]) for end in spec["endpoints"]])
        for name, spec in backends.items()
    ]
    clusters += [_nowhere(one) for (kind, _), one in objects.items() if kind == "EndpointSlice"]
    host, _, port = router.rpartition(":")
    processor = _cluster("router", [{"pipe": {"path": port}} if host == "unix" else _address(host, int(port))])
    processor["typed_extension_protocol_options"] = {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": f"{_TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
    return {
        "admin": {"address": _address("127.0.0.1", 0)},
        "static_resources": {"listeners": [_listener(objects)], "clusters": [*clusters, processor]},
    }


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _cluster(name: str, addresses: list[dict[str, Any]]) -> dict[str, Any]:
    endpoints = [{"endpoint": {"address": address}} for address in addresses]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        # Envoy Gateway's own value for clusters; that whole bodies pass in spite of it is part of the test.
        "per_connection_buffer_limit_bytes": 32768,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
    }


def _nowhere(endpoint_slice: Document) -> dict[str, Any]:
    """What a Service whose only endpoints don't serve becomes: hosts that drain, and none is used in a panic."""
    service = endpoint_slice["metadata"]["labels"]["kubernetes.io/service-name"]
    [port] = endpoint_slice["ports"]
    ends = [(one["addresses"][0], one["conditions"]["serving"]) for one in endpoint_slice["endpoints"]]
    assert not any(serves for _, serves in ends)
    cluster = _cluster(service, [_address(host, port["port"]) for host, _ in ends])
    for endpoint in cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]:
        endpoint["health_status"] = "DRAINING"
    cluster["common_lb_config"] = {"healthy_panic_threshold": {"value": 0}}
    return cluster


def _listener(objects: Mapping[tuple[str, str], Document]) -> dict[str, Any]:
    policies = [document["spec"] for (kind, _), document in objects.items() if kind == "ClientTrafficPolicy"]
    clients = policies[0] if policies else {}
    removed = clients.get("headers", {}).get("earlyRequestHeaders", {}).get("remove", [])
    manager: dict[str, Any] = {
        "@type": f"{_TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
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
        "http_filters": [
            *_overrides(objects),
            *_buffers(objects),
            *_processors(objects),
            _named("envoy.filters.http.router", "filters.http.router.v3.Router"),
        ],
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": _routes(objects)}],
        },
    }
    if removed:
        manager["early_header_mutation_extensions"] = [
            _named(
                "envoy.http.early_header_mutation.header_mutation",
                "http.early_header_mutation.header_mutation.v3.HeaderMutation",
                mutations=[{"remove": name} for name in removed],
            )
        ]
    return {
        "name": "http",
        "address": _address("127.0.0.1", 0),
        "per_connection_buffer_limit_bytes": _bytes(clients.get("connection", {}).get("bufferLimit", "32Ki")),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _named(name: str, message: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": f"{_TYPES}.extensions.{message}", **fields}}


def _bytes(quantity: str) -> int:
    unit = quantity[-2:]
    return int(quantity[:-2]) * _UNITS[unit] if unit in _UNITS else int(quantity)


def _overrides(objects: Mapping[tuple[str, str], Document]) -> list[dict[str, Any]]:
    """``responseOverride`` is a custom response filter a policy (filter order 0), which its routes enable."""
    found = []
    for (kind, name), document in objects.items():
        if kind == "BackendTrafficPolicy" and (rules := document["spec"].get("responseOverride")):
            matchers = {"matcher_list": {"matchers": [_override(rule) for rule in rules]}}
            message = "filters.http.custom_response.v3.CustomResponse"
            found.append({**_named(f"{_OVERRIDE}/{name}", message, custom_response_matcher=matchers), "disabled": True})
    return found


def _override(rule: Mapping[str, Any]) -> dict[str, Any]:
    """One matcher: Envoy's own replies of a status get another body, and perhaps another status."""
    assert rule["source"] == "Local"
    [code] = rule["match"]["statusCodes"]
    response = rule["response"]
    header = {"key": "content-type", "value": response["contentType"]}
    policy = {
        "@type": f"{_TYPES}.extensions.http.custom_response.local_response_policy.v3.LocalResponsePolicy",
        "body_format": {"text_format": response["body"]["inline"]},
        "response_headers_to_add": [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
        **({"status_code": response["statusCode"]} if "statusCode" in response else {}),
    }
    conditions = {"HttpResponseStatusCodeMatchInput": str(code["value"]), "HttpResponseLocalReplyMatchInput": "true"}
    predicates = [
        {
            "single_predicate": {
                "input": {"name": kind, "typed_config": {"@type": f"{_TYPES}.type.matcher.v3.{kind}"}},
                "value_match": {"exact": value},
            }
        }
        for kind, value in conditions.items()
    ]
    return {
        "predicate": {"and_matcher": {"predicate": predicates}},
        "on_match": {"action": {"name": "override", "typed_config": policy}},
    }


def _buffers(objects: Mapping[tuple[str, str], Document]) -> list[dict[str, Any]]:
    """``requestBuffer`` is the buffer filter, in front of external processing (filter order 12 and 100)."""
    used = any("requestBuffer" in document["spec"] for document in objects.values() if "spec" in document)
    buffer = _named(_BUFFER, "filters.http.buffer.v3.Buffer", max_request_bytes=1)
    return [{**buffer, "disabled": True}] if used else []


def _processors(objects: Mapping[tuple[str, str], Document]) -> list[dict[str, Any]]:
    policies = [
        (name, document["spec"]) for (kind, name), document in objects.items() if kind == "EnvoyExtensionPolicy"
    ]
    return [_processor(name, policy) for name, policy in policies]


def _processor(name: str, policy: Mapping[str, Any]) -> dict[str, Any]:
    (wanted,) = policy["extProc"]
    assert wanted["processingMode"] == {"request": {"body": "Buffered"}}
    return {
        **_named(
            f"{_FILTER}/{name}",
            "filters.http.ext_proc.v3.ExternalProcessor",
            grpc_service={"envoy_grpc": {"cluster_name": "router"}, "timeout": "10s"},
            failure_mode_allow=wanted["failOpen"],
            message_timeout=wanted["messageTimeout"],
            metadata_options={"receiving_namespaces": {"untyped": wanted["metadata"]["writableNamespaces"]}},
            processing_mode={
                "request_header_mode": "SEND",
                "request_body_mode": "BUFFERED",
                "request_trailer_mode": "SKIP",
                "response_header_mode": "SKIP",
                "response_body_mode": "NONE",
                "response_trailer_mode": "SKIP",
            },
        ),
        "disabled": True,
    }


def _routes(objects: Mapping[tuple[str, str], Document]) -> list[dict[str, Any]]:
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
                found.append(((*rank, name), _route(document, rule, match, objects)))
    return [route for _, route in sorted(found, key=lambda pair: pair[0])]


def _route(
    document: Document, rule: Mapping[str, Any], match: Mapping[str, Any], objects: Mapping[tuple[str, str], Document]
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
    enabled = {"@type": f"{_TYPES}.config.route.v3.FilterConfig", "config": {}}
    per_filter: dict[str, Any] = {
        f"{_FILTER}/{name}": enabled for name in _choosing("EnvoyExtensionPolicy", document, objects)
    }
    for name in _choosing("BackendTrafficPolicy", document, objects):
        settings = objects["BackendTrafficPolicy", name]["spec"]
        if "requestBuffer" in settings:
            limit = {"max_request_bytes": _bytes(settings["requestBuffer"]["limit"])}
            buffer = {"@type": f"{_TYPES}.extensions.filters.http.buffer.v3.BufferPerRoute", "buffer": limit}
            per_filter[_BUFFER] = {"@type": f"{_TYPES}.config.route.v3.FilterConfig", "config": buffer}
        if "responseOverride" in settings:
            per_filter[f"{_OVERRIDE}/{name}"] = enabled
        if "route" in route:
            route["route"]["idle_timeout"] = settings["timeout"]["http"]["streamIdleTimeout"]
    if per_filter:
        route["typed_per_filter_config"] = per_filter
    return route


def _apply(entry: Mapping[str, Any], route: dict[str, Any], objects: Mapping[tuple[str, str], Document]) -> None:
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


def _choosing(wanted: str, route: Document, objects: Mapping[tuple[str, str], Document]) -> list[str]:
    """The policies of one kind that select the route."""
    labels = route["metadata"]["labels"].items()
    return [
        name
        for (kind, name), policy in objects.items()
        if kind == wanted
        for selector in policy["spec"]["targetSelectors"]
        if selector["matchLabels"].items() <= labels
    ]
