"""What becomes of a body on its way to one backend: the model's other name, and fields that its engine refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from routegen.common.positions import Path
from routegen.common.problems import Remark
from routegen.compile.names import Findings
from routegen.plan import Backend, Plan
from routegen.spec.backends import BackendSpec
from routegen_router.models import is_glob
from routegen_router.request import MODEL, FieldPath
from routegen_router.rules import Rule, Split


def renames(entry: BackendSpec) -> tuple[tuple[str, str], ...]:
    """A model's name for clients, and its name for this engine, where that is another."""
    if not isinstance(entry.models, dict):
        return ()
    return tuple((name, engines) for name, engines in entry.models.items() if name != engines)


def check_models(path: Path, entry: BackendSpec, findings: Findings) -> None:
    """A glob can't be another name, nor have one."""
    if not isinstance(entry.models, dict):
        findings.no_twins(path, entry.models)
        return
    for name, engines in renames(entry):
        if is_glob(name) or is_glob(engines):
            findings.add((*path, name), f'a glob stands for itself only: write "{name}": "{name}", or two exact names')


def with_strips(
    backends: Sequence[Backend], written: Mapping[str, BackendSpec], rules: Sequence[Rule], findings: Findings
) -> tuple[Backend, ...]:
    """The backends, each with the fields that are taken out of its bodies.

    What only conditions read, or a split keeps sessions by, is the engine's as well (``user``, ``stream``): it stays.
    """
    chosen = [source.body for rule in rules if not isinstance(rule, Split) for source in rule.sources()]
    fields: tuple[FieldPath, ...] = tuple(dict.fromkeys(field for field in chosen if field and field != MODEL))
    asking = [name for name, entry in written.items() if entry.strip_routing_fields]
    for name in asking if not fields else ():
        path: Path = ("spec", "backends", name, "stripRoutingFields")
        findings.add(path, "no rule chooses by a field of the body, so there is nothing to take out")
    return tuple(replace(backend, strips=fields) if backend.name in asking else backend for backend in backends)


def same_body(one: Backend, other: Backend) -> bool:
    """Whether what goes to one engine is right for the other: the gateway has one body for both."""
    return (dict(one.renames), set(one.strips)) == (dict(other.renames), set(other.strips))


def changes_advice(plan: Plan, *, second_choices: bool) -> Iterator[Remark]:
    """Where a body that would have to change can't, or costs a second choice.

    :param second_choices: whether the target knows those.
    """
    changing = {backend.name for backend in plan.backends if backend.renames or backend.strips}
    for index, entry in enumerate(plan.passthrough):
        if entry.backend in changing:
            message = f"the router isn't asked here, so bodies reach {entry.backend} as clients send them"
            yield Remark(("spec", "passthrough", index), message)
    if plan.router.failure_backend in changing:
        message = f"without the router, bodies reach {plan.router.failure_backend} as clients send them"
        yield Remark(("spec", "router", "failure"), message)
    kinds = {(frozenset(backend.renames), frozenset(backend.strips)) for backend in plan.backends}
    if second_choices and plan.failover.enabled and len(kinds) > 1:
        for backend in plan.backends:
            if backend.name in changing:
                message = "gets other bodies than other backends, so only those with the same changes stand in for it"
                yield Remark(("spec", "backends", backend.name), message)
