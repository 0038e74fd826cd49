"""Small routes.yaml files as text, compiled; each must also be valid for editors."""

from __future__ import annotations

from functools import cache

from jsonschema import Draft202012Validator

from routegen.common.positions import read_documents
from routegen.compile import compile_text
from routegen.plan import Plan
from routegen.spec.schema import json_schema
from routegen_router.rules import Rule

TWO = "a: {endpoints: [10.0.0.1:80]}, b: {endpoints: [10.0.0.2:80]}"


def plan(spec: str, *, backends: str = TWO, deployed: bool = True) -> Plan:
    """The plan of a small file.

    :param spec: further lines of ``spec``.
    :param backends: what stands within the braces of ``backends``.
    :param deployed: as for :func:`routegen.compile.compile_text`.
    """
    head = "apiVersion: routegen/v1alpha1\nkind: InferenceRoutes\nmetadata: {name: demo, namespace: ns}\n"
    text = f"{head}spec:\n  backends: {{{backends}}}\n{spec}"
    _validator().validate(read_documents(text, "routes.yaml")[0][0].value)
    return compile_text(text, "routes.yaml", deployed=deployed)


def rule(text: str) -> Rule:
    """The one rule that ``text`` writes, over the backends a and b."""
    (found,) = plan(f"  rules:\n    - {text}\n").rules
    return found


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json_schema())
