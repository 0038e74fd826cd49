"""The checker of Kubernetes objects, checked itself: good ones pass, each kind of bad one is refused for its reason."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from support.crd_rules import broken_rules
from support.crd_schema import with_defaults
from support.crds import problems

GOOD: dict[str, Any] = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {"name": "chat", "namespace": "inference", "labels": {"app": "x"}},
    "spec": {
        "parentRefs": [{"name": "gateway", "namespace": "inference"}],
        "rules": [
            {
                "matches": [{"path": {"type": "Exact", "value": "/v1/chat"}, "headers": [{"name": "a", "value": "b"}]}],
                "timeouts": {"request": "0s"},
                "backendRefs": [{"name": "engine", "port": 8000}],
            }
        ],
    },
}
POLICY: dict[str, Any] = {
    "apiVersion": "gateway.envoyproxy.io/v1alpha1",
    "kind": "ClientTrafficPolicy",
    "metadata": {"name": "clients", "namespace": "inference"},
    "spec": {
        "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gateway"}],
        "connection": {"bufferLimit": "32Mi"},
    },
}
SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "router", "namespace": "inference"},
    "spec": {"ports": [{"name": "grpc", "port": 50051, "targetPort": "grpc"}]},
}


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with another value at ``path``, such as ``spec.rules.0.name``."""
    copy = deepcopy(document)
    *parents, last = path.split(".")
    place: Any = copy
    for part in parents:
        place = place[int(part)] if part.isdigit() else place[part]
    place[int(last) if last.isdigit() else last] = value
    return copy


@pytest.mark.parametrize("document", [GOOD, POLICY, SERVICE], ids=lambda document: document["kind"])
def test_a_good_object_passes(document: dict[str, Any]) -> None:
    assert problems(document) == []


RULE = "spec.rules.0"


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (f"{RULE}.matchs", [], "'matchs' was unexpected"),
        (f"{RULE}.timeouts.request", "1.5s", "'1.5s' does not match"),
        (f"{RULE}.backendRefs.0.port", "8000", "'8000' is not of type 'integer'"),
        (f"{RULE}.backendRefs.0.port", 0, "0 is less than the minimum of 1"),
        (f"{RULE}.matches.0.method", "post", "'post' is not one of"),
        ("spec.rules", [], "[] should be non-empty"),
        ("spec.rules", [{}] * 17, "is too long"),
        ("metadata.name", "No_Label", "'No_Label' does not match"),
        ("metadata.labels.app", "x" * 64, "is too long"),
        (
            f"{RULE}.matches.0.headers",
            [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}],
            "duplicate value ['a']",
        ),
    ],
)
def test_a_wrong_shape_is_refused(path: str, value: Any, reason: str) -> None:
    assert reason in "\n".join(problems(changed(GOOD, path, value)))


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (f"{RULE}.matches.0.path.value", "v1/chat", "value must be an absolute path"),
        (f"{RULE}.matches.0.path.value", "/v1//chat", "must not contain '//'"),
        (f"{RULE}.timeouts", {"request": "1s", "backendRequest": "2s"}, "backendRequest timeout cannot be longer"),
        (f"{RULE}.backendRefs.0", {"name": "engine"}, "Must have port for Service reference"),
        (f"{RULE}.filters", [{"type": "RequestRedirect"}], "filter.requestRedirect must be specified"),
        (
            "spec.rules",
            [{"matches": [{"path": {"type": "Exact", "value": "/x"}}] * 64}] * 3,
            "total number of matches across all rules",
        ),
        (
            # `namespace` is a word of CEL: rules know it as `__namespace__`.
            "spec.parentRefs",
            [{"name": "g", "namespace": "n"}, {"name": "g", "namespace": "n"}],
            "sectionName must be unique",
        ),
    ],
)
def test_a_broken_cel_rule_is_refused(path: str, value: Any, reason: str) -> None:
    assert reason in "\n".join(problems(changed(GOOD, path, value)))


@pytest.mark.parametrize("size", ["1.5Mi", "0Mi", True])
def test_a_quantity_out_of_its_pattern_is_refused(size: Any) -> None:
    assert problems(changed(POLICY, "spec.connection.bufferLimit", size)) != []


def test_a_quantity_may_be_a_number() -> None:
    assert problems(changed(POLICY, "spec.connection.bufferLimit", 32768)) == []


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("quantity(self).isGreaterThan(quantity('1Ki'))", "1025"),
        ("quantity(self).isLessThan(quantity('1k'))", "999900m"),
        ("!quantity(self).isLessThan(quantity('1Mi'))", "1024Ki"),
        ("self.split('/')[1] == 'b'", "a/b"),
        ("self.upperAscii() == 'POST'", "post"),
        ("self.indexOf('*') == 1 && self.lastIndexOf('*') == 2", "a**"),
    ],
)
def test_kubernetes_own_cel_functions_are_known(rule: str, value: str) -> None:
    assert list(broken_rules(value, {"x-kubernetes-validations": [{"rule": rule, "message": "no"}]})) == []
    assert list(broken_rules(value, {"x-kubernetes-validations": [{"rule": f"!({rule})", "message": "no"}]})) == [
        ": no"
    ]


def test_fields_that_cel_cannot_spell_are_escaped() -> None:
    rule = "self.__in__ == 1 && self.a__dash__b == 2 && self.c__dot__d == 3 && self.e__underscores__f == 4"
    schema = {
        "properties": {key: {"type": "integer"} for key in ("in", "a-b", "c.d", "e__f")},
        "x-kubernetes-validations": [{"rule": rule, "message": "no"}],
    }
    assert list(broken_rules({"in": 1, "a-b": 2, "c.d": 3, "e__f": 4}, schema)) == []


def test_a_rule_that_cannot_be_evaluated_refuses_the_object() -> None:
    schema = {"x-kubernetes-validations": [{"rule": "self.missing == 1", "message": "no"}]}
    assert len(list(broken_rules({}, schema))) == 1


def test_a_rule_on_updates_is_left_out() -> None:
    schema = {"x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "is immutable"}]}
    assert list(broken_rules("x", schema)) == []


def test_rules_see_defaults() -> None:
    schema = {
        "type": "object",
        "properties": {"kind": {"type": "string", "default": "Service"}},
        "x-kubernetes-validations": [{"rule": "self.kind == 'Service'", "message": "no"}],
    }
    assert list(broken_rules(with_defaults({}, schema), schema)) == []


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("spec.ports.0.prot", 1, ".spec.ports[0].prot: unknown field"),
        ("spec.ports.0.port", "50051", "Input should be a valid integer"),
        ("spec.selector", [], "Input should be a valid dict"),
        ("metadata.name", "Router", "'Router' does not match"),
    ],
)
def test_a_bad_built_in_object_is_refused(path: str, value: Any, reason: str) -> None:
    assert reason in "\n".join(problems(changed(SERVICE, path, value)))


def test_an_unknown_kind_is_refused() -> None:
    assert problems(changed(GOOD, "kind", "HTTPRout")) == ["no definition of HTTPRout in gateway.networking.k8s.io/v1"]


def test_a_version_that_is_not_served_is_refused() -> None:
    assert problems(changed(GOOD, "apiVersion", "gateway.networking.k8s.io/v1alpha2")) != []


def test_missing_definitions_fail_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROUTEGEN_CRDS", raising=False)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="set ROUTEGEN_CRDS"):
        problems(GOOD)


def test_missing_definitions_skip_elsewhere_and_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROUTEGEN_CRDS", raising=False)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"docs/development.md"):
        problems(GOOD)
