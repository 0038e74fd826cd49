"""What can be wrong with a chain of rules that is written correctly."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from routegen.common.positions import Path
from routegen.compile import values
from routegen.compile.names import Findings
from routegen.compile.paths import served_paths
from routegen.compile.units import size
from routegen.spec.models import Spec
from routegen.spec.rules import RuleSpec
from routegen_router.rules import Rule
from routegen_router.rules.describe import names
from routegen_router.when import Bounds

_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})


def check_chain(spec: Spec, rules: Sequence[Rule], findings: Findings) -> None:
    """Find dangling names, what a rule itself finds wrong, names given twice, and rules that nothing reaches.

    :param rules: the rules of ``spec``, in order.
    """
    named: dict[str, int] = {}
    end: int | None = None
    bearing = findings.names.bearing
    for index, (written, rule) in enumerate(zip(spec.rules or (), rules, strict=True)):
        path: Path = ("spec", "rules", index)
        for place, name in names(written.FORM, rule):
            findings.name((*path, *place), name)
        for place, sentence in rule.problems(bearing):
            findings.add((*path, *place), sentence)
        _check_headers(written, path, spec, findings)
        _check_when(written, path, spec, findings)
        if rule.name and named.setdefault(rule.name, index) != index:
            findings.add((*path, "name"), f'"{rule.name}" is also the name of rules[{named[rule.name]}]')
        if end is not None:
            findings.add(path, f"can't be reached: rules[{end}] ends the chain for every request")
        elif not rule.when and rule.ends_chain(bearing):
            end = index


def _check_headers(rule: RuleSpec, path: Path, spec: Spec, findings: Findings) -> None:
    """Rules may read any header but those that never reach the router."""
    for where, source in values.sources(rule, path):
        header = source.header
        if header is None:
            continue
        if header.lower() == spec.routing_header.lower():
            findings.add(where, f'"{header}" is the routing header, which the gateway removes from every request')
        if header.lower() in _CREDENTIALS:
            findings.add(
                where,
                f'"{header}" holds credentials, which the router never sees; let authentication set its own header',
            )


def _check_when(rule: RuleSpec, path: Path, spec: Spec, findings: Findings) -> None:
    if rule.when is None:
        return
    when, pattern = rule.when, rule.when.path
    if not (when.header or when.body or when.query) and when.model is None and when.path is None and when.size is None:
        findings.add((*path, "when"), "holds no test; add header, body, query, model, path or size, or remove it")
    if when.size is not None:
        _check_size(values.size_bounds(when.size), (*path, "when", "size"), size(spec.max_body_bytes), findings)
    if pattern is not None and not any(fnmatchcase(served, pattern) for served in served_paths(spec)):
        findings.add((*path, "when", "path"), f'"{pattern}" matches none of the paths: {", ".join(served_paths(spec))}')


def _check_size(bounds: Bounds, path: Path, most: int, findings: Findings) -> None:
    """A body's size is at least 2 (``{}``) and at most ``most``."""
    if bounds == Bounds():
        findings.add(path, "holds no bound; add above, below, atLeast or atMost")
    elif bounds.empty():
        findings.add(path, f"no size is {bounds}")
    elif (bounds.above is not None and bounds.above >= most) or (bounds.at_least or 0) > most:
        findings.add(path, f"no body that is accepted is {bounds} bytes long: maxBodyBytes is {most}")
