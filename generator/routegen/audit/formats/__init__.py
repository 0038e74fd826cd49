"""How a report is printed: one module a format, each with one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from routegen.audit.formats import as_github, as_json, as_junit, as_sarif, as_text
from routegen.audit.report import Report

FORMATS: Final[Mapping[str, Callable[[Report], str]]] = {
    "text": as_text.render,
    "json": as_json.render,
    "sarif": as_sarif.render,
    "junit": as_junit.render,
    "github": as_github.render,
}
"""What ``-o`` takes."""
