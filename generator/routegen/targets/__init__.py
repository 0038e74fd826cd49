"""Targets: one module for each gateway that output is rendered for; each turns a plan into documents.

A target's module has ``render(plan) -> Output``. It is imported when it is asked for, because building Envoy's
types takes half a second that nobody else should pay for.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from routegen.plan import Plan
from routegen.problems import UserError

TARGETS: Final[Mapping[str, str]] = {
    "envoy": "routegen.targets.envoy",
    "envoy-gateway": "routegen.targets.envoy_gateway",
}
"""A target's name, as in ``spec.gateway.target`` and ``--target`` -> its module."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One document: a Kubernetes object or a configuration file."""

    kind: str
    """What ``--only`` selects, such as ``HTTPRoute`` or ``router-config``."""
    name: str
    """Unique among the documents of its kind."""
    filename: str
    """Where ``-o DIR`` writes it, relative to DIR; ``.yaml``, or ``.json`` for a program's own file."""
    document: Mapping[str, Any]
    """Plain data, in output order."""
    companion: bool = False
    """True: a file for another program than the other documents'; not on stdout unless ``--only`` names its kind."""


@dataclass(frozen=True, slots=True)
class Output:
    """All that a target makes of a plan."""

    documents: tuple[Rendered, ...]
    """In an order that suits whoever applies them."""
    notices: tuple[str, ...] = ()
    """Sentences that the person who renders has to know; for stderr."""


def render(plan: Plan) -> Output:
    """Make the documents for ``plan``'s target.

    :raises UserError: there is no such target, or the plan has what it can't do.
    """
    target = plan.gateway.target
    if target not in TARGETS:
        raise UserError(f"there is no target {target!r}; known: {', '.join(TARGETS)}")
    output = importlib.import_module(TARGETS[target]).render(plan)
    assert isinstance(output, Output)
    return output
