"""Distributions made in a folder: what an installed package looks like to Python, without building one."""

from __future__ import annotations

import textwrap
from pathlib import Path

PREAMBLE = """\
from typing import Annotated
from msgspec import Meta
from routegen_router.request import Source
from routegen_router.refusals import Reject
from routegen_router.rules import Key, Rule, Verb
from routegen_router.standing import Decide, Name, Narrow, Pass, Refuse
"""


def distribution(
    folder: Path, name: str, entries: dict[str, str], code: str = "", group: str = "routegen.rules"
) -> Path:
    """Put a distribution into ``folder``, which then belongs on ``sys.path``.

    :param entries: its entry points in ``group``: verb or target -> ``module:object``.
    :param code: the text of its module, which is called as the distribution, with ``_`` for ``-``.
    """
    module = name.replace("-", "_")
    folder.mkdir(exist_ok=True)
    (folder / f"{module}.py").write_text(PREAMBLE + textwrap.dedent(code))
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = "".join(f"{verb} = {reference}\n" for verb, reference in entries.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{lines}")
    return folder


def rule(verb: str, choose: str, fields: str = "to: Annotated[tuple[Name, ...], Verb('{verb}', 'Names.')]") -> str:
    """The text of a rule class ``R``; ``choose`` is the body of its method."""
    head = f'class R(Rule, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="{verb}"):\n'
    body = f'    """Try something."""\n    {fields.format(verb=verb)}\n    def choose(self, standing):\n'
    return head + body + textwrap.indent(textwrap.dedent(choose), "        ")
