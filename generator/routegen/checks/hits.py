"""What a lint rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from routegen.common.positions import Path
from routegen.common.severity import Severity
from routegen.plan import Plan
from routegen_router.config import Config
from routegen_router.models import Known, Snapshot
from routegen_router.rules import Rule
from routegen_router.when import Condition


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that a rule found."""

    path: Path
    """Where in routes.yaml."""
    message: str
    fix: str
    """What would be right, in one sentence."""


@dataclass(frozen=True)
class Routes:
    """A routes.yaml that is valid, as rules of the lint look at it."""

    plan: Plan
    config: Config

    @cached_property
    def view(self) -> Snapshot:
        """What routes.yaml alone says of the engines."""
        return Snapshot(Known(backend) for backend in self.config.backends)

    @cached_property
    def told(self) -> bool:
        """Whether routes.yaml says of every backend which models it serves: none is asked for more."""
        return all(backend.poll is None for backend in self.config.backends)

    @property
    def rules(self) -> Iterator[tuple[Path, Rule]]:
        """Each rule and where it stands."""
        for index, rule in enumerate(self.plan.rules):
            yield ("spec", "rules", index), rule

    @property
    def tests(self) -> Iterator[tuple[Path, Condition]]:
        """Each condition and where it stands."""
        for path, rule in self.rules:
            for test in rule.when:
                where: Path = (*path, "when")
                if test.source is not None:
                    where = (*where, test.source.kind, test.source.param)
                elif test.attribute is not None:
                    where = (*where, test.attribute)
                yield where, test

    @cached_property
    def bearing(self) -> Mapping[str, tuple[str, ...]]:
        """Every name -> the backends that it stands for."""
        return {name: self.view.bearing(name) for name in self.view.bearable}


Check = Callable[[Routes], Iterable[Hit]]
"""Finds every hit of one rule."""


@dataclass(frozen=True, slots=True)
class LintRule:
    """One thing that is legal and almost surely not meant."""

    id: str
    title: str
    severity: Severity
    why: str
    check: Check = field(repr=False)


class Checks:
    """Rules of one kind, each noted where its check stands."""

    def __init__(self) -> None:
        self.rules: list[LintRule] = []

    def rule(self, id_: str, severity: Severity, title: str, why: str) -> Callable[[Check], Check]:
        """Note the check that follows under this id, with its title and why what it finds is hardly meant."""

        def note(check: Check) -> Check:
            self.rules.append(LintRule(id_, title, severity, why, check))
            return check

        return note
