"""Copies of requests: in the plan, in the explanation of a request, and what their memory is."""

from __future__ import annotations

import json
import re

import pytest

from routegen.common.problems import Problem
from routegen.compile import compile_text
from routegen.emit.envoy import mirrors
from routegen.explain import knowledge
from routegen.explain.gateway import Request
from routegen.explain.report import Report, checked_config, explain
from routegen.explain.text import as_json, as_text
from routegen.plan import Mirror

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: mirrored}
spec:
  gateway: {target: envoy, memory: MEMORY}
  passthrough: [{path: /pooling, method: POST, backend: a}]
  byHeaders: [{path: /unread, method: POST}]
  backends:
    a: {endpoints: ["127.0.0.1:1"], models: [m], mirror: {to: b, percent: 2.5, timeout: 1m30s}}
    b: {endpoints: ["127.0.0.1:2"], models: [m], mirror: {to: a, atOnce: 2}}
    c: {endpoints: ["127.0.0.1:3"], models: [m]}
  rules: [{body: to}, {header: x-to}, {reject: Name one.}]
"""
PLAN = compile_text(ROUTES.replace("MEMORY", "4Gi"), "routes.yaml")


def told(backend: str, path: str = "/v1/chat/completions") -> Report:
    request = Request("POST", path, (("x-to", backend),), b'{"model": "m"}')
    return explain(PLAN, knowledge.static(checked_config(PLAN)), request, lambda: 0.0)


def test_the_plan_has_them_with_every_default() -> None:
    assert [backend.mirror for backend in PLAN.backends] == [
        Mirror("b", 2.5, 8, 90.0),
        Mirror("a", 100.0, 2, 600.0),
        None,
    ]


def test_an_explanation_says_where_a_copy_goes() -> None:
    assert "\na copy      for b: of 2.5 % of such requests, its answer is thrown away\n" in as_text(told("a"))
    assert "\na copy      for a: always, its answer is thrown away\n" in as_text(told("b"))
    assert json.loads(as_json(told("a")))["copy"] == {"to": "b", "percent": 2.5, "at_once": 8, "timeout": 90.0}


@pytest.mark.parametrize(
    ("backend", "path"),
    [("c", "/v1/chat/completions"), ("a", "/pooling"), ("a", "/unread"), ("nobody", "/v1/chat/completions")],
)
def test_what_is_not_copied_is_not_said_to_be(backend: str, path: str) -> None:
    report = told(backend, path)
    assert report.copy is None
    assert "a copy" not in as_text(report)


@pytest.mark.parametrize(("memory", "noted"), [("2Gi", True), ("2367Mi", True), ("2368Mi", False), ("4Gi", False)])
def test_too_little_memory_for_copies_that_nobody_reads_is_noted(memory: str, noted: bool) -> None:
    """8 times 256 MiB in flight, and 10 copies of 32 MiB."""
    notices: list[Problem] = []
    compile_text(ROUTES.replace("MEMORY", memory), "routes.yaml", notices=notices)
    found = [notice for notice in notices if notice.path == "$.spec.gateway.memory"]
    assert [("320Mi" in one.message, "2368Mi" in one.message) for one in found] == [(True, True)] * noted


@pytest.mark.parametrize(
    ("name", "credential"),
    [
        ("authorization", True),
        ("proxy-authorization", True),
        ("cookie", True),
        ("x-api-key", True),
        ("api_key", True),
        ("x-amz-security-token", True),
        ("x-goog-iap-jwt-assertion", True),
        ("x-forwarded-client-cert", True),
        (":authority", False),
        (":path", False),
        ("content-type", False),
        ("content-length", False),
        ("accept", False),
        ("x-request-id", False),
        ("user-agent", False),
        ("x-tenant", False),
    ],
)
def test_credentials_are_told_by_their_headers_names(name: str, credential: bool) -> None:
    assert (re.fullmatch(mirrors.CREDENTIALS, name) is not None) == credential
