"""Every verb and whose it is: the built-in ones and those of plugins; a plugin is loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from routegen_router.plugins import RULES, Plugin, PluginError, claimed_by, installed

from .describe import Form, forms
from .lookup import Lookup
from .prefer import Prefer
from .reject import NoRoute
from .rule import Rule
from .split import Split

BUILT_IN: Final[tuple[type[Rule], ...]] = (Lookup, Prefer, Split, NoRoute)
OURS: Final = "routegen"
"""The distribution of the built-in rules."""
KINDS: Final[Mapping[str, type[Rule]]] = {str(rule.__struct_config__.tag): rule for rule in BUILT_IN}
"""``kind`` in the router's configuration -> the built-in rule."""
FORMS: Final[Mapping[str, Form]] = {form.verb.key: form for rule in BUILT_IN for form in forms(rule)}
"""Verb -> how it is written, of the built-in rules."""
RESERVED: Final = frozenset(Rule.__struct_fields__)
"""The keys that every rule has."""


KEYS: Final = RESERVED | {option.key for form in FORMS.values() for option in form.options}
"""The keys that built-in rules have, verbs aside: none can be a verb."""


@dataclass(frozen=True, slots=True)
class Table:
    """The verbs that can be used here."""

    plugins: Mapping[str, tuple[Plugin, ...]]

    @property
    def verbs(self) -> tuple[str, ...]:
        """All of them, the built-in ones first."""
        return (*FORMS, *(name for name in self.plugins if name not in FORMS and name not in KEYS))

    def owners(self, verb: str) -> list[str]:
        """The distributions that claim a verb: more than one is an error."""
        return [OURS] * (verb in FORMS) + [plugin.distribution for plugin in self.plugins.get(verb, ())]

    def form(self, verb: str) -> Form:
        """How a verb is written; loads the plugin that brings it.

        :raises PluginError: several claim it, or what is behind it is no rule.
        :raises KeyError: nobody brings it.
        """
        owners = self.owners(verb)
        if len(owners) > 1:
            raise PluginError(claimed_by(verb, owners))
        if verb in FORMS:
            return FORMS[verb]
        return _form(self.plugins[verb][0])


@cache
def _form(plugin: Plugin) -> Form:
    """A plugin's own form, checked.

    :raises PluginError: it is no rule, or says nothing of how it is written.
    """
    rule = plugin.load()
    where = f"{plugin.reference} of {plugin.distribution}"
    if not (isinstance(rule, type) and issubclass(rule, Rule) and rule is not Rule):
        raise PluginError(f"{where} is no rule: it must be a subclass of routegen_router.rules.Rule")
    config = rule.__struct_config__
    if not (config.frozen and config.forbid_unknown_fields and config.tag == plugin.name):
        raise PluginError(
            f'{where} must be declared with frozen=True, forbid_unknown_fields=True, kw_only=True, tag="{plugin.name}"'
        )
    try:
        written = {form.verb.key: form for form in forms(rule)}
    except (TypeError, NameError) as error:
        raise PluginError(f"{where} doesn't say how it is written: {error}") from error
    if list(written) != [plugin.name]:
        raise PluginError(f'{where} is written with {", ".join(written)}; its entry point says "{plugin.name}"')
    form = written[plugin.name]
    if plugin.name in KEYS:
        raise PluginError(f'{where}: "{plugin.name}" is a key that rules have, and can\'t be a verb')
    clash = sorted({option.key for option in form.options} & (FORMS.keys() | RESERVED))
    if clash:
        raise PluginError(f'{where}: its key "{clash[0]}" is a verb, or a key that every rule has')
    return form


def table() -> Table:
    """What is installed now."""
    return Table(installed(RULES))


def distributions(rules: Collection[Rule]) -> tuple[str, ...]:
    """The distributions, sorted, that a router needs for ``rules``, routegen's own aside."""
    kinds = {str(rule.__struct_config__.tag) for rule in rules} - KINDS.keys()
    if not kinds:
        return ()
    found = table()
    return tuple(sorted({plugin.distribution for kind in kinds for plugin in found.plugins.get(kind, ())}))


def needed(kinds: Collection[str], requires: Collection[str]) -> tuple[type[Rule], ...]:
    """The classes of these kinds of rule that aren't built in.

    :param requires: the distributions that may bring them.
    :raises PluginError: one isn't installed, or several claim it.
    """
    if not requires and not set(kinds) - KINDS.keys():
        return ()
    found = table()
    missing = [name for name in requires if name not in _bringing(found)]
    if missing:
        raise PluginError(
            f"needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed here; "
            "the router's image or environment must hold the same plugins as where the file was rendered"
        )
    classes = []
    for kind in sorted(set(kinds) - KINDS.keys()):
        if kind not in found.plugins:
            raise PluginError(f'no rule is called "{kind}", and no distribution in "requires" brings it')
        stranger = [plugin.distribution for plugin in found.plugins[kind] if plugin.distribution not in requires]
        if stranger and len(found.plugins[kind]) == 1:
            raise PluginError(f'the rule "{kind}" is brought by {stranger[0]}, which "requires" doesn\'t name')
        classes.append(found.form(kind).rule)
    return tuple(classes)


def _bringing(found: Table) -> set[str]:
    return {plugin.distribution for plugins in found.plugins.values() for plugin in plugins}
