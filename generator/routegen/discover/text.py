"""A routes.yaml with a comment for every line that was found somewhere."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from routegen.targets import Capabilities

from .candidates import Candidate, Candidates
from .naming import names
from .pickers import PickerFound, of_same_pods, picker_of, pool_selector, target_ports
from .things import LLM, POOL, Found, Thing

_PLAIN: Final = re.compile(r"[A-Za-z][-A-Za-z0-9_./]*")
_WORDS: Final = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
_DEFAULT_TARGET: Final = "envoy-gateway"
_EVEN: Final = 100


@dataclass(frozen=True)
class Wishes:
    """What the user wants of the file."""

    name: str
    namespace: str | None
    target: str
    can: Capabilities
    why_target: str
    """A comment on the target, where it isn't the user's choice; may be empty."""
    source: str
    """Where all of this was found, for the first line."""


def routes_yaml(found: Found, chosen: Candidates, wishes: Wishes) -> str:
    """Write the file; what stands in it is true for the moment when the cluster was read."""
    named = list(zip(names(chosen.taken), chosen.taken, strict=True))
    home = wishes.namespace or Counter(one.thing.namespace for _, one in named).most_common(1)[0][0]
    lines = [*_head(found, wishes), "apiVersion: routegen/v1alpha1", "kind: InferenceRoutes"]
    lines += [f"metadata: {{name: {_text(wishes.name)}, namespace: {_text(home)}}}", "spec:"]
    if wishes.target != _DEFAULT_TARGET:
        lines += [f"  # {wishes.why_target}"] if wishes.why_target else []
        lines += [f"  gateway: {{target: {_text(wishes.target)}}}"]
    lines.append("  backends:")
    for name, one in named:
        lines += [f"    {line}".rstrip() for line in _backend(found, name, one, home, wishes)]
    lines += ["  rules: # not found anywhere: what a request names, else an even split"]
    lines += ["    - body: inference_server", "    - body: owned_by", f"    - split: {_split([n for n, _ in named])}"]
    if chosen.left_out:
        lines += ["# Left out:", *(f"# - {sentence}" for sentence in chosen.left_out)]
    return "\n".join(lines) + "\n"


def _head(found: Found, wishes: Wishes) -> Iterator[str]:
    yield f"# Found by `routegen discover` in {wishes.source}; nothing was changed there."
    yield "# Next: routegen validate -f FILE, then routegen render -f FILE."
    for sentence in found.unread:
        yield f"# Not read: {sentence}"
    if found.absent:
        yield f"# Not known to this cluster: {', '.join(found.absent)}"


def _backend(found: Found, name: str, one: Candidate, home: str, wishes: Wishes) -> Iterator[str]:
    about = "; ".join([str(one.thing), *one.notes])
    yield f"{name}: # {about}"
    if one.thing.kind == POOL and (wishes.can.pools or wishes.can.asks_pickers):
        yield from _pool(found, one.thing, home, wishes.can)
    elif one.thing.kind == POOL:
        yield from _service_of_pool(found, one.thing, home)
    elif one.thing.kind == LLM:
        elsewhere = "" if one.thing.namespace == home else f", namespace: {_text(one.thing.namespace)}"
        short = _text(one.thing.name)
        yield f"  llmInferenceService: {f'{{name: {short}{elsewhere}}}' if elsewhere else short}"
    else:
        assert one.port is not None
        yield f"  service: {_reference(one.thing, home)[:-1]}, port: {one.port.number}}}"
    if one.port is not None and one.port.tls:
        yield "  # The Service's port says https. Nobody's certificate is verified so; caConfigMap names an authority."
        yield "  tls: {insecureSkipVerify: true}"
    if one.owner.name is None:
        yield f"  # ownedBy: {one.owner.told}"
    else:
        yield f"  ownedBy: {_text(one.owner.name)} # {one.owner.told}"


def _pool(found: Found, pool: Thing, home: str, can: Capabilities) -> Iterator[str]:
    pods = of_same_pods(pool, found, headless=True)
    service = pods.name if pods is not None else f"{pool.name}-pods"
    places = [f"{service}.{pool.namespace}.svc.cluster.local:{port}" for port in target_ports(pool)]
    yield "  inferencePool:"
    yield f"    name: {_text(pool.name)}"
    if pool.namespace != home:
        yield f"    namespace: {_text(pool.namespace)}"
    if pods is None:
        yield "    # No headless Service selects exactly the pool's pods. Make this one first:"
        yield from (f"    #   {line}" for line in _headless(pool, service))
        yield f"    endpoints: {json.dumps(places)}"
    else:
        yield f"    endpoints: {json.dumps(places)} # headless Service {pods.place}, the pool's targetPorts"
    if can.asks_pickers:
        yield from (f"    {line}" for line in _picker(picker_of(pool, found)))


def _picker(picker: PickerFound) -> Iterator[str]:
    yield "picker: # the Service that endpointPickerRef names, and its Deployment's arguments"
    yield from (f"  # {remark}" for remark in picker.remarks)
    yield f"  endpoints: {json.dumps([f'{picker.host}:{picker.port}'])}"
    if picker.tls:
        yield "  tls: {insecureSkipVerify: true} # no --secure-serving=false; pickers sign their own certificates"
    if picker.health_port is not None:
        yield f"  healthPort: {picker.health_port}"
    yield f"  failureMode: {picker.failure_mode} # the pool's"
    if picker.max_body_bytes is not None:
        yield f"  maxBodyBytes: {picker.max_body_bytes} # --grpc-max-recv-msg-size, and some room"


def _headless(pool: Thing, name: str) -> Iterator[str]:
    ports = [{"name": f"http-{port}", "port": port} for port in target_ports(pool)]
    spec = {"clusterIP": "None", "selector": dict(pool_selector(pool)), "ports": ports}
    yield "kubectl apply -f - <<'EOF'"
    yield json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": pool.namespace},
            "spec": spec,
        }
    )
    yield "EOF"


def _service_of_pool(found: Found, pool: Thing, home: str) -> Iterator[str]:
    """Without its picker: a Service of the same pods, which is there or must be made."""
    service = of_same_pods(pool, found, headless=False) or of_same_pods(pool, found, headless=True)
    yield "  # This target can't ask the pool's picker, so requests are spread over its pods by a Service."
    port = next(iter(target_ports(pool)), 8000)
    if service is None:
        service = Thing("Service", {"metadata": {"name": f"{pool.name}-pods", "namespace": pool.namespace}})
        yield "  # None selects exactly these pods. Make this one first:"
        yield from (f"  #   {line}" for line in _headless(pool, service.name))
    else:
        port = next((int(one["port"]) for one in service.spec.get("ports") or ()), port)
    yield f"  service: {_reference(service, home)[:-1]}, port: {port}}}"


def _reference(thing: Thing, home: str) -> str:
    elsewhere = "" if thing.namespace == home else f", namespace: {_text(thing.namespace)}"
    return f"{{name: {_text(thing.name)}{elsewhere}}}"


def _split(named: Sequence[str]) -> str:
    weight = _EVEN // len(named) if _EVEN % len(named) == 0 else 1
    weights: Mapping[str, int] = dict.fromkeys(named, weight)
    return "{" + ", ".join(f"{_text(name)}: {share}" for name, share in weights.items()) + "}"


def _text(value: str) -> str:
    """A text of the cluster, so that every YAML reader takes it for one."""
    return value if _PLAIN.fullmatch(value) and value.lower() not in _WORDS else json.dumps(value)
