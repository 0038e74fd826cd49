"""Ports, Services, labels and routes: whether each request reaches the engine that it is meant for."""

from __future__ import annotations

from collections.abc import Iterator

from routegen.audit.engine import DYNAMO, KSERVE, KSERVE_PORT, Engine, kserve_labels
from routegen.audit.facts import Fact
from routegen.audit.findings import Hit, Severity, rule
from routegen.audit.network import engine_port, port_number, services
from routegen.audit.pairs import Pair, selects
from routegen.audit.placement import placement
from routegen.audit.reading import is_on, items, mapping
from routegen.audit.rules.checks import argument, in_doubt, unequal

_ENGINE_TYPE = "llm-d.ai/engine-type"
_LOOPBACK = ("127.", "localhost", "::1")


@rule(
    "FAIR090",
    "network",
    Severity.ERROR,
    title="The Service leads to another port than the engine listens on",
    why="Every request to that engine fails, or reaches something else in the pod.",
)
def service_port(pair: Pair) -> Iterator[Hit]:
    """A Service that selects the engine's pods has no port whose target is the engine's.

    Or an engine of an LLMInferenceService doesn't listen on 8000, where KServe's Service leads. Pods with several
    containers are left out: a sidecar may take the requests.
    """
    for engine, _ in pair.each():
        listens = engine_port(engine)
        if any(services(pair, engine)) or engine.preset:
            yield from in_doubt(listens, f"the port of {engine.name}", "# write --port out")
        if not listens.known or not engine.alone:
            continue
        fix = f"args: [{argument(engine, 'port', KSERVE_PORT)}]"
        if engine.manifest.kind == KSERVE and listens.value != KSERVE_PORT:
            message = f"{engine.name} listens on {listens.value}, KServe's Service leads to {KSERVE_PORT}"
            yield Hit(message, (listens,), fix)
        for service in services(pair, engine):
            targets = [
                port_number(engine, mapping(port).get("targetPort", mapping(port).get("port")))
                for port in items(service.get("spec", "ports"))
            ]
            if targets and None not in targets and listens.value not in targets:
                fact = Fact("set", ", ".join(map(str, targets)), service.place("spec", "ports"))
                message = f"{service.title} leads to port {fact.value}, {engine.name} listens on {listens.value}"
                yield Hit(message, (fact, listens), f"ports: [{{port: 8000, targetPort: {listens.value}}}]")


@rule(
    "FAIR091",
    "network",
    Severity.WARNING,
    title="One Service leads to both engines",
    why="Its requests go to either engine by chance, so nobody knows which one was measured.",
)
def service_selects_both(pair: Pair) -> Iterator[Hit]:
    """A Service's selector picks the pods of both engines. A Service for metrics may do so on purpose."""
    second = [service.title for service in services(pair, pair.second)]
    for service in services(pair, pair.first):
        if service.title in second:
            fact = service.fact("spec", "selector")
            shown = Fact("set", dict(mapping(fact.value)), fact.place)
            yield Hit(f"{service.title} selects both engines", (shown,), "# add a label that only one of them bears")


@rule(
    "FAIR092",
    "network",
    Severity.ERROR,
    title="An engine listens on the loopback address only",
    why="Nothing outside the container reaches it: probes fail and requests are refused.",
)
def loopback(pair: Pair) -> Iterator[Hit]:
    """`--host` is a loopback address, or an engine is given none whose default is one (SGLang, TensorRT-LLM).

    Not where a sidecar in the pod can take the requests, nor for Dynamo's workers, which get them another way.
    """
    for engine, other in pair.each():
        if engine.manifest.kind == DYNAMO:
            continue
        facts = (engine.option("host"), other.option("host"))
        yield from in_doubt(facts[0], f"the address of {engine.name}", "# write --host out")
        host = str(facts[0].value or "")
        if facts[0].known and host.startswith(_LOOPBACK) and engine.alone:
            message = f"{engine.name} listens on {facts[0].shown}"
            yield Hit(message, facts, f"args: [{argument(engine, 'host', '0.0.0.0')}]")  # noqa: S104 - advice for pods


@rule(
    "FAIR093",
    "network",
    Severity.ERROR,
    title="Both engines take the same port of one node or pod",
    why="The second pod can't be scheduled, or its server can't open its port.",
)
def host_port(pair: Pair) -> Iterator[Hit]:
    """Both use one `hostPort`, or `hostNetwork` with one port, and run on one node, or may do so.

    Or both are containers of one pod and listen on one port.
    """
    nodes = placement(pair).nodes
    ports = (engine_port(pair.first), engine_port(pair.second))
    if pair.first.manifest is pair.second.manifest and ports[0].known and ports[0].value == ports[1].value:
        yield Hit(f"both engines take port {ports[0].value} of their pod", ports, "# another --port for one of them")
    first, second = _host_ports(pair.first), _host_ports(pair.second)
    for port in sorted(first.keys() & second.keys()) if nodes != "different" else ():
        certain = nodes == "same"
        message = f"both engines take port {port} of {'their' if certain else 'what may be one'} node"
        yield Hit(message, (first[port], second[port]), "# remove hostPort and hostNetwork", unknown=not certain)


def _host_ports(engine: Engine) -> dict[int, Fact]:
    found: dict[int, Fact] = {}
    network = engine.pod_fact("hostNetwork")
    listens = engine_port(engine)
    if is_on(network.value) and listens.known:
        found[listens.value] = listens
    for index, entry in enumerate(items(engine.get("ports"))):
        port = mapping(entry).get("hostPort")
        if isinstance(port, int):
            found[port] = Fact("set", port, engine.place("ports", index, "hostPort"))
    return found


@rule(
    "FAIR094",
    "labels",
    Severity.ERROR,
    title="The label owned_by names another engine",
    why="Routing by owner then sends this engine's requests to the other one.",
)
def owned_by(pair: Pair) -> Iterator[Hit]:
    """The pods' label `owned_by` is the name of another engine than the one that runs."""
    for engine, other in pair.each():
        label = _label(engine, "owned_by")
        runs = engine.line.kind
        theirs = other.line.kind
        if runs is None or theirs is None or runs is theirs or label.value is None:
            continue
        if str(label.value) == theirs.owned_by:
            message = f"{engine.name} runs {runs.title} and is labelled owned_by: {label.value}"
            yield Hit(message, (label, _label(other, "owned_by")), f"labels: {{owned_by: {runs.owned_by}}}")


@rule(
    "FAIR095",
    "labels",
    Severity.WARNING,
    title="llm-d's scheduler takes the engine for another one",
    why="The endpoint picker reads the metrics of the engine that the label names; with wrong names it sees no load.",
)
def engine_type(pair: Pair) -> Iterator[Hit]:
    """The label `llm-d.ai/engine-type` names another engine, or is missing on one that is not vLLM (the default).

    Only where an endpoint picker is in use: `spec.router.scheduler`, or an InferencePool that selects the pods.
    """
    for engine, other in pair.each():
        kind = engine.line.kind
        if kind is None or not (_scheduled(engine) or any(services(pair, engine, "InferencePool"))):
            continue
        label = _label(engine, _ENGINE_TYPE)
        if str(label.value or "vllm") != kind.name:
            says = f"says {label.value}" if label.value else "is missing, which means vllm"
            message = f"{engine.name} runs {kind.title}, and its label {_ENGINE_TYPE} {says}"
            yield Hit(message, (label, _label(other, _ENGINE_TYPE)), f"labels: {{{_ENGINE_TYPE}: {kind.name}}}")


def _scheduled(engine: Engine) -> bool:
    """Whether KServe puts an endpoint picker and a pool in front of the engine."""
    return engine.manifest.kind == KSERVE and "scheduler" in mapping(engine.manifest.get("spec", "router"))


def _label(engine: Engine, name: str) -> Fact:
    value = engine.labels.get(name)
    place = engine.manifest.place(*engine.labels_at, name)
    return Fact("default" if value is None else "set", value, place)


@rule(
    "FAIR096",
    "network",
    Severity.ERROR,
    title="The routes that KServe makes for the two collide",
    why="Equal routes are decided by age: all requests for the model reach the older service.",
)
def kserve_routes(pair: Pair) -> Iterator[Hit]:
    """Both are LLMInferenceServices of one namespace with `spec.router.route` and one `spec.model.name`.

    KServe's managed HTTPRoute matches `publishers/<namespace>/models/<model>`, in the path and in the header
    `X-Gateway-Model-Name`; for two services of one name these rules are identical, and Gateway API lets the older
    route win. Leave `router.route` out of both: routegen
    routes to their Services itself.
    """
    manifests = [engine.manifest for engine, _ in pair.each()]
    names = []
    for manifest in manifests:
        route = mapping(manifest.get("spec", "router")).get("route")
        if manifest.kind != KSERVE or route is None or mapping(mapping(route).get("http")).get("refs"):
            return
        names.append(manifest.get("spec", "model", "name") or manifest.name)
    if names[0] == names[1] and manifests[0].namespace == manifests[1].namespace:
        facts = tuple(Fact("set", names[0], manifest.place("spec", "router", "route")) for manifest in manifests)
        fix = "# remove spec.router.route from both"
        yield Hit(f"KServe makes the same routes for both: model {names[0]}", facts, fix)


@rule(
    "FAIR097",
    "network",
    Severity.WARNING,
    title="One InferencePool holds both engines",
    why="The endpoint picker then chooses the engine for each request by load, which hides the slower one.",
)
def one_pool(pair: Pair) -> Iterator[Hit]:
    """An InferencePool's selector picks the pods of both engines.

    Or it is the pool that KServe makes for one of the two (`spec.router.scheduler`), and the other bears its labels.
    """
    for engine, other in pair.each():
        if _scheduled(engine) and selects(kserve_labels(engine.manifest, own=False), other.labels):
            fact = engine.manifest.fact("spec", "router", "scheduler")
            message = f"the pool that KServe makes for {engine.name} selects {other.name} too"
            yield Hit(message, (Fact("set", "both", fact.place),), "# remove KServe's own labels from spec.labels")
    second = [pool.title for pool in services(pair, pair.second, "InferencePool")]
    for pool in services(pair, pair.first, "InferencePool"):
        if pool.title in second:
            fact = pool.fact("spec", "selector")
            fix = "# one InferencePool for each engine, such as by the label owned_by"
            yield Hit(f"{pool.title} selects both engines", (Fact("set", "both", fact.place),), fix)


@rule(
    "FAIR098",
    "network",
    Severity.INFO,
    title="Only one pod has sidecars",
    why="A sidecar shares the pod's node, and a proxy in it adds its time to every request.",
)
def sidecars(pair: Pair) -> Iterator[Hit]:
    """The pods have different numbers of containers beside the engine's.

    Native sidecars (init containers that restart) count. What a service mesh injects later is not in the manifests.
    """
    facts = []
    for engine, _ in pair.each():
        facts.append(Fact("set", engine.sidecars, engine.manifest.place(*engine.pod, "containers")))
    if pair.first.manifest is not pair.second.manifest:
        yield from unequal(pair, (facts[0], facts[1]), "the number of sidecars", "# the same sidecars in both")


@rule(
    "FAIR100",
    "network",
    Severity.INFO,
    title="Only one engine is behind an endpoint picker",
    why="Its picker writes each body anew and chooses the pod; the other engine's requests come as they were sent.",
)
def one_picker(pair: Pair) -> Iterator[Hit]:
    """An InferencePool selects the pods of one engine, or `spec.router.scheduler` makes one, and the other has none.

    It matters where requests go through the pool. Measure both behind pickers, or both by their Services.
    """
    facts = []
    for engine, other in pair.each():
        pool = next(services(pair, engine, "InferencePool"), None)
        of_other = _scheduled(other) and selects(kserve_labels(other.manifest, own=False), engine.labels)
        if pool is not None:
            facts.append(Fact("set", "picker", pool.place("spec", "selector")))
        elif _scheduled(engine) or of_other:
            facts.append(Fact("set", "picker", (other if of_other else engine).manifest.place("spec", "router")))
        else:
            facts.append(Fact("default", "none", engine.manifest.place("metadata", "name")))
    yield from unequal(pair, (facts[0], facts[1]), "the endpoint picker", "# a pool for both, or Services for both")


RULES = (
    service_port,
    service_selects_both,
    loopback,
    host_port,
    owned_by,
    engine_type,
    kserve_routes,
    one_pool,
    sidecars,
    one_picker,
)
