"""What can be wrong with a chain of rules that is written correctly."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from routegen.common.positions import Path
from routegen.compile.names import Findings
from routegen.spec.models import Spec
from routegen.spec.rules import BodyRule, HeaderRule, PreferRule, RejectRule, RuleSpec, SplitRule

_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})


def check_chain(spec: Spec, findings: Findings) -> None:
    """Find dangling names, splits that can't work, names given twice, and rules that nothing reaches."""
    names: dict[str, int] = {}
    end: int | None = None
    for index, rule in enumerate(spec.rules or ()):
        path: Path = ("spec", "rules", index)
        _check_use_of_names(rule, path, findings)
        _check_headers(rule, path, spec, findings)
        _check_when(rule, path, spec, findings)
        if rule.name is not None and names.setdefault(rule.name, index) != index:
            findings.add((*path, "name"), f'"{rule.name}" is also the name of rules[{names[rule.name]}]')
        if end is not None:
            findings.add(path, f"can't be reached: rules[{end}] ends the chain for every request")
        elif _ends(rule, findings):
            end = index


def _check_use_of_names(rule: RuleSpec, path: Path, findings: Findings) -> None:
    match rule:
        case BodyRule() | HeaderRule():
            for value, name in rule.values.items():
                findings.name((*path, "values", value), name)
        case PreferRule():
            for position, name in enumerate(rule.prefer):
                findings.name((*path, "prefer", position), name)
        case SplitRule():
            _check_split(rule, (*path, "split"), findings)


def _check_split(rule: SplitRule, path: Path, findings: Findings) -> None:
    counted: dict[str, str] = {}
    for name in rule.split:
        findings.name(path, name)
        for backend in findings.names.bearing.get(name, ()):
            first = counted.setdefault(backend, name)
            if first != name:
                findings.add((*path, name), f'the backend "{backend}" already has a share through "{first}"')
    if not any(rule.split.values()):
        findings.add(path, "needs a weight above 0")


def _ends(rule: RuleSpec, findings: Findings) -> bool:
    """Whether no request gets past the rule; a split lets those pass that none of its backends can take."""
    if rule.when is not None:
        return False
    if isinstance(rule, SplitRule):
        shared = {backend for name, weight in rule.split.items() if weight for backend in _bearing(name, findings)}
        return shared >= set(findings.names.backends)
    return isinstance(rule, RejectRule)


def _bearing(name: str, findings: Findings) -> Sequence[str]:
    return findings.names.bearing.get(name, ())


def _check_headers(rule: RuleSpec, path: Path, spec: Spec, findings: Findings) -> None:
    """Rules may read any header but those that never reach the router."""
    places = [((*path, "when", "header", name), name) for name in (rule.when.header if rule.when else ())]
    if isinstance(rule, HeaderRule):
        places.append(((*path, "header"), rule.header))
    if isinstance(rule, SplitRule) and rule.sticky_by is not None and rule.sticky_by.header is not None:
        places.append(((*path, "stickyBy", "header"), rule.sticky_by.header))
    for where, header in places:
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
    if not (rule.when.header or rule.when.body or rule.when.model is not None or rule.when.path is not None):
        findings.add((*path, "when"), "holds no test; add header, body, model or path, or remove it")
    pattern = rule.when.path
    if pattern is not None and not any(fnmatchcase(served, pattern) for served in spec.paths):
        findings.add((*path, "when", "path"), f'"{pattern}" matches none of the paths: {", ".join(spec.paths)}')
