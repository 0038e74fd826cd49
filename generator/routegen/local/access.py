"""Envoy's access log, and each of its entries as one line for people."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import click


@dataclass(frozen=True, slots=True)
class Access:
    """One request and what became of it."""

    request_id: str
    time: str
    """As Envoy writes it: ``2026-11-22T06:50:12.345Z``."""
    method: str
    path: str
    """Without its query."""
    status: int
    backend: str | None
    rule: str | None
    reject: str | None
    """The code of the router's refusal."""
    duration_ms: int
    flags: str | None
    """Envoy's own reason for a failure, such as ``UF``; ``None`` where there was none."""

    @classmethod
    def read(cls, line: str) -> Self | None:
        """One line of the log; ``None`` where it isn't an entry."""
        try:
            entry = json.loads(line)
        except ValueError:
            return None
        if not isinstance(entry, dict) or not entry.keys() >= {"time", "status"}:
            return None
        flags = entry.get("flags")
        return cls(
            request_id=entry.get("request_id") or "",
            time=entry["time"],
            method=entry.get("method") or "-",
            path=entry.get("path") or "-",
            status=entry["status"] or 0,
            backend=entry.get("backend"),
            rule=entry.get("rule"),
            reject=entry.get("reject"),
            duration_ms=entry.get("duration_ms") or 0,
            flags=None if flags in {None, "-"} else flags,
        )

    def __str__(self) -> str:
        """Local time, request, status, where it went and why, milliseconds."""
        clock = f"{datetime.fromisoformat(self.time).astimezone():%H:%M:%S}"
        if self.backend is not None:
            went = f"→ {click.style(self.backend, bold=True)} by {self.rule}" if self.rule else f"→ {self.backend}"
        else:
            went = click.style(f"✗ {self.reject}", fg="red") if self.reject else ""
        flags = f" [{self.flags}]" if self.flags else ""
        status = click.style(str(self.status), fg=_colour(self.status))
        return f"{clock}  {self.method:<4} {self.path:<24} {status}  {went}{flags}  {self.duration_ms} ms"


def _colour(status: int) -> str:
    return "red" if status >= 500 or status == 0 else "yellow" if status >= 400 else "green"  # noqa: PLR2004 - HTTP
