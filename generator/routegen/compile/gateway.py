"""The gateway's part of the plan."""

from __future__ import annotations

from routegen.common.positions import Path
from routegen.compile.names import Findings
from routegen.compile.units import size
from routegen.plan import Gateway, Listener, ListenerTLS
from routegen.spec.models import ListenerSpec, ListenerTLSSpec, Routes
from routegen.targets import Target

_LEAST_MEMORY = "64Mi"
"""Envoy's heap takes about 10 MiB before the first request comes; with too little it refuses them all, or to start."""


def compile_gateway(routes: Routes, target: Target, findings: Findings) -> Gateway:
    """The gateway with its listeners."""
    gateway = routes.spec.gateway
    _check_listeners(gateway.listeners, target, findings)
    findings.no_twins(("spec", "gateway", "hostnames"), gateway.hostnames)
    if size(gateway.memory) < size(_LEAST_MEMORY):
        findings.add(("spec", "gateway", "memory"), f"must be at least {_LEAST_MEMORY}, not {gateway.memory}")
    return Gateway(
        target=target.name,
        name=gateway.name,
        namespace=gateway.namespace or routes.metadata.namespace,
        class_name=gateway.class_name or target.gateway_class,
        create=gateway.create,
        listeners=tuple(map(_listener, gateway.listeners)),
        hostnames=tuple(gateway.hostnames),
        memory=size(gateway.memory),
    )


def _listener(listener: ListenerSpec) -> Listener:
    tls = None
    if listener.tls is not None:
        tls = ListenerTLS(listener.tls.secret_name, listener.tls.cert_file, listener.tls.key_file)
    if listener.address is None:
        return Listener(listener.name, listener.port, tls=tls)
    return Listener(listener.name, listener.port, listener.address, tls)


def _check_listeners(listeners: list[ListenerSpec], target: Target, findings: Findings) -> None:
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


def _check_listener_tls(tls: ListenerTLSSpec, path: Path, target: Target, findings: Findings) -> None:
    given = {"files": tls.cert_file, "secrets": tls.secret_name}
    if any(given[source] for source in target.capabilities.certificates):
        return
    if "files" in target.capabilities.certificates:
        findings.add(path, f"the target {target.name} reads files; add certFile and keyFile")
    else:
        findings.add(path, f"the target {target.name} reads no files; add secretName")
