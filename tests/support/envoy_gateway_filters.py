"""The HTTP filters that Envoy Gateway puts into a listener, in its order, which an EnvoyProxy may change.

Numbers are those of its source (``newOrderedHTTPFilter``). Policies' filters are in the chain, disabled, and each
route that a policy selects enables them. What a user may attach is imitated as far as tests attach it: a denial of
everything and a local rate limit, both behind external processing where nobody moves them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from support.envoy_gateway_clusters import ROUTER, Objects

TYPES: Final = "type.googleapis.com/envoy"
PROCESSOR: Final = "envoy.filters.http.ext_proc"
BUFFER: Final = "envoy.filters.http.buffer"
OVERRIDE: Final = "envoy.filters.http.custom_response"
_RBAC: Final = "envoy.filters.http.rbac"
RATE_LIMIT: Final = "envoy.filters.http.local_ratelimit"
_ORDER: Final = (OVERRIDE, BUFFER, PROCESSOR, _RBAC, RATE_LIMIT)


def filters(objects: Objects) -> list[dict[str, Any]]:
    """All of them, the last one being Envoy's router."""
    made = {
        OVERRIDE: _overrides(objects),
        BUFFER: _buffers(objects),
        PROCESSOR: _processors(objects),
        _RBAC: _denials(objects),
        RATE_LIMIT: _rate_limits(objects),
    }
    order = list(_ORDER)
    for (kind, _), document in objects.items():
        for move in document["spec"].get("filterOrder", []) if kind == "EnvoyProxy" else []:
            if move["name"] in order:
                order.remove(move["name"])
                order.insert(order.index(move["before"]), move["name"])
    chain = [one for kind in order for one in made[kind]]
    return [*chain, named("envoy.filters.http.router", "filters.http.router.v3.Router")]


def _denials(objects: Objects) -> list[dict[str, Any]]:
    """Authorization that lets nobody through, for every route."""
    rules = {"action": "ALLOW", "policies": {}}
    return [
        named(_RBAC, "filters.http.rbac.v3.RBAC", rules=rules)
        for (kind, _), document in objects.items()
        if kind == "SecurityPolicy" and document["spec"]["authorization"] == {"defaultAction": "Deny"}
    ]


def _rate_limits(objects: Objects) -> list[dict[str, Any]]:
    """The filter; the limit itself is each forwarding route's."""
    limit = named(RATE_LIMIT, "filters.http.local_ratelimit.v3.LocalRateLimit", stat_prefix="limit")
    return [limit] if rate_limit(objects) else []


def rate_limit(objects: Objects) -> dict[str, Any] | None:
    """A forwarding route's settings, where a policy of the Gateway limits requests by the hour."""
    for (kind, _), document in objects.items():
        if kind == "BackendTrafficPolicy" and "rateLimit" in document["spec"]:
            [rule] = document["spec"]["rateLimit"]["local"]["rules"]
            count = rule["limit"]["requests"]
            always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
            return {
                "@type": f"{TYPES}.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
                "stat_prefix": "limit",
                "token_bucket": {"max_tokens": count, "tokens_per_fill": count, "fill_interval": "3600s"},
                "filter_enabled": always,
                "filter_enforced": always,
            }
    return None


def named(name: str, message: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": f"{TYPES}.extensions.{message}", **fields}}


def _overrides(objects: Objects) -> list[dict[str, Any]]:
    """``responseOverride`` is a custom response filter a policy (filter order 0), which its routes enable."""
    found = []
    for (kind, name), document in objects.items():
        if kind == "BackendTrafficPolicy" and (rules := document["spec"].get("responseOverride")):
            matchers = {"matcher_list": {"matchers": [_override(rule) for rule in rules]}}
            message = "filters.http.custom_response.v3.CustomResponse"
            found.append({**named(f"{OVERRIDE}/{name}", message, custom_response_matcher=matchers), "disabled": True})
    return found


def _override(rule: Mapping[str, Any]) -> dict[str, Any]:
    """One matcher: Envoy's own replies of a status get another body, and perhaps another status."""
    assert rule["source"] == "Local"
    [code] = rule["match"]["statusCodes"]
    response = rule["response"]
    header = {"key": "content-type", "value": response["contentType"]}
    policy = {
        "@type": f"{TYPES}.extensions.http.custom_response.local_response_policy.v3.LocalResponsePolicy",
        "body_format": {"text_format": response["body"]["inline"]},
        "response_headers_to_add": [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
        **({"status_code": response["statusCode"]} if "statusCode" in response else {}),
    }
    conditions = {"HttpResponseStatusCodeMatchInput": str(code["value"]), "HttpResponseLocalReplyMatchInput": "true"}
    predicates = [
        {
            "single_predicate": {
                "input": {"name": kind, "typed_config": {"@type": f"{TYPES}.type.matcher.v3.{kind}"}},
                "value_match": {"exact": value},
            }
        }
        for kind, value in conditions.items()
    ]
    return {
        "predicate": {"and_matcher": {"predicate": predicates}},
        "on_match": {"action": {"name": "override", "typed_config": policy}},
    }


def _buffers(objects: Objects) -> list[dict[str, Any]]:
    """``requestBuffer`` is the buffer filter, in front of external processing (filter order 12 and 100)."""
    used = any("requestBuffer" in document["spec"] for document in objects.values() if "spec" in document)
    buffer = named(BUFFER, "filters.http.buffer.v3.Buffer", max_request_bytes=1)
    return [{**buffer, "disabled": True}] if used else []


def _processors(objects: Objects) -> list[dict[str, Any]]:
    policies = [
        (name, document["spec"]) for (kind, name), document in objects.items() if kind == "EnvoyExtensionPolicy"
    ]
    return [_processor(name, policy) for name, policy in policies]


def _processor(name: str, policy: Mapping[str, Any]) -> dict[str, Any]:
    (wanted,) = policy["extProc"]
    body = {None: "NONE", "Buffered": "BUFFERED"}[wanted["processingMode"]["request"].get("body")]
    return {
        **named(
            f"{PROCESSOR}/{name}",
            "filters.http.ext_proc.v3.ExternalProcessor",
            grpc_service={"envoy_grpc": {"cluster_name": ROUTER}, "timeout": "10s", **_retries(wanted)},
            failure_mode_allow=wanted["failOpen"],
            message_timeout=wanted["messageTimeout"],
            metadata_options={"receiving_namespaces": {"untyped": wanted["metadata"]["writableNamespaces"]}},
            processing_mode={
                "request_header_mode": "SEND",
                "request_body_mode": body,
                "request_trailer_mode": "SKIP",
                "response_header_mode": "SKIP",
                "response_body_mode": "NONE",
                "response_trailer_mode": "SKIP",
            },
        ),
        "disabled": True,
    }


def _retries(wanted: Mapping[str, Any]) -> dict[str, Any]:
    if (retry := wanted["backendSettings"].get("retry")) is None:
        return {}
    return {"retry_policy": retry_policy(retry)}


def retry_policy(retry: Mapping[str, Any]) -> dict[str, Any]:
    """Envoy's form of a policy's ``retry``, for a route or for a call of the router."""
    policy = {"retry_on": ",".join(retry["retryOn"]["triggers"]), "num_retries": retry["numRetries"]}
    if (pause := retry.get("perRetry", {}).get("backOff")) is not None:
        policy["retry_back_off"] = {
            "base_interval": _interval(pause["baseInterval"]),
            "max_interval": _interval(pause["maxInterval"]),
        }
    return policy


def _interval(milliseconds: str) -> str:
    """``10ms`` as Envoy writes it."""
    return f"{int(milliseconds.removesuffix('ms')) / 1000:g}s"
