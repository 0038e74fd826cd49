"""Matchers over a request's headers, as a tree: each text stands once, however many routes hang on it.

A route's own ``match`` can only name one path, or a regular expression, whose size Envoy bounds (RE2 programs of 100
instructions). In Envoy's matching API (``VirtualHost.matcher``) the paths are compared once, exactly, and the routing
header's value is looked up in a map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.type import v3 as envoy_type
from envoy_data_plane.envoy.type.matcher import v3 as inputs
from envoy_data_plane.xds.core import v3 as core
from envoy_data_plane.xds.type.matcher import v3 as matcher

from routegen_router.request import Opened

from .messages import packed

_MOST: Final = (1 << 63) - 1
"""The largest number that Envoy compares a header with."""
ENCODED: Final = "[^?]*%(2[fF]|5[cC]).*"
"""A path with an encoded slash or backslash."""
Predicate = matcher.MatcherMatcherListPredicate


def first_of(
    *cases: tuple[Predicate, matcher.MatcherOnMatch], otherwise: matcher.MatcherOnMatch
) -> matcher.MatcherOnMatch:
    """What belongs to the first predicate that holds."""
    matchers = [matcher.MatcherMatcherListFieldMatcher(predicate=predicate, on_match=then) for predicate, then in cases]
    return _nested(matcher.Matcher(matcher_list=matcher.MatcherMatcherList(matchers=matchers), on_no_match=otherwise))


def by_header(
    name: str, values: Mapping[str, matcher.MatcherOnMatch], otherwise: matcher.MatcherOnMatch
) -> matcher.MatcherOnMatch:
    """What belongs to the header's value; the same time for one value as for hundreds."""
    tree = matcher.MatcherMatcherTree(
        input=_header(name), exact_match_map=matcher.MatcherMatcherTreeMatchMap(map=dict(values))
    )
    return _nested(matcher.Matcher(matcher_tree=tree, on_no_match=otherwise))


def to(one: route.Route) -> matcher.MatcherOnMatch:
    """Take this route. Envoy wants a ``match`` of it all the same: one that always holds."""
    one.match = route.RouteMatch(prefix="/")
    return _action(one.name, one)


def to_first(name: str, routes: Sequence[route.Route]) -> matcher.MatcherOnMatch:
    """Take the first of these routes whose own ``match`` holds."""
    return _action(name, route.RouteList(routes=list(routes)))


def is_method(method: str) -> Predicate:
    """The request's method is this one."""
    return _single(":method", matcher.StringMatcher(exact=method))


def is_path(paths: Sequence[str]) -> Predicate:
    """The request's path is one of these, with or without a query: ``:path`` holds both."""
    exact = [_single(":path", matcher.StringMatcher(exact=path)) for path in paths]
    with_query = [_single(":path", matcher.StringMatcher(prefix=f"{path}?")) for path in paths]
    return Predicate(or_matcher=matcher.MatcherMatcherListPredicatePredicateList(predicate=[*exact, *with_query]))


def longer_than(size: int) -> route.HeaderMatcher:
    """The request says that its body is longer than ``size`` bytes; for a route's own ``match``."""
    return route.HeaderMatcher(name="content-length", range_match=envoy_type.Int64Range(start=size + 1, end=_MOST))


def is_opened(entry: Opened) -> Predicate:
    """The request is one of these.

    Below a prefix none with an encoded slash or backslash is: it stays as it is in paths, and an engine that decodes it
    would leave the prefix.
    """
    if entry.prefix is None:
        return both(is_method(entry.method), is_path([entry.path]))
    below = Predicate(
        or_matcher=matcher.MatcherMatcherListPredicatePredicateList(
            predicate=[is_path([entry.prefix]), _single(":path", matcher.StringMatcher(prefix=f"{entry.prefix}/"))]
        )
        if entry.prefix
        else None,
        single_predicate=None if entry.prefix else _single(":path", matcher.StringMatcher(prefix="/")).single_predicate,
    )
    encoded = _single(
        ":path",
        matcher.StringMatcher(
            safe_regex=matcher.RegexMatcher(google_re2=matcher.RegexMatcherGoogleRe2(), regex=ENCODED)
        ),
    )
    return both(is_method(entry.method), both(below, Predicate(not_matcher=encoded)))


def any_of(predicates: Sequence[Predicate]) -> Predicate:
    """One of them holds."""
    if len(predicates) == 1:
        return predicates[0]
    return Predicate(or_matcher=matcher.MatcherMatcherListPredicatePredicateList(predicate=list(predicates)))


def both(one: Predicate, other: Predicate) -> Predicate:
    """The two hold."""
    return Predicate(and_matcher=matcher.MatcherMatcherListPredicatePredicateList(predicate=[one, other]))


def _single(header: str, value: matcher.StringMatcher) -> Predicate:
    return Predicate(
        single_predicate=matcher.MatcherMatcherListPredicateSinglePredicate(input=_header(header), value_match=value)
    )


def _header(name: str) -> core.TypedExtensionConfig:
    return core.TypedExtensionConfig(
        name=name, typed_config=packed(inputs.HttpRequestHeaderMatchInput(header_name=name))
    )


def _action(name: str, action: route.Route | route.RouteList) -> matcher.MatcherOnMatch:
    return matcher.MatcherOnMatch(action=core.TypedExtensionConfig(name=name, typed_config=packed(action)))


def _nested(tree: matcher.Matcher) -> matcher.MatcherOnMatch:
    return matcher.MatcherOnMatch(matcher=tree)
