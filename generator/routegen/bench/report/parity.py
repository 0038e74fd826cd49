"""Whether the arms did the same work: what each says of itself, what was counted, what their manifests show. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from routegen.bench.analysis import Analysis
from routegen.bench.design import Finding

State = Literal["same", "different", "unknown"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that has to be alike."""

    what: str
    values: dict[str, str]
    """Arm -> value, as people read it; an arm that doesn't tell is left out."""
    state: State
    """``unknown`` where an arm doesn't tell."""


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """How alike the arms were."""

    rows: tuple[Row, ...]
    audited: bool
    """Whether manifests were given; without them there are no findings because nobody looked."""
    findings: tuple[Finding, ...] = ()


def parity(analysis: Analysis) -> Parity:
    """The table, with what the audit found."""
    audit = analysis.run.audit
    return Parity(rows=tuple(_rows(analysis)), audited=audit is not None, findings=audit or ())


def _rows(analysis: Analysis) -> Iterator[Row]:
    arms = {result.arm.name: result for result in analysis.arms}
    yield _alike("model", {name: result.arm.model for name, result in arms.items()})
    yield _alike("longest sequence", {name: _tokens(result.arm.max_length) for name, result in arms.items()})
    prompts = {name: _tokens(result.tokens.prompt) for name, result in arms.items()}
    yield Row(what="prompt (median)", values=_known(prompts), state=_checked(analysis, "prompt-tokens"))
    answers = {name: _tokens(result.tokens.completion) for name, result in arms.items()}
    yield Row(what="answer (median)", values=_known(answers), state=_checked(analysis, "completion-tokens"))
    yield _alike("cached (median)", {name: _tokens(result.tokens.cached) for name, result in arms.items()})


def _alike(what: str, values: Mapping[str, str | None]) -> Row:
    known = _known(values)
    if len(set(known.values())) > 1:
        return Row(what=what, values=known, state="different")
    return Row(what=what, values=known, state="same" if len(known) == len(values) else "unknown")


def _checked(analysis: Analysis, check: str) -> State:
    """What the check found over all pairs of requests; equal medians alone would prove little."""
    levels = {found.level for found in analysis.checks if found.id == check}
    if levels & {"fail", "note"}:
        return "different"
    return "same" if levels == {"ok"} else "unknown"


def _known(values: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _tokens(count: float | None) -> str | None:
    return None if count is None else f"{count:g} tokens"
