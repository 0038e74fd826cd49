"""The JSON Schema for editors says what the reader says, as far as a schema can."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from routegen.common.positions import read_documents
from routegen.compile import compile_text
from routegen.spec.schema import json_schema

SCHEMA: Final = json_schema()
EXAMPLES: Final = sorted((Path(__file__).parents[2] / "examples").glob("*/routes.yaml"))
BACKENDS: Final = "backends: {a: {endpoints: [10.0.0.1:80]}}"


def _errors(text: str) -> list[str]:
    (document,), problems = read_documents(text, "routes.yaml")
    assert problems == []
    return [error.json_path for error in Draft202012Validator(SCHEMA).iter_errors(document.value)]


def _spec(text: str) -> str:
    return f"apiVersion: routegen/v1alpha1\nkind: InferenceRoutes\nmetadata: {{name: x}}\nspec: {{{text}}}\n"


def test_it_is_a_valid_schema_that_names_its_draft() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_example_is_valid(path: Path) -> None:
    assert _errors(path.read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        "backends: {a: {llmInferenceService: {name: x, namespace: y}, tls: true, poll: {enabled: false}}}",
        "backends: {a: {endpoints: ['[fd00::7]:80'], tls: {serverName: a.example}}}",
        f"{BACKENDS}, maxBodyBytes: 1048576, router: {{failure: closed, resources: {{limits: {{cpu: 2}}}}}}",
        f"{BACKENDS}, router: {{failure: {{backend: a}}, addresses: ['unix:/run/router', '[::1]:1']}}",
        f"{BACKENDS}, rules: [{{when: {{body: {{n: 1, t: true}}, header: {{x-t: 'g*'}}}}, reject: No.}}]",
    ],
)
def test_every_short_form_is_valid(text: str) -> None:
    assert _errors(_spec(text)) == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (f"{BACKENDS}, maxBodyByte: 1Mi", "$.spec"),
        (f"{BACKENDS}, maxBodyBytes: 32MB", "$.spec.maxBodyBytes"),
        (f"{BACKENDS}, gateway: {{create: no}}", "$.spec.gateway.create"),
        (f"{BACKENDS}, gateway: {{name:}}", "$.spec.gateway.name"),
        (f"{BACKENDS}, router: {{replicas: 0}}", "$.spec.router.replicas"),
        (f"{BACKENDS}, router: {{failure: open}}", "$.spec.router.failure"),
        (f"{BACKENDS}, routingHeader: x_engine", "$.spec.routingHeader"),
        (f"{BACKENDS}, paths: [v1/completions]", "$.spec.paths[0]"),
        (f"{BACKENDS}, rules: [{{splits: {{a: 1}}}}]", "$.spec.rules[0]"),
        (f"{BACKENDS}, rules: [{{body: x, reject: y}}]", "$.spec.rules[0]"),
        (f"{BACKENDS}, rules: [{{body: x, stickyBy: {{header: y}}}}]", "$.spec.rules[0]"),
        (f"{BACKENDS}, rules: [{{split: {{a: -1}}}}]", "$.spec.rules[0]"),
        ("backends: {}", "$.spec.backends"),
        ("paths: [/v1/completions]", "$.spec"),
        ("backends: {a_b: {endpoints: [10.0.0.1:80]}}", "$.spec.backends"),
        ("backends: {a: {ownedBy: vllm}}", "$.spec.backends.a"),
        ("backends: {a: {endpoints: [10.0.0.1:80], llmInferenceService: x}}", "$.spec.backends.a"),
        ("backends: {a: {endpoints: [10.0.0.1]}}", "$.spec.backends.a.endpoints[0]"),
        ("backends: {a: {service: {name: x, port: 80000}}}", "$.spec.backends.a.service.port"),
        ("backends: {a: {endpoints: [10.0.0.1:80], tls: false}}", "$.spec.backends.a.tls"),
    ],
)
def test_a_mistake_is_underlined_where_it_is(text: str, where: str) -> None:
    assert where in _errors(_spec(text))


def test_every_default_can_be_written_out() -> None:
    minimal: dict[str, Any] = {
        "apiVersion": "routegen/v1alpha1",
        "kind": "InferenceRoutes",
        "metadata": {"name": "x"},
        "spec": {"backends": {"a": {"endpoints": ["10.0.0.1:80"]}}},
    }
    full = minimal | {"spec": _defaults(SCHEMA["$defs"]["Spec"]) | minimal["spec"]}
    assert set(full["spec"]["router"]) == {"image", "replicas", "resources", "addresses", "maxInflightBytes", "failure"}
    assert compile_text(json.dumps(full), "full") == compile_text(json.dumps(minimal), "minimal")


def _defaults(definition: dict[str, Any]) -> dict[str, Any]:
    """What a mapping holds if nothing is written."""
    found = {}
    for key, entry in definition["properties"].items():
        if "default" in entry:
            found[key] = entry["default"]
        elif key in definition.get("required", []) or _resolved(entry).get("required"):
            continue  # it stands in every file, or means nothing without a value
        elif "properties" in _resolved(entry):
            found[key] = _defaults(_resolved(entry))
    return found


def test_every_key_is_described() -> None:
    keys = list(_properties(SCHEMA))
    assert len(keys) > 60
    assert [name for name, entry in keys if not (_resolved(entry) | entry).get("description")] == []


def _resolved(entry: dict[str, Any]) -> dict[str, Any]:
    name = str(entry.get("$ref", "")).removeprefix("#/$defs/")
    found = SCHEMA["$defs"].get(name, {})
    assert isinstance(found, dict)
    return found


def _properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for title, definition in [("Routes", schema), *schema["$defs"].items()]:
        for key, entry in definition.get("properties", {}).items():
            yield f"{title}.{key}", entry
