"""What rules have in common: comparing two facts, and writing the fix as YAML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from routegen.audit.engine import Engine
from routegen.audit.facts import Fact, compare
from routegen.audit.findings import Hit
from routegen.audit.pairs import Pair


def unequal(pair: Pair, facts: tuple[Fact, Fact], what: str, fix: str) -> Iterator[Hit]:
    """A hit where two facts differ, or where that can't be told.

    Where a whole command can't be read, FAIR073 says so once for everything that it leaves open.
    """
    values = "; ".join(f"{engine.name}: {_brief(fact)}" for (engine, _), fact in zip(pair.each(), facts, strict=True))
    outcome = compare(*facts)
    if outcome == "different":
        yield Hit(f"{what} differs ({values})", facts, fix)
    elif outcome == "unknown" and not any(fact.whole for fact in facts):
        blamed = facts if not facts[0].known else facts[::-1]
        yield Hit(f"cannot tell whether {what} is the same ({values})", blamed, fix, unknown=True)


def in_doubt(fact: Fact, what: str, fix: str) -> Iterator[Hit]:
    """A hit where a rule about one engine can't decide, because of a fact that the input doesn't tell.

    As in :func:`unequal`, FAIR073 speaks where it is the whole command or environment that can't be read.
    """
    if not fact.known and not fact.whole and not fact.token:
        yield Hit(f"cannot tell {what}: {fact.note}", (fact,), fix, unknown=True)


def option_unequal(pair: Pair, name: str, what: str, example: Any = None) -> Iterator[Hit]:
    """A hit where the engines are told different things, or defaults leave that open.

    The fix takes over what one engine is told, or ``example`` where neither is; ``False`` always: leave it out in both.
    """
    facts = pair.option(name)
    stated = [fact.value for fact in facts if fact.state == "set" and example is not False]
    yield from unequal(pair, facts, what, args_yaml(pair, name, stated[0] if stated else example))


def args_yaml(pair: Pair, name: str, value: Any) -> str:
    """Arguments that tell both engines ``value``, as one YAML document each."""
    return "\n---\n".join(_line(engine, argument(engine, name, value)) for engine, _ in pair.each())


def argument(engine: Engine, name: str, value: Any) -> str:
    """One argument as YAML, in the engine's own spelling."""
    option = engine.line.kind.options.get(name) if engine.line.kind else None
    if option is None:
        return f'"--{name.replace("_", "-")}={value}"'
    if isinstance(value, bool):
        flags = option.on if value else option.off
        known = engine.line.kind.options[name].default(engine.version) if engine.line.kind else None
        if flags and not (known is not None and known.value is value):
            return f'"--{flags[0]}"'
        opposite = [*option.flags, *(option.off if value else option.on)]
        return "# without " + ", ".join(f"--{flag}" for flag in opposite)
    own = {common: word for word, common in option.same.items()}
    return f'"{option.spelling}={own.get(value, value) if isinstance(value, str) else value}"'


def _line(engine: Engine, text: str) -> str:
    return f"{text}  # {engine.name}" if text.startswith("#") else f"args: [{text}]  # {engine.name}"


def _brief(fact: Fact) -> str:
    return fact.shown if fact.known else fact.note


def env_yaml(name: str, value: str) -> str:
    """An environment variable, for both containers."""
    return f'env: [{{name: {name}, value: "{value}"}}]  # in both'
