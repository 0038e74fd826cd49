"""What is decided by headers and query alone: WebSockets, and what has no body, such as a response by its id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from routegen.common.positions import Path
from routegen.compile.names import Findings
from routegen.compile.paths import served_paths
from routegen.plan import MODELS_PATH, READING, Passthrough
from routegen.spec.models import Spec
from routegen_router.config import HEALTH_PATHS
from routegen_router.request import Opened

RESPONSES: Final = "/v1/responses"
"""The Responses API; below it each response by its id."""
_FOLLOW_UPS: Final = tuple(Opened(f"{RESPONSES}/*", method) for method in ("GET", "POST", "DELETE"))


def compile_by_headers(spec: Spec, passthrough: Sequence[Passthrough], findings: Findings) -> tuple[Opened, ...]:
    """The file's own; where it has none, the follow-ups of the Responses API that no passthrough takes."""
    if spec.by_headers is None:
        found = _FOLLOW_UPS if RESPONSES in served_paths(spec) else ()
        return tuple(one for one in found if not any(one.meets(entry) for entry in passthrough))
    opened = tuple(Opened(entry.path, entry.method) for entry in spec.by_headers)
    for index, entry in enumerate(opened):
        path: Path = ("spec", "byHeaders", index)
        _check_path(entry, (*path, "path"), spec, findings)
        for other, one in enumerate(passthrough):
            if entry.meets(one):
                findings.add(path, f"takes some of the requests of passthrough[{other}]; the router is asked, or isn't")
        twin = next((at for at, one in enumerate(opened[:index]) if one.meets(entry)), None)
        if twin is not None:
            findings.add(path, f"takes some of the requests of byHeaders[{twin}]")
    return opened


def _check_path(entry: Opened, path: Path, spec: Spec, findings: Findings) -> None:
    if "*" in entry.path.removesuffix("/*"):
        findings.add(path, f'"{entry.path}" may have "*" only as its end, as in "/v1/responses/*"')
    if entry.method == "POST" and entry.prefix is None and entry.path in served_paths(spec):
        findings.add(path, f'"{entry.path}" is one of the paths whose bodies are read')
    if entry.method == "GET" and (entry.takes(MODELS_PATH) or entry.path.startswith(f"{MODELS_PATH}/")):
        findings.add(path, "would hide GET /v1/models, which the router answers for all engines")
    if entry.method in READING and entry.path in HEALTH_PATHS:
        findings.add(path, f"the router answers {entry.path} itself; a passthrough leads it to an engine")
