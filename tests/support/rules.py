"""Any rule of any kind, made by Hypothesis from the rules' own types: a new kind is in every property test at once."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from routegen_router.request import Source
from routegen_router.rules import BUILT_IN, Rule
from routegen_router.rules.describe import forms
from routegen_router.standing import IS_NAME
from routegen_router.when import Condition

TEXT = st.sampled_from(["fast", "v*", "gold-7"])


def any_rule(
    names: st.SearchStrategy[str], sources: st.SearchStrategy[Source], whens: st.SearchStrategy[tuple[Condition, ...]]
) -> st.SearchStrategy[Rule]:
    """A rule of any kind, called after its kind.

    :param names: what its names may be.
    :param sources: what it may read.
    """
    return st.one_of([_rule(kind, names, sources, whens) for kind in BUILT_IN])


def chains(rules: st.SearchStrategy[Rule], *, least: int = 0, most: int = 5) -> st.SearchStrategy[tuple[Rule, ...]]:
    """Several rules, each with a name of its own."""
    return st.lists(rules, min_size=least, max_size=most).map(
        lambda found: tuple(
            msgspec.structs.replace(rule, name=f"{rule.name}-{index}") for index, rule in enumerate(found)
        )
    )


def _rule(
    kind: type[Rule],
    names: st.SearchStrategy[str],
    sources: st.SearchStrategy[Source],
    whens: st.SearchStrategy[tuple[Condition, ...]],
) -> st.SearchStrategy[Rule]:
    form = forms(kind)[0]
    fields = {field.name: _value(field.kind, names, sources) for field in (form.value, *form.options)}
    return st.builds(kind, name=st.just(kind.__name__), when=whens, **fields)


def _value(kind: Any, names: st.SearchStrategy[str], sources: st.SearchStrategy[Source]) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        if IS_NAME in arguments:
            return names
        meta = next(mark for mark in arguments[1:] if isinstance(mark, msgspec.Meta))
        if arguments[0] is float:
            return st.sampled_from([0, 1, 50.5])
        return _value(arguments[0], names, sources).filter(lambda value: len(value) >= (meta.min_length or 0))
    if origin is tuple and arguments[1:] == (...,):
        return st.lists(_value(arguments[0], names, sources), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*(_value(part, names, sources) for part in arguments))
    if origin is Literal:
        return st.sampled_from(arguments)
    if type(None) in arguments:
        given = [_value(argument, names, sources) for argument in arguments if argument is not type(None)]
        return st.none() | st.one_of(given)
    return {Source: sources, str: TEXT, bool: st.booleans(), int: st.integers(0, 9)}[kind]
