"""What a new rule must not forget: its place in the table, its tests, and its words."""

from __future__ import annotations

from pathlib import Path
from pkgutil import iter_modules

import msgspec
import pytest

from routegen.spec.rules import model
from routegen_router import rules
from routegen_router.rules import BUILT_IN, Rule
from routegen_router.rules.describe import forms

HELPERS = {"rule", "describe", "table"}
"""Modules of the package that hold no rule."""
MODULES = {module.name for module in iter_modules(rules.__path__)} - HELPERS


def test_each_module_holds_one_rule_of_the_table() -> None:
    assert sorted(rule.__module__.rpartition(".")[2] for rule in BUILT_IN) == sorted(MODULES)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_each_rule_has_tests_of_its_own(module: str) -> None:
    assert (Path(__file__).parent / f"test_{module}.py").is_file()


@pytest.mark.parametrize("rule", BUILT_IN, ids=lambda rule: rule.__name__)
def test_a_rule_says_how_it_is_written_and_can_be(rule: type[Rule]) -> None:
    for form in forms(rule):
        assert form.sentence.endswith(".")
        assert all(field.says.endswith(".") for field in (form.value, *form.options))
        assert model(form).model_fields


@pytest.mark.parametrize("rule", BUILT_IN, ids=lambda rule: rule.__name__)
def test_a_rule_is_frozen_and_strict_and_does_something(rule: type[Rule]) -> None:
    config = rule.__struct_config__
    assert (config.frozen, config.forbid_unknown_fields, config.tag_field) == (True, True, "kind")
    assert rule.choose is not Rule.choose


def test_no_verb_and_no_tag_stands_twice() -> None:
    verbs = [form.verb.key for rule in BUILT_IN for form in forms(rule)]
    tags = [msgspec.inspect.type_info(rule).tag for rule in BUILT_IN]  # type: ignore[attr-defined]  # all are structs
    assert len(set(verbs)) == len(verbs)
    assert len(set(tags)) == len(tags)
