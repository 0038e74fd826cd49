"""CORS: Envoy's filter, which answers preflights and puts its headers on every answer, refusals included.

It stands first, so a preflight reaches neither the router nor an engine. It has nothing to say on a route with a direct
response, so a preflight gets a route to nowhere, and answers that are just a status bring the headers themselves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.filters.http.cors import v3 as cors
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from envoy_data_plane.google.protobuf import Any

from routegen.plan import READING, Cors, Plan

from . import names
from .messages import exact, packed, quote

NAME: Final = "envoy.filters.http.cors"


def cors_filters(plan: Plan) -> list[hcm.HttpFilter]:
    """Make the filter, if the plan has a policy."""
    return [hcm.HttpFilter(name=NAME, typed_config=packed(cors.Cors()))] if plan.cors is not None else []


def cors_policy(plan: Plan) -> dict[str, Any]:
    """Settings of the virtual host."""
    given = plan.cors
    if given is None:
        return {}
    served = dict.fromkeys(("POST", *READING, *(entry.method for entry in (*plan.by_headers, *plan.passthrough))))
    policy = cors.CorsPolicy(
        allow_origin_string_match=[_origin(text) for text in given.allow_origins],
        allow_methods=", ".join(served),
        allow_headers=", ".join(given.allow_headers),
        expose_headers=", ".join(given.expose_headers),
        max_age=f"{given.max_age:.0f}",
        allow_credentials=given.allow_credentials,
    )
    return {NAME: packed(policy)}


def preflight_routes(plan: Plan) -> list[route.Route]:
    """Where preflights of allowed origins are answered; to stand before all routes that they could match."""
    if plan.cors is None:
        return []
    asks = route.HeaderMatcher(name="access-control-request-method", present_match=True)
    method = route.HeaderMatcher(name=":method", string_match=exact("OPTIONS"))
    match = route.RouteMatch(prefix="/", headers=[method, asks, _from(plan.cors)])
    return [route.Route(name="preflight", match=match, route=route.RouteAction(cluster=names.WAITING))]


def readable(plan: Plan, one: route.Route) -> list[route.Route]:
    """A route that answers with a status, and before it the same for pages of allowed origins, with CORS headers."""
    if plan.cors is None or one.match is None:
        return [one]
    told = {
        "access-control-allow-origin": "%REQ(origin)%",
        "access-control-expose-headers": ", ".join(plan.cors.expose_headers),
        **({"access-control-allow-credentials": "true"} if plan.cors.allow_credentials else {}),
    }
    headers = [
        core.HeaderValueOption(
            header=core.HeaderValue(key=name, value=value),
            append_action=core.HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
        )
        for name, value in told.items()
    ]
    match = replace(one.match, headers=[*one.match.headers, _from(plan.cors)])
    return [replace(one, match=match, response_headers_to_add=headers), one]


def _from(policy: Cors) -> route.HeaderMatcher:
    """The request is a page's of an allowed origin."""
    regex = "|".join(map(_regex, policy.allow_origins))
    return route.HeaderMatcher(
        name="origin", string_match=matcher.StringMatcher(safe_regex=matcher.RegexMatcher(regex=regex))
    )


def _origin(text: str) -> matcher.StringMatcher:
    if "*" not in text:
        return exact(text)
    return matcher.StringMatcher(safe_regex=matcher.RegexMatcher(regex=_regex(text)))


def _regex(text: str) -> str:
    if text == "*":
        return ".*"
    scheme, star, rest = text.partition("*.")
    return quote(scheme) + "([-a-z0-9]+[.])+" * bool(star) + quote(rest)
