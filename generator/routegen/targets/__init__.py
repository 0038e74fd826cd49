"""Targets: the gateways that output is rendered for, by name. Each turns a plan into documents."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from routegen.targets.target import Capabilities, Output, Rendered, Target

__all__ = ["TARGETS", "Capabilities", "Output", "Rendered", "Target", "find"]

TARGETS: Final[Mapping[str, str]] = {
    "envoy": "routegen.targets.envoy:Envoy",
    "envoy-gateway": "routegen.targets.envoy_gateway:EnvoyGateway",
}
"""A target's name -> its class, as ``module:name``."""


def find(name: str) -> Target:
    """The target called ``name``.

    :raises KeyError: there is none.
    """
    module, _, attribute = TARGETS[name].partition(":")
    made = getattr(import_module(module), attribute)()
    assert isinstance(made, Target)
    return made
