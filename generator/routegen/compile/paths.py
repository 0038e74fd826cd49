"""What the gateway lets through: paths that are read or pass unread, the routing header, the largest body."""

from __future__ import annotations

from routegen.common.positions import Path
from routegen.compile.names import Findings
from routegen.compile.units import size
from routegen.plan import MODELS_PATH, Passthrough
from routegen.spec.models import Spec

_LARGEST_BODY = "1Gi"
"""gRPC messages end at 2 GiB, and a body of this size is no prompt."""
_STANDARD_HEADERS = frozenset(
    {
        "accept",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-request-id",
    }
)
_RESERVED = ("proxy-", "sec-", "x-envoy-", "x-forwarded-")
"""Beginnings of header names that browsers, proxies or Envoy itself set and remove."""


def compile_routing_header(spec: Spec, findings: Findings) -> str:
    """The routing header, in lower case."""
    header = spec.routing_header.lower()
    if header in _STANDARD_HEADERS or header.startswith(_RESERVED):
        findings.add(("spec", "routingHeader"), f'"{header}" has a meaning of its own; use another, such as x-engine')
    return header


def compile_paths(spec: Spec, findings: Findings) -> tuple[str, ...]:
    """The paths whose bodies the router reads."""
    findings.no_twins(("spec", "paths"), spec.paths)
    for index, path in enumerate(spec.paths):
        if "*" in path:
            findings.add(("spec", "paths", index), f'"{path}" must be an exact path, without "*"')
    return served_paths(spec)


def served_paths(spec: Spec) -> tuple[str, ...]:
    """The paths that are read: the file's, or of the default those that no passthrough entry names."""
    if "paths" in spec.model_fields_set:
        return tuple(spec.paths)
    named = {entry.path for entry in spec.passthrough if entry.method == "POST"}
    return tuple(path for path in spec.paths if path not in named)


def compile_max_body_bytes(spec: Spec, findings: Findings) -> int:
    """The largest body."""
    if size(spec.max_body_bytes) > size(_LARGEST_BODY):
        findings.add(("spec", "maxBodyBytes"), f"must be at most {_LARGEST_BODY}, not {spec.max_body_bytes}")
    return size(spec.max_body_bytes)


def compile_passthrough(spec: Spec, findings: Findings) -> tuple[Passthrough, ...]:
    """What reaches an engine unread."""
    first: dict[tuple[str, str], int] = {}
    opened = tuple(Passthrough(entry.path, entry.method, entry.backend) for entry in spec.passthrough)
    for index, entry in enumerate(opened):
        path: Path = ("spec", "passthrough", index)
        findings.one_backend((*path, "backend"), entry.backend)
        _check_passthrough_path(entry, (*path, "path"), spec, findings)
        other = first.setdefault((entry.path, entry.method), index)
        if other != index:
            findings.add(path, f"{entry.method} {entry.path} is also passthrough[{other}]")
    return opened


def _check_passthrough_path(entry: Passthrough, path: Path, spec: Spec, findings: Findings) -> None:
    if "*" in entry.path.removesuffix("/*"):
        findings.add(path, f'"{entry.path}" may have "*" only as its end, as in "/tokenize/*"')
    read = [served for served in served_paths(spec) if entry.method == "POST" and entry.takes(served)]
    if read:
        findings.add(path, f"would let these past the router, which is to read them: {', '.join(read)}")
    if entry.method == "GET" and (entry.takes(MODELS_PATH) or entry.path.startswith(f"{MODELS_PATH}/")):
        findings.add(path, "would hide GET /v1/models, which the router answers for all engines")
