"""Both Envoys accept what target ``istio`` merges into Istio's own configuration: every value of every golden case.

Where istiod puts the values, and what requests they meet there, is tests/cluster's business: it runs the real one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from routegen import pipeline
from routegen.compile import compile_text
from routegen.emit import limits
from routegen.emit.envoy import fragments
from support.envoy import VERSIONS, refusal

ROOT = Path(__file__).parents[2]
FILES = sorted(folder.parent / "routes.yaml" for folder in (ROOT / "tests/golden").glob("*/istio"))
LONGEST = f"""\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {{name: {"n" * 50}}}
spec:
  gateway: {{target: istio, create: false}}
  routingHeader: x-{"h" * 100}-{"h" * 100}
  backends: {{a: {{service: {{name: a, port: 8000}}}}}}
"""
HTTP2 = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
}
SENT = {"match": {"prefix": "/"}, "route": {"cluster": "engine", "timeout": "0s"}}
ROUTER = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
}


def merged(value: Any, other: Any) -> Any:
    """As protobuf merges messages: maps and messages by key, lists one after the other, else the other."""
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        return {**value, **{key: merged(value[key], one) if key in value else one for key, one in other.items()}}
    return [*value, *other] if isinstance(value, list) and isinstance(other, list) else other


def with_patches(patches: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The least configuration that each of these patches finds its place in."""
    values: dict[str, list[Any]] = {}
    for patch in patches:
        values.setdefault(patch["applyTo"], []).append(patch["patch"]["value"])
    cluster = {"type": "STATIC", "connect_timeout": "1s"}
    [router] = [patch["match"]["cluster"]["name"] for patch in patches if patch["applyTo"] == "CLUSTER"]
    answered = {"match": {"prefix": "/"}, "direct_response": {"status": 500}}
    routes = [merged(answered if "direct_response" in value else SENT, value) for value in values["HTTP_ROUTE"]]
    manager = {"stat_prefix": "http", "use_remote_address": True, "http_filters": [*values["HTTP_FILTER"], ROUTER]}
    manager["route_config"] = {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}
    [reading] = values["NETWORK_FILTER"]
    chain = {"filters": [merged({"typed_config": manager}, reading)]}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    runtime = {"name": "static", "static_layer": {"re2.max_program_size.error_level": 32768}}  # as in Istio's bootstrap
    asked = {**cluster, "name": router, "typed_extension_protocol_options": HTTP2}  # by its Service's appProtocol
    clusters = [{**cluster, "name": "engine"}, merged(asked, values["CLUSTER"][0])]
    return {
        "layered_runtime": {"layers": [runtime]},
        "static_resources": {
            "listeners": [{"name": "http", "address": address, "filter_chains": [chain]}],
            "clusters": clusters,
        },
    }


def configuration(text: str) -> dict[str, Any]:
    plan = compile_text(text, "routes.yaml", target="istio")
    [document] = [one.document for one in pipeline.render(plan).documents if one.kind == "EnvoyFilter"]
    return with_patches(document["spec"]["configPatches"])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_envoy_takes_every_value(file: Path, version: str) -> None:
    assert refusal(version, configuration(file.read_text(encoding="utf-8"))) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_envoy_takes_the_longest_names(version: str) -> None:
    assert refusal(version, configuration(LONGEST)) is None


def test_envoy_would_refuse_what_it_does_not_know() -> None:
    document = configuration(LONGEST)
    document["static_resources"]["clusters"][1]["health_check"] = []
    assert "health_check" in str(refusal(VERSIONS[0], document))


def test_a_wrong_field_fails_where_the_value_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UPLOAD", "300")
    with pytest.raises(TypeError):
        fragments.connection_manager(compile_text(LONGEST, "routes.yaml"))
