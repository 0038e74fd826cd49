"""The gateway's and the router's parts of the plan."""

from __future__ import annotations

from routegen.compile.names import Findings
from routegen.compile.units import host_port, is_ip, seconds, size
from routegen.plan import Gateway, Listener, ListenerTLS, Models, Passthrough, Router
from routegen.positions import Path
from routegen.spec.models import ListenerSpec, ListenerTLSSpec, Routes, Spec
from routegen.targets import TARGETS

_LARGEST_BODY = 2**30
"""gRPC messages end at 2 GiB, and a body of this size is already no prompt."""
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


def compile_gateway(routes: Routes, target: str, findings: Findings) -> Gateway:
    """The gateway with its listeners."""
    gateway = routes.spec.gateway
    if target not in TARGETS:
        findings.add(("spec", "gateway", "target"), f'there is no target "{target}"; known: {", ".join(TARGETS)}')
    _check_listeners(gateway.listeners, target, findings)
    findings.no_twins(("spec", "gateway", "hostnames"), gateway.hostnames)
    return Gateway(
        target=target,
        name=gateway.name,
        namespace=gateway.namespace or routes.metadata.namespace,
        class_name=gateway.class_name,
        create=gateway.create,
        listeners=tuple(map(_listener, gateway.listeners)),
        hostnames=tuple(gateway.hostnames),
    )


def compile_router(spec: Spec, findings: Findings) -> Router:
    """The router's deployment."""
    router = spec.router
    path: Path = ("spec", "router")
    if router.failure.backend is not None:
        findings.one_backend((*path, "failure", "backend"), router.failure.backend)
    if size(router.max_inflight_bytes) < size(spec.max_body_bytes):
        findings.add(
            (*path, "maxInflightBytes"),
            f"{router.max_inflight_bytes} is less than maxBodyBytes ({spec.max_body_bytes}): that body never fits",
        )
    findings.no_twins((*path, "addresses"), router.addresses)
    if any(address.startswith("unix:") for address in router.addresses) and any(map(_is_dns, router.addresses)):
        findings.add((*path, "addresses"), "unix: addresses can't stand beside DNS names; use IP addresses")
    return Router(
        image=router.image,
        replicas=router.replicas,
        resources=tuple(
            (kind, tuple(amounts.items()))
            for kind, amounts in (("requests", router.resources.requests), ("limits", router.resources.limits))
        ),
        addresses=tuple(router.addresses),
        max_inflight_bytes=size(router.max_inflight_bytes),
        failure_backend=router.failure.backend,
    )


def compile_models(spec: Spec, findings: Findings) -> Models:
    """The model registry's settings."""
    poll = spec.models.poll
    interval, timeout = seconds(poll.interval), seconds(poll.timeout)
    path: Path = ("spec", "models", "poll")
    if timeout <= 0:
        findings.add((*path, "timeout"), "must be more than nothing")
    if interval < timeout:
        findings.add((*path, "interval"), f"{poll.interval} is shorter than timeout ({poll.timeout})")
    return Models(interval, timeout, spec.models.unknown)


def compile_routing(spec: Spec, findings: Findings) -> tuple[str, tuple[str, ...], tuple[Passthrough, ...], int]:
    """The routing header, the paths, what passes through, and the largest body."""
    header = spec.routing_header.lower()
    if header in _STANDARD_HEADERS:
        findings.add(("spec", "routingHeader"), f'"{header}" has a meaning of its own; use a name beginning with "x-"')
    largest = size(spec.max_body_bytes)
    if largest > _LARGEST_BODY:
        findings.add(("spec", "maxBodyBytes"), f"must be at most 1Gi, not {spec.max_body_bytes}")
    findings.no_twins(("spec", "paths"), spec.paths)
    for index, path in enumerate(spec.paths):
        if "*" in path:
            findings.add(("spec", "paths", index), f'"{path}" must be an exact path, without "*"')
    return header, tuple(spec.paths), _passthrough(spec, findings), largest


def _passthrough(spec: Spec, findings: Findings) -> tuple[Passthrough, ...]:
    entries: list[Passthrough] = []
    for index, entry in enumerate(spec.passthrough):
        where: Path = ("spec", "passthrough", index)
        found = Passthrough(entry.path, entry.method, entry.backend)
        findings.one_backend((*where, "backend"), entry.backend)
        if "*" in entry.path.removesuffix("/*"):
            findings.add((*where, "path"), f'"{entry.path}" may have "*" only as its end, as in "/tokenize/*"')
        read = [path for path in spec.paths if entry.method == "POST" and _covers(entry.path, path)]
        if read:
            findings.add((*where, "path"), f"would let these past the router, which is to read them: {', '.join(read)}")
        if entry.method == "GET" and (_covers(entry.path, "/v1/models") or entry.path.startswith("/v1/models/")):
            findings.add((*where, "path"), "would hide GET /v1/models, which the router answers for all engines")
        if any((found.path, found.method) == (other.path, other.method) for other in entries):
            findings.add(where, f"{found.method} {found.path} stands in passthrough twice")
        entries.append(found)
    return tuple(entries)


def _covers(pattern: str, path: str) -> bool:
    """Whether a passthrough path, which ends in ``/*`` for a prefix, takes ``path``."""
    prefix = pattern.removesuffix("/*")
    return path == pattern or (prefix != pattern and (path == prefix or path.startswith(f"{prefix}/")))


def _is_dns(address: str) -> bool:
    return not address.startswith("unix:") and not is_ip(host_port(address)[0])


def _listener(listener: ListenerSpec) -> Listener:
    tls = None
    if listener.tls is not None:
        tls = ListenerTLS(listener.tls.secret_name, listener.tls.cert_file, listener.tls.key_file)
    if listener.address is None:
        return Listener(listener.name, listener.port, tls=tls)
    return Listener(listener.name, listener.port, listener.address, tls)


def _check_listeners(listeners: list[ListenerSpec], target: str, findings: Findings) -> None:
    path: Path = ("spec", "gateway", "listeners")
    names: dict[str, int] = {}
    ports: dict[int, int] = {}
    for index, listener in enumerate(listeners):
        if names.setdefault(listener.name, index) != index:
            findings.add(
                (*path, index, "name"), f'"{listener.name}" is also the name of listeners[{names[listener.name]}]'
            )
        if ports.setdefault(listener.port, index) != index:
            findings.add(
                (*path, index, "port"), f"{listener.port} is also the port of listeners[{ports[listener.port]}]"
            )
        if listener.tls is not None:
            _check_listener_tls(listener.tls, (*path, index, "tls"), target, findings)


def _check_listener_tls(tls: ListenerTLSSpec, path: Path, target: str, findings: Findings) -> None:
    if target == "envoy" and tls.cert_file is None:
        findings.add(path, "the target envoy reads files; add certFile and keyFile")
    if target != "envoy" and tls.secret_name is None:
        findings.add(path, f"the target {target} reads no files; add secretName")
