"""What the lint says of what rules read and when they apply."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from routegen.checks.hits import Checks, Hit, Routes
from routegen.common.severity import Severity
from routegen_router.models import is_glob
from routegen_router.request import MODEL
from routegen_router.rules import Lookup, Rule, Split

CHECKS: Final = Checks()
_NEVER_FORWARDED: Final = frozenset({"host", "connection", "transfer-encoding", "upgrade", "te", "keep-alive"})
"""Connection headers and ``host``, which HTTP/2 and Envoy turn into something else (RFC 9113, section 8.2.2)."""


@CHECKS.rule(
    "LINT001", Severity.WARNING, "The same rule twice", "The second one can't change anything that the first did."
)
def _twice(routes: Routes) -> Iterator[Hit]:
    seen: dict[Rule, str] = {}
    for path, rule in routes.rules:
        first = seen.setdefault(_same(rule), rule.name)
        if first != rule.name and not (isinstance(rule, Split) and rule.sticky_by is None):
            yield Hit(path, f"says the same as {first}", "remove it, or change what it was meant to say")


@CHECKS.rule(
    "LINT002", Severity.WARNING, "A value read twice", "What the first rule has refused or taken never gets further."
)
def _read_twice(routes: Routes) -> Iterator[Hit]:
    first: dict[object, Lookup] = {}
    for path, rule in routes.rules:
        if not isinstance(rule, Lookup):
            continue
        before = first.get(rule.source)
        if before is not None and _same(before) != _same(rule) and before.when in ((), rule.when):
            strict = before.on_unknown == "reject"
            if strict:
                message = f"reads {rule.source} again: {before.name} refuses every value that it doesn't know"
                yield Hit(path, message, f"set onUnknown: next at {before.name}, or put both tables into one rule")
        first.setdefault(rule.source, rule)


@CHECKS.rule(
    "LINT003", Severity.WARNING, "A value that an earlier one takes", "The first line of a table that matches wins."
)
def _shadowed(routes: Routes) -> Iterator[Hit]:
    for path, rule in routes.rules:
        if not isinstance(rule, Lookup):
            continue
        earlier: list[str] = []
        for value, _ in rule.values:
            taker = next((one for one in earlier if is_glob(one) and fnmatchcase(value, one)), None)
            if taker is not None:
                yield Hit((*path, "values", value), f'"{taker}" above it takes it', f'move it above "{taker}"')
            earlier.append(value)


@CHECKS.rule(
    "LINT004",
    Severity.INFO,
    "onUnknown beside a value that takes everything",
    "No value is unknown where the table has a line for all.",
)
def _never_unknown(routes: Routes) -> Iterator[Hit]:
    for path, rule in routes.rules:
        if isinstance(rule, Lookup) and rule.on_unknown == "next" and any(value == "*" for value, _ in rule.values):
            yield Hit((*path, "onUnknown"), '"*" takes every value, so none is unknown', 'remove it, or the line "*"')


@CHECKS.rule(
    "LINT005",
    Severity.WARNING,
    "The model read as an engine's name",
    "A model's id names no engine; which engines serve it is known without a rule.",
)
def _model_as_name(routes: Routes) -> Iterator[Hit]:
    for path, rule in routes.rules:
        if isinstance(rule, Lookup) and rule.source.body == MODEL and not rule.values:
            fix = "remove the rule, or give it a table: values: {MODEL: NAME}"
            yield Hit(path, 'takes the value of "model" for the name of an engine', fix)


@CHECKS.rule(
    "LINT006",
    Severity.ERROR,
    "A header that never arrives",
    "Connection headers and host don't reach the router under that name.",
)
def _never_forwarded(routes: Routes) -> Iterator[Hit]:
    for path, rule in routes.rules:
        tested = [test.source for test in rule.when if test.source is not None]
        for source in (*rule.sources(), *tested):
            if source.header in _NEVER_FORWARDED:
                yield Hit(path, f'reads the header "{source.header}", which is always absent', "read another header")


@CHECKS.rule(
    "LINT007",
    Severity.WARNING,
    "A boolean as JSON doesn't write it",
    "Values are compared as JSON writes them: true and false, in lower case.",
)
def _booleans(routes: Routes) -> Iterator[Hit]:
    for path, test in routes.tests:
        wrong = isinstance(test.pattern, str) and test.pattern.lower() in {"true", "false"}
        if test.source is not None and test.source.body and wrong and test.pattern != str(test.pattern).lower():
            yield Hit(path, f'"{test.pattern}" is not how JSON writes it', f"write {str(test.pattern).lower()}")


@CHECKS.rule(
    "LINT008",
    Severity.ERROR,
    "A pattern with blanks at its ends",
    "HTTP strips blanks around a header's value (RFC 9110, section 5.5), so nothing matches.",
)
def _blanks(routes: Routes) -> Iterator[Hit]:
    for path, test in routes.tests:
        text = test.pattern if test.source is not None and test.source.header else None
        if isinstance(text, str) and text != text.strip():
            yield Hit(path, f'no value begins or ends with a blank, as "{text}" does', "remove the blanks")


@CHECKS.rule(
    "LINT009", Severity.INFO, '"*" where presence is meant', "It is true of every text, and not of lists or objects."
)
def _star(routes: Routes) -> Iterator[Hit]:
    for path, test in routes.tests:
        if test.pattern == "*" and test.source is not None:
            yield Hit(path, '"*" asks only whether it is there', "write {present: true}")


@CHECKS.rule("LINT010", Severity.INFO, "A path that is always right", "Every path that is served passes the test.")
def _all_paths(routes: Routes) -> Iterator[Hit]:
    for path, test in routes.tests:
        text = test.pattern if test.attribute == "path" else None
        if isinstance(text, str) and all(fnmatchcase(served, text) for served in routes.plan.paths):
            yield Hit(path, f'all of spec.paths match "{text}"', "remove the test")


@CHECKS.rule("LINT020", Severity.ERROR, "Two tests that exclude each other", "No request passes both.")
def _contradiction(routes: Routes) -> Iterator[Hit]:
    for path, rule in routes.rules:
        exact: dict[object, str] = {}
        for test in rule.when:
            about = "model" if test.source is not None and test.source.body == MODEL else test.attribute or test.source
            if isinstance(test.pattern, str) and not is_glob(test.pattern):
                other = exact.setdefault(about, test.pattern)
                if other != test.pattern:
                    yield Hit(
                        (*path, "when"), f'nothing is "{other}" and "{test.pattern}"', "keep one of the two tests"
                    )


def _same(rule: Rule) -> Rule:
    """The rule without its name, for comparisons."""
    return msgspec.structs.replace(rule, name="")
