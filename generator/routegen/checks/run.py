"""Runs cases: each request goes through the router's own code, as for ``explain``, and what happens is compared."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath

from routegen.checks.cases import Cases, ExpectCase, RequestCase
from routegen.common.positions import Document, Path
from routegen.common.problems import InputError, Problem
from routegen.common.words import choices
from routegen.explain import knowledge
from routegen.explain.gateway import Request
from routegen.explain.report import Report, checked_config, explain
from routegen.plan import Plan
from routegen_router.config import Config
from routegen_router.models import Answer, offered


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one case."""

    name: str
    file: str
    line: int
    differences: tuple[str, ...]
    """Empty: it passed. Else a sentence for each thing that is not as expected."""
    report: Report

    @property
    def passed(self) -> bool:
        """Whether all was as expected."""
        return not self.differences


def run(plan: Plan, cases: Cases, document: Document) -> tuple[Result, ...]:
    """Run every case of a file.

    :raises InputError: it speaks of backends that there aren't, or of a file that can't be read.
    """
    config = checked_config(plan)
    problems = list(_problems(config, cases, document))
    if problems:
        raise InputError(problems)
    told = {
        backend.name: offered(Answer(dict.fromkeys(engine.models, 0), engine.owned_by, time.time()), backend)
        for backend in config.backends
        if (engine := cases.engines.get(backend.name)) is not None
    }
    folder = FilePath(document.file).parent
    results = []
    for index, case in enumerate(cases.cases):
        known = knowledge.assumed(config, told, case.down)
        line = document.line(("cases", index))
        report = explain(plan, known, _request(plan, case.request, folder, document, index), lambda: 0.0)
        results.append(Result(case.name, document.file, line, tuple(differences(case.expect, report)), report))
    return tuple(results)


def differences(expected: ExpectCase, report: Report) -> Iterator[str]:
    """What is not as expected."""
    if expected.shares is not None:
        yield from _shares(expected.shares, expected.within, report)
    if expected.backend is not None:
        shares = {name: share for name, share in report.shares.items() if share}
        if len(shares) > 1:
            yield f"the choice is random ({_percent(shares)}), not always {expected.backend}"
        elif report.backend != expected.backend:
            yield f"goes to {_where(report)}, not to {expected.backend}"
    if expected.rule is not None and report.rule != expected.rule:
        yield f"decided by {report.rule or 'no rule'}, not by {expected.rule}"
    if expected.code is not None and report.code != expected.code:
        told = f"refused with {report.code}" if report.code else f"not refused, but goes to {_where(report)}"
        yield f"{told}, not refused with {expected.code}"
    if expected.status is not None and report.reply.status != expected.status:
        yield f"the gateway answers {report.reply.status or 'nothing of its own'}, not {expected.status}"


def _shares(expected: dict[str, float], within: float, report: Report) -> Iterator[str]:
    total = sum(expected.values())
    wanted = {name: share / total for name, share in expected.items()}
    got = report.shares or ({report.backend: 1.0} if report.backend else {})
    if not got:
        yield f"goes to {_where(report)}, not to any of {', '.join(wanted)}"
    elif any(abs(got.get(name, 0) - wanted.get(name, 0)) > within + 1e-9 for name in wanted.keys() | got.keys()):
        yield f"the shares are {_percent(got)}, not {_percent(wanted)} (within {within * 100:.4g} %)"


def _where(report: Report) -> str:
    if report.backend is not None:
        return report.backend
    return f"no engine ({report.code})" if report.code else "no engine (the router answers)"


def _percent(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share * 100:.4g} %" for name, share in shares.items())


def _request(plan: Plan, given: RequestCase, folder: FilePath, document: Document, index: int) -> Request:
    if given.body_file is not None:
        try:
            body = (folder / given.body_file).read_bytes()
        except OSError as error:
            where = ("cases", index, "request", "bodyFile")
            raise InputError([document.problem(where, f"can't be read: {error.strerror}")]) from error
    elif given.body_text is not None:
        body = given.body_text.encode()
    elif given.body is not None:
        body = json.dumps(given.body, ensure_ascii=False).encode()
    else:
        body = b"{}" if given.method == "POST" else b""
    path = given.path or plan.paths[0]
    return Request(given.method, path, tuple(given.headers.items()), body)


def _problems(config: Config, cases: Cases, document: Document) -> Iterator[Problem]:
    """Names of engines that there aren't, or of which the router can't know anything."""
    polled = {backend.name: backend.poll is not None for backend in config.backends}
    named: list[tuple[Path, str]] = [(("engines", name), name) for name in cases.engines]
    seen: dict[str, int] = {}
    for index, case in enumerate(cases.cases):
        if seen.setdefault(case.name, index) != index:
            yield document.problem(("cases", index, "name"), f'"{case.name}" is also cases[{seen[case.name]}]')
        named += [(("cases", index, "down", position), name) for position, name in enumerate(case.down)]
        expected = [*(case.expect.shares or ())] + ([case.expect.backend] if case.expect.backend else [])
        for name in expected:
            if name not in polled:
                place = ("shares", name) if case.expect.shares else ("backend",)
                path = ("cases", index, "expect", *place)
                yield document.problem(path, f'unknown backend "{name}"; {choices(name, polled)}')
    for path, name in named:
        if name not in polled:
            yield document.problem(path, f'unknown backend "{name}"; {choices(name, polled)}')
        elif not polled[name]:
            what = "the router doesn't ask it, so all that is known of it is what routes.yaml says"
            yield document.problem(path, f'"{name}": {what}')
