"""Targets: the gateways that output is rendered for, by name. Each turns a plan into documents."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from routegen.common.problems import Trouble
from routegen.targets.target import Capabilities, Output, Rendered, Target
from routegen_router.plugins import Plugin, PluginError, claimed_by, installed

__all__ = [
    "GROUP",
    "TARGETS",
    "Capabilities",
    "Output",
    "Rendered",
    "Target",
    "Trouble",
    "find",
    "from_outside",
    "known",
]

GROUP: Final = "routegen.targets"
"""The entry points of other distributions: a target's name -> its :class:`Target` class."""
TARGETS: Final[Mapping[str, str]] = {
    "envoy": "routegen.targets.envoy:Envoy",
    "envoy-gateway": "routegen.targets.envoy_gateway:EnvoyGateway",
    "istio": "routegen.targets.istio:Istio",
}
"""A built-in target's name -> its class, as ``module:name``."""


def from_outside() -> Mapping[str, tuple[Plugin, ...]]:
    """The targets of other distributions: name -> who claims it."""
    return installed(GROUP)


def known() -> tuple[str, ...]:
    """The names of all targets that are here, the built-in ones first."""
    return (*TARGETS, *(name for name in from_outside() if name not in TARGETS))


def find(name: str) -> Target:
    """The target called ``name``; its module is imported only here.

    :raises KeyError: there is none.
    :raises PluginError: several distributions claim it, or what is behind it is no target.
    """
    claims = from_outside().get(name, ())
    owners = ["routegen"] * (name in TARGETS) + [plugin.distribution for plugin in claims]
    if len(owners) > 1:
        raise PluginError(claimed_by(name, owners))
    if not claims:
        module, _, attribute = TARGETS[name].partition(":")
        return _made(getattr(import_module(module), attribute), name, TARGETS[name])
    (plugin,) = claims
    return _made(plugin.load(), name, f"{plugin.reference} of {plugin.distribution}")


def _made(target: object, name: str, where: str) -> Target:
    """One target of this class, which must be called as it is found.

    :raises PluginError: it isn't.
    """
    if not (isinstance(target, type) and issubclass(target, Target)) or target.__abstractmethods__:
        raise PluginError(f"{where} is no target: it must be a subclass of routegen.targets.Target that renders")
    if getattr(target, "name", None) != name or not isinstance(getattr(target, "capabilities", None), Capabilities):
        raise PluginError(f'{where} must have name = "{name}" and its capabilities')
    return target()
