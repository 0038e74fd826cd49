"""The lint's rules, in the order of their ids: each with what it looks for and why that is hardly meant."""

from __future__ import annotations

from typing import Final

from routegen.checks import lint_choosing, lint_reading
from routegen.checks.hits import LintRule

RULES: Final[tuple[LintRule, ...]] = tuple(
    sorted((*lint_reading.CHECKS.rules, *lint_choosing.CHECKS.rules), key=lambda rule: rule.id)
)

assert len({rule.id for rule in RULES}) == len(RULES)
