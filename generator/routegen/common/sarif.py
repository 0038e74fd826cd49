"""SARIF 2.1.0 (OASIS), for code scanning: what every report has in common."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from routegen import __version__
from routegen.common.severity import Severity

LEVELS: Final[Mapping[Severity, str]] = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.INFO: "note",
}
_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def log(
    tool: str, rules: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]], properties: Mapping[str, Any]
) -> str:
    """A log of one run.

    :param rules: reportingDescriptors, in the order that ``ruleIndex`` counts.
    :param properties: the run's own; empty: none.
    """
    run: dict[str, Any] = {
        "tool": {"driver": {"name": tool, "version": __version__, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True}],
        "results": results,
    }
    if properties:
        run["properties"] = properties
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def accepted(reason: str) -> dict[str, Any]:
    """What marks a result as suppressed (SARIF, 3.27.23)."""
    return {"suppressions": [{"kind": "inSource", "justification": reason}]}


def place(file: str, line: int) -> dict[str, Any]:
    """A physicalLocation; line 0 is the file as a whole."""
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(file, safe="/._-~")}}
    if line:
        physical["region"] = {"startLine": line}
    return physical
