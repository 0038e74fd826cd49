"""By a value of the request: ``body: inference_server``, ``header: x-engine``, ``query: engine``."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from routegen_router import refusals
from routegen_router.request import Source
from routegen_router.standing import Name, Narrow, Outcome, Pass, Refuse, Standing

from .rule import Key, Rule, Verb


class Lookup(Rule, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="lookup"):
    """Narrow to the backends that a value of the request names."""

    source: Annotated[
        Source,
        Verb(
            "body",
            "The field: dotted path (`metadata.engine`) or JSON Pointer.",
            "Keep the backends that a field of the body names.",
            part="body",
        ),
        Verb("header", "The header's name.", "Keep the backends that a request header names.", part="header"),
        Verb("query", "The parameter's name.", "Keep the backends that a parameter of the query names.", part="query"),
    ]
    values: Annotated[
        tuple[tuple[str, Name], ...],
        Key("Value or glob -> name, first match wins; default: the value itself is the name."),
    ] = ()
    on_unknown: Annotated[Literal["reject", "next"], Key("What to do if the value names nothing.")] = "reject"
    on_mismatch: Annotated[
        Literal["reject", "next"],
        Key("What to do if the value names backends, none of which can take the request."),
    ] = "reject"

    def choose(self, standing: Standing) -> Outcome:
        """Refuse what names nothing, or nothing possible, unless it says ``next``; absent values pass."""
        facts, view = standing.facts, standing.view
        value = facts.read(self.source)
        if value is None:
            return Pass(lambda: f"{self.source} is absent")
        name = self._translate(value)
        named = standing.bearing(name) if name is not None else ()
        if not named:
            return self._unknown(value, name, standing)
        left = tuple([name for name in standing.candidates if name in named])
        if left:
            return Narrow(left, lambda: f"{self.source} is {refusals.quote(value)}")
        if facts.model is not None and not all(view.known[name].answered for name in named):
            return Refuse(refusals.registry_incomplete(self.source.param))
        if self.on_mismatch == "next":
            return Pass(lambda: f"{refusals.quote(value)} names no candidate")
        return Refuse(refusals.engine_model_mismatch(value, facts.model, standing.candidates, self.source.param))

    def title(self) -> str:
        """``body:metadata.engine``, ``header:x-engine`` or ``query:engine``."""
        return f"{self.source.kind}:{self.source.param}"

    def _unknown(self, value: str, name: Name | None, standing: Standing) -> Outcome:
        if name is not None and not standing.view.owners_complete:
            return Refuse(refusals.registry_incomplete(self.source.param))
        if self.on_unknown == "next":
            return Pass(lambda: f"{refusals.quote(value)} names nothing")
        allowed = tuple(pattern for pattern, _ in self.values) or standing.view.bearable
        return Refuse(refusals.unknown_value(value, allowed, self.source.param))

    def _translate(self, value: str) -> Name | None:
        """The name that a client's value stands for; ``None`` where the table has no line for it."""
        if not self.values:
            return value
        return next((name for pattern, name in self.values if fnmatchcase(value, pattern)), None)
