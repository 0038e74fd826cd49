"""How a Gateway that follows Gateway API, with an external processor as Envoy has it, treats a request.

Made from the specifications, not from our emitters: HTTPRoute's rules of precedence (HTTPRouteRule, "Matches"), Envoy
Gateway's policies, Istio's EnvoyFilters, and Envoy's order of things (early header removal, first match, router, second
match).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """What routes may look at."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()

    def without(self, name: str) -> Request:
        """The request without any copy of a header."""
        return replace(self, headers=tuple(pair for pair in self.headers if pair[0].lower() != name.lower()))

    def with_header(self, name: str, value: str) -> Request:
        """The request with exactly one copy of a header."""
        return replace(self.without(name), headers=(*self.without(name).headers, (name, value)))


@dataclass(frozen=True, slots=True)
class Forwarded:
    """It reached a backend."""

    refs: tuple[tuple[str, str], ...]
    """(kind, name) of the backend references."""
    request_headers: tuple[str, ...]
    """Values of the routing header that the backend sees."""
    named: str | None
    """The routing header of the response; ``None``: it has none."""


@dataclass(frozen=True, slots=True)
class Answered:
    """It ended in the gateway or at the router."""

    by: str
    """``router``, the HTTPRouteFilter's name, ``nobody``: no route matched, ``nowhere``: no address serves, or the
    HTTPRoute's name: its rule does nothing, which Istio answers by itself."""
    named: str | None = None
    """The routing header of the response, which a route sets on what the gateway itself answers too."""


Outcome = Forwarded | Answered


class Fault(Enum):
    """What a router may do instead of deciding."""

    REFUSES = "answers the client itself"
    STOPPED = "can't be reached"
    SILENT = "ends its stream without an answer, which Envoy takes for consent"


Router = str | Fault
"""What the router does with a request: decides for the backend of that name, or something else."""


@dataclass(frozen=True, slots=True)
class SimulatedGateway:
    """Rendered objects at work."""

    documents: tuple[Document, ...]
    routing_header: str

    def handle(self, request: Request, router: Router) -> Outcome:
        """What becomes of a request."""
        for name in self._removed_early():
            request = request.without(name)
        found = self._match(request)
        if found is None:
            return Answered("nobody")
        fails_open, decided = self._fails_open(*found), None
        if fails_open is not None:
            match router:
                case Fault.REFUSES:
                    return Answered("router", self._named(found[1], decided, None))
                case Fault.STOPPED if not fails_open:
                    return Answered("gateway", self._named(found[1], decided, None))
                case str():
                    request, decided = request.with_header(self.routing_header, router), router
                    found = self._match(request) or found
        return self._act(request, *found, decided)

    def _kind(self, kind: str) -> Iterable[Document]:
        return (document for document in self.documents if document["kind"] == kind)

    def _removed_early(self) -> Iterable[str]:
        """Headers that are gone before any route is looked at."""
        for clients in self._kind("ClientTrafficPolicy"):
            yield from clients["spec"]["headers"]["earlyRequestHeaders"]["remove"]
        for patch in self._patches("NETWORK_FILTER"):
            for extension in patch["patch"]["value"]["typed_config"]["early_header_mutation_extensions"]:
                for mutation in extension["typed_config"]["mutations"]:
                    if "remove" in mutation:
                        yield mutation["remove"]

    def _patches(self, apply_to: str) -> Iterable[Mapping[str, Any]]:
        """Those of all EnvoyFilters."""
        patches = [patch for one in self._kind("EnvoyFilter") for patch in one["spec"]["configPatches"]]
        return (patch for patch in patches if patch["applyTo"] == apply_to)

    def _merged(self, route: Document, rule: Mapping[str, Any]) -> Mapping[str, Any]:
        """What EnvoyFilters merge into the Envoy routes of a rule, which Istio names by its place."""
        index = next(place for place, one in enumerate(route["spec"]["rules"]) if one is rule)
        name = f"{route['metadata']['namespace']}.{route['metadata']['name']}.{index}"
        values = [
            patch["patch"]["value"]
            for patch in self._patches("HTTP_ROUTE")
            if patch["match"]["routeConfiguration"]["vhost"]["route"]["name"] == name
        ]
        assert len(values) <= 1
        return values[0] if values else {}

    def _fails_open(self, route: Document, rule: Mapping[str, Any]) -> bool | None:
        """What becomes of a request to this route where the router fails; ``None``: the router isn't asked here."""
        if (policy := self._extension(route)) is not None:
            return bool(policy["spec"]["extProc"][0]["failOpen"])
        for settings in self._merged(route, rule).get("typed_per_filter_config", {}).values():
            if settings["config"]["@type"].endswith("ExtProcPerRoute"):
                return bool(settings["config"]["overrides"].get("failure_mode_allow", False))
        return None

    def _nowhere(self) -> set[str]:
        """The Services that are rendered here and choose no pods, and have no address that serves."""
        return {one["metadata"]["name"] for one in self._kind("Service") if "selector" not in one["spec"]} | {
            name
            for one in self._kind("EndpointSlice")
            if (name := one["metadata"]["labels"]["kubernetes.io/service-name"])
            and not any(end["conditions"]["serving"] for end in one["endpoints"])
        }

    def _extension(self, route: Document) -> Document | None:
        labels = route["metadata"]["labels"].items()
        for policy in self._kind("EnvoyExtensionPolicy"):
            for selector in policy["spec"]["targetSelectors"]:
                if selector["kind"] == "HTTPRoute" and selector["matchLabels"].items() <= labels:
                    return policy
        return None

    def _match(self, request: Request) -> tuple[Document, Mapping[str, Any]] | None:
        """The route and rule that win; ties go to the route's name, then to the rule's place."""
        best: tuple[tuple[Any, ...], Document, Mapping[str, Any]] | None = None
        for route in self._kind("HTTPRoute"):
            for index, rule in enumerate(route["spec"]["rules"]):
                for match in rule["matches"]:
                    if not _matches(match, request):
                        continue
                    path = match["path"]
                    rank = (
                        path["type"] != "Exact",
                        -len(path["value"]),
                        "method" not in match,
                        -len(match.get("headers", ())),
                        route["metadata"]["namespace"],
                        route["metadata"]["name"],
                        index,
                    )
                    if best is None or rank < best[0]:
                        best = (rank, route, rule)
        return best and best[1:]

    def _named(self, rule: Mapping[str, Any], decided: str | None, own: str | None) -> str | None:
        """The response's routing header: Envoy removes first, then sets, and sets nothing that is empty."""
        for entry in rule.get("filters", ()):
            if entry["type"] == "ResponseHeaderModifier":
                change = entry["responseHeaderModifier"]
                if self.routing_header in change.get("remove", ()):
                    own = None
                for pair in change.get("set", ()):
                    assert pair == {"name": self.routing_header, "value": "%DYNAMIC_METADATA(routegen:backend)%"}
                    own = decided or own
        return own

    def _act(self, request: Request, route: Document, rule: Mapping[str, Any], decided: str | None) -> Outcome:
        for entry in rule.get("filters", ()):
            match entry["type"]:
                case "ExtensionRef":
                    return Answered(entry["extensionRef"]["name"])
                case "RequestHeaderModifier":
                    for name in entry["requestHeaderModifier"]["remove"]:
                        request = request.without(name)
        if "backendRefs" not in rule:
            return Answered(route["metadata"]["name"])
        refs = tuple((ref.get("kind", "Service"), ref["name"]) for ref in rule["backendRefs"])
        if {name for _, name in refs} <= self._nowhere():
            return Answered("nowhere", self._named(rule, decided, None))
        seen = tuple(value for name, value in request.headers if name.lower() == self.routing_header)
        return Forwarded(refs, seen, self._named(rule, decided, "the engine's own"))


def _matches(match: Mapping[str, Any], request: Request) -> bool:
    path, wanted = request.path, match["path"]["value"]
    if match["path"]["type"] == "Exact":
        fits = path == wanted
    else:
        prefix = wanted.rstrip("/")
        fits = path == prefix or path.startswith(f"{prefix}/")
    if not fits or match.get("method", request.method) != request.method:
        return False
    # Several copies of a header count as one value, joined with a comma (RFC 9110, 5.3).
    return all(
        ",".join(value for name, value in request.headers if name.lower() == header["name"].lower()) == header["value"]
        for header in match.get("headers", ())
    )
