"""Two engines that are to be compared, and how they are chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from routegen.audit.engine import KSERVE, Engine
from routegen.audit.facts import Fact
from routegen.audit.reading import Manifest, items, mapping
from routegen.audit.storage import model
from routegen.audit.workloads import workload_engines
from routegen.common.positions import Path
from routegen.common.problems import UserError
from routegen.common.words import choices
from routegen.plan import Plan as RoutesPlan
from routegen.plan import PoolRef, ServiceRef

_ROLE = "llm-d.ai/role"
"""llm-d's pod label for the halves of an engine: ``prefill``, ``decode`` or ``both``."""


@dataclass(frozen=True)
class Pair:
    """Two engines, and everything else in the input."""

    first: Engine
    second: Engine
    world: Sequence[Manifest]
    renames: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By an engine's name: the models that clients know by another name than it, from theirs to its own."""

    def each(self) -> Iterator[tuple[Engine, Engine]]:
        """Each engine with the other one."""
        yield self.first, self.second
        yield self.second, self.first

    def option(self, name: str) -> tuple[Fact, Fact]:
        """What each engine is told about ``name``."""
        return self.first.option(name), self.second.option(name)

    def of_kind(self, *kinds: str) -> Iterator[Manifest]:
        """The input's objects of these kinds."""
        return (manifest for manifest in self.world if manifest.kind in kinds)


def choose(engines: Sequence[Engine], world: Sequence[Manifest], names: Sequence[str]) -> list[Pair]:
    """The pairs to compare: of the engines called ``names``, of all that were found where that is empty.

    The first is compared with each of the others. Of more than two that nobody named, only those are compared that
    serve one model, where there are such. The pods that only read prompts for others (llm-d's role ``prefill``) are
    part of those.

    :raises UserError: there are fewer than two, or two names mean one engine.
    """
    chosen = [_named(name, engines, world) for name in names] if names else list(engines)
    if len(names) == 1:
        others = [engine.name for engine in engines if engine not in chosen]
        found = f"; others that were found: {', '.join(others)}" if others[1:] else ""
        raise UserError(
            f"a comparison needs two engines, and {names[0]} is the only one that is named; name two, such as "
            f"--pair {names[0]},{others[0] if others else 'OTHER'}{found}"
        )
    _refuse_twins(names, chosen)
    if not names:
        chosen = [engine for engine in chosen if not _prefills(engine, chosen)]
    if len(chosen) < 2:  # noqa: PLR2004 - a comparison needs two
        found = ", ".join(engine.name for engine in engines) or "none"
        raise UserError(
            f"a comparison needs two engines, found: {found}; "
            "give the manifests of both (anything that makes pods), or name workloads with --pair a,b"
        )
    groups = [chosen] if names else list(_by_model(chosen))
    return [Pair(group[0], other, world) for group in groups for other in group[1:]]


def _prefills(engine: Engine, engines: Sequence[Engine]) -> bool:
    """Whether it is the prefill half of an engine whose decode half is there too, so that it is no rival of it.

    By llm-d's labels, or by the names of the roles of one object (StormService, DynamoGraphDeployment).
    """
    if "prefill" in engine.role.lower():
        mates = [one for one in engines if one.manifest.written is engine.manifest.written]
        return any("prefill" not in one.role.lower() for one in mates)
    decodes = [dict(engine.labels) | {_ROLE: "decode"} == dict(other.labels) for other in engines]
    return engine.labels.get(_ROLE) == "prefill" and any(decodes)


def _by_model(engines: Sequence[Engine]) -> Iterator[Sequence[Engine]]:
    """The engines that serve one model, by its last name; all of them where no two serve one."""
    groups: dict[str, list[Engine]] = {}
    for engine in engines:
        groups.setdefault(model(engine).last_name, []).append(engine)
    comparable = [group for group in groups.values() if len(group) > 1]
    yield from comparable or [list(engines)]


def behind_routes(plan: RoutesPlan, engines: Sequence[Engine], world: Sequence[Manifest]) -> list[str]:
    """The names of the engines that a routes.yaml's backends lead to, in its order.

    :raises UserError: a backend leads to no engine of the input, or two lead to one.
    """
    names: list[str] = []
    led: dict[str, str] = {}
    for backend in plan.backends:
        reached = [engine.name for engine in engines if _reaches(backend.reach, engine, world)]
        if not reached:
            raise UserError(
                f'the backend "{backend.name}" leads to no engine in the input; '
                "give the manifests of its workload, and of its Service where it is a plain one"
            )
        if len(reached) == 1 and reached[0] in led:
            raise UserError(
                f'the backends "{led[reached[0]]}" and "{backend.name}" lead to one engine, {reached[0]}; '
                "name the engines to compare with --pair a,b"
            )
        led |= {reached[0]: backend.name} if len(reached) == 1 else {}
        names += [name for name in reached if name not in names]
    return names


def renamed(plan: RoutesPlan, engines: Sequence[Engine], world: Sequence[Manifest]) -> dict[str, dict[str, str]]:
    """By an engine's name: how a routes.yaml's backends translate models for it."""
    return {
        engine.name: dict(
            pair for backend in plan.backends if _reaches(backend.reach, engine, world) for pair in backend.renames
        )
        for engine in engines
    }


def _refuse_twins(names: Sequence[str], engines: Sequence[Engine]) -> None:
    """An engine compared with itself differs in nothing, which would look like a fair comparison."""
    seen: dict[tuple[int, str, Path], str] = {}
    for name, engine in zip(names, engines, strict=False):
        key = (id(engine.manifest.written), engine.role, engine.container)
        if (before := seen.get(key)) is not None:
            raise UserError(
                f'"{before}" and "{name}" are one engine, {engine.manifest.title}; a comparison needs two engines'
            )
        seen[key] = name


def selects(selector: object, labels: object) -> bool:
    """Whether a label selector, in a Deployment's notation or a Service's plain one, picks ``labels``."""
    own, have = mapping(selector), mapping(labels)
    expressions = [mapping(expression) for expression in items(own.get("matchExpressions"))]
    plain = own if not expressions and "matchLabels" not in own else mapping(own.get("matchLabels"))
    return bool(plain or expressions) and (
        all(key in have and str(have[key]) == str(value) for key, value in plain.items())
        and all(_expression_holds(expression, have) for expression in expressions)
    )


def _expression_holds(expression: Mapping[str, object], labels: Mapping[str, object]) -> bool:
    key, values = str(expression.get("key")), [str(value) for value in items(expression.get("values"))]
    match expression.get("operator"):
        case "In":
            return key in labels and str(labels[key]) in values
        case "NotIn":
            return key not in labels or str(labels[key]) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False


def _reaches(reach: object, engine: Engine, world: Sequence[Manifest]) -> bool:
    if not isinstance(reach, ServiceRef | PoolRef) or engine.manifest.namespace not in {reach.namespace, ""}:
        return False
    kind, suffix = (
        ("Service", "-kserve-workload-svc") if isinstance(reach, ServiceRef) else ("InferencePool", "-inference-pool")
    )
    if engine.manifest.kind == KSERVE and reach.name == engine.manifest.name + suffix:
        return True
    return any(
        selects(manifest.get("spec", "selector"), engine.labels)
        for manifest in world
        if manifest.kind == kind and manifest.name == reach.name and manifest.namespace in {reach.namespace, ""}
    )


def _named(name: str, engines: Sequence[Engine], world: Sequence[Manifest]) -> Engine:
    """The engine that a user calls ``name``: its own name, ``namespace/name`` or ``Kind/name``."""
    found = [engine for engine in engines if name in _names(engine)]
    if not found:
        found = [engine for manifest in world for engine in workload_engines(manifest, world) if name in _names(engine)]
    if len(found) == 1:
        return found[0]
    problem = "several engines are called" if found else "no workload is called"
    raise UserError(f'{problem} "{name}"; {choices(name, [engine.name for engine in engines])}')


def _names(engine: Engine) -> set[str]:
    manifest = engine.manifest
    return {engine.name, manifest.name, f"{manifest.namespace}/{manifest.name}", f"{manifest.kind}/{manifest.name}"}
