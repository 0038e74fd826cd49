"""Rules in words: for ``--explain``, and the page in docs/."""

from __future__ import annotations

import textwrap

from routegen.audit.findings import Rule
from routegen.audit.rules import RULES

_WIDTH = 100


def explain(rule: Rule) -> str:
    """One rule, for a terminal."""
    head = f"{rule.id} {rule.title}\n{rule.severity.word}, group: {rule.group}"
    paragraphs = [rule.why, *rule.docs.split("\n\n")]
    return "\n\n".join([head, *(textwrap.fill(text, _WIDTH, break_on_hyphens=False) for text in paragraphs)]) + "\n"


def rules_markdown() -> str:
    """Every rule by group, as the second half of docs/audit.md."""
    lines = [
        f"{len(RULES)} rules. The severity is what a proven case has; what can't be told is at most a warning.",
        "",
    ]
    for group in dict.fromkeys(rule.group for rule in RULES):
        lines += [f"### {group[0].upper()}{group[1:]}", ""]
        for rule in RULES:
            if rule.group == group:
                lines += [f"#### {rule.id} {rule.title}", "", f"*{rule.severity.word}.* {rule.why}", "", rule.docs, ""]
    return "\n".join(lines).rstrip() + "\n"
