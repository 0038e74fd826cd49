"""An explanation for people, and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from routegen.explain.knowledge import BackendKnowledge
from routegen.explain.report import PASSTHROUGH, Report

_MODELS_SHOWN: Final = 4
_MINUTE, _HOUR = 60, 3600


def as_json(report: Report) -> str:
    """The report as one JSON object: the fields of :class:`~routegen.explain.report.Report`."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


def as_text(report: Report) -> str:
    """The report as lines: request, registry, rules, decision, reply."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield f"request     {report.method} {report.path}"
    yield f"registry    {report.origin}"
    yield from _table([_backend(backend) for backend in report.registry])
    if report.steps:
        yield f"candidates  {', '.join(report.candidates) or 'none'}"
        yield "rules"
        yield from _table(
            [(step.rule, step.outcome, step.why) for step in report.steps]
            + [(rule, "not reached", "") for rule in report.not_reached]
        )
    yield f"decision    {_decision(report)}"
    if len(report.shares) > 1:
        yield f"            the choice is random: {_percent(report.shares)}; another request like this may go elsewhere"
    if report.changes:
        yield f"engine gets the body {'; '.join(report.changes)}"
    if report.copy is not None:
        yield f"a copy      for {report.copy.to}: {_often(report.copy.percent)}, its answer is thrown away"
    yield f"client gets {_reply(report)}"
    if report.reply.body is not None:
        yield "            " + json.dumps(report.reply.body, ensure_ascii=False)


def _backend(known: BackendKnowledge) -> tuple[str, str, str, str]:
    shown = ", ".join(known.models[:_MODELS_SHOWN])
    more = len(known.models) - _MODELS_SHOWN
    models = f"{shown} and {more} more" if more > 0 else shown
    return known.name, f"owner {known.owner or 'unknown'}", models or "no models known", _source(known)


def _source(known: BackendKnowledge) -> str:
    """Where the knowledge of one backend comes from, and how old it is."""
    if known.source == "static":
        return "from routes.yaml"
    if known.source == "none":
        told = f"has told no models: {known.error}" if known.error else "not asked"
        return f"from routes.yaml; {told}" if known.models else told
    age = f"told {_age(known.age_seconds or 0)} ago"
    return age if known.alive else f"{age}; no longer answers ({known.error or 'polls fail'})"


def _decision(report: Report) -> str:
    if report.rule == PASSTHROUGH:
        return f"{report.backend}, unread: spec.passthrough takes it past the router"
    if report.backend is not None:
        otherwise = f"; if it refuses the connection, {report.second}" if report.second else ""
        return f"{report.backend}, by {report.rule}{otherwise}"
    if report.code is None:
        return "answered by the router"
    return f"refused: {report.code}" + (f", by {report.rule}" if report.rule else "")


def _reply(report: Report) -> str:
    headers = ", ".join(f"{name}: {value}" for name, value in report.reply.headers.items())
    if report.reply.status is None:
        return f"the engine's answer, with {headers}"
    return f"{report.reply.status} {HTTPStatus(report.reply.status).phrase} ({headers})"


def _often(percent: float) -> str:
    return "always" if percent == 100 else f"of {percent:.7g} % of such requests"  # noqa: PLR2004 - all of a hundred


def _percent(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share * 100:.4g} %" for name, share in shares.items())


def _age(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds < _HOUR else f"{seconds / _HOUR:.1f} h"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows in columns, two spaces apart."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
