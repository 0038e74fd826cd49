"""What a gateway does with a request before the router is asked, and what it answers itself.

The rules are those of Envoy as routegen sets it up: docs/targets/envoy.md has them, and a test sends the same requests
to both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from routegen.emit.refusals import BAD_REQUEST, NOT_FOUND
from routegen.plan import MODELS_PATH, Passthrough, Plan
from routegen_router.refusals import Reject, too_large


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a client sends it."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Passed:
    """The request goes to ``backend``, unread."""

    backend: str


_HOST: Final = ("host", ":authority")
_IMPOSSIBLE: Final = re.compile(r"[^\x21-\x7e]|#|^[^?]*%00")
"""What can't stand in a path."""
_ESCAPED: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]")
"""RFC 3986, section 2.3: characters that mean the same, escaped or not."""


def arrive(plan: Plan, request: Request) -> Request | Passed | Reject:
    """The request as the router is asked about it, or what becomes of it without the router."""
    path, question, query = request.path.partition("?")
    if _IMPOSSIBLE.search(request.path):
        return BAD_REQUEST
    path = normalised(path)
    if not _serves(plan, request):
        return NOT_FOUND
    forwarded = replace(request, path=path + question + query)
    if is_read(plan, request):
        return too_large(plan.max_body_bytes) if _length(request) > plan.max_body_bytes else forwarded
    if request.method in {"GET", "HEAD"} and (path == MODELS_PATH or path.startswith(f"{MODELS_PATH}/")):
        return forwarded
    for opened in (*plan.by_headers, *plan.passthrough):
        if opened.method == request.method and opened.takes(path):
            return Passed(opened.backend) if isinstance(opened, Passthrough) else forwarded
    return forwarded if (request.method, path) in plan.health_checks else NOT_FOUND


def is_read(plan: Plan, request: Request) -> bool:
    """Whether the router reads the body of such a request."""
    return request.method == "POST" and normalised(request.path.partition("?")[0]) in plan.paths


def normalised(path: str) -> str:
    """The path as it is routed by: dots resolved, repeated slashes merged, needless escapes undone."""

    def plain(escape: re.Match[str]) -> str:
        char = chr(int(escape[1], 16))
        return char if _UNRESERVED.fullmatch(char) else escape[0]

    kept: list[str] = []
    segments = _ESCAPED.sub(plain, path.replace("\\", "/")).split("/")[1:]
    for number, segment in enumerate(segments, 1):
        if segment == ".." and kept:
            kept.pop()
        if segment not in {".", ".."}:
            kept.append(segment)
        elif number == len(segments):
            kept.append("")
    return re.sub("/{2,}", "/", "/" + "/".join(kept))


def _serves(plan: Plan, request: Request) -> bool:
    """Whether the request's host is one of ``gateway.hostnames``, on any port; a request without one is taken so."""
    named = [value for name, value in request.headers if name.lower() in _HOST]
    if not named or not plan.gateway.hostnames:
        return True
    host = re.sub(r":\d+$", "", named[-1].lower())
    return any(
        host.endswith(known[1:]) and len(host) >= len(known) if known.startswith("*.") else host == known
        for known in map(str.lower, plan.gateway.hostnames)
    )


def _length(request: Request) -> int:
    """The body's length, as announced or as it is."""
    announced = [value for name, value in request.headers if name.lower() == "content-length"]
    return max(len(request.body), *(int(value) for value in announced if value.isascii() and value.isdigit()), 0)
