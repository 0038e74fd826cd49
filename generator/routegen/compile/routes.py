"""A routes.yaml as a whole: text -> plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from routegen.common.problems import InputError, Problem, Remark
from routegen.common.words import choices
from routegen.compile.advice import advice
from routegen.compile.backends import compile_backends
from routegen.compile.bodies import changes_advice, with_strips
from routegen.compile.by_headers import compile_by_headers
from routegen.compile.cors import compile_cors
from routegen.compile.gateway import compile_gateway
from routegen.compile.mirrors import check_mirrors
from routegen.compile.names import Findings, Names
from routegen.compile.paths import (
    compile_max_body_bytes,
    compile_passthrough,
    compile_paths,
    compile_routing_header,
)
from routegen.compile.router import compile_models, compile_router
from routegen.compile.rules import compile_rules
from routegen.compile.seconds import compile_failover, with_seconds
from routegen.compile.timeouts import check_timeouts
from routegen.compile.unused import note_unused
from routegen.plan import Plan
from routegen.spec import read
from routegen.spec.models import GatewaySpec
from routegen.targets import Target, find, known
from routegen_router.plugins import PluginError


def compile_text(
    text: str,
    file: str,
    *,
    target: str | None = None,
    deployed: bool = True,
    notices: list[Problem] | None = None,
    examine: Callable[[Plan], Iterable[Remark]] = lambda _plan: (),
) -> Plan:
    """Compile the text of a routes.yaml.

    :param file: what to call it in problems.
    :param target: compile for this target in place of the file's own (``spec.gateway.target``).
    :param deployed: ``False``: the plan is used on this machine, so what the target says of it is no matter.
    :param notices: collects what is no mistake and worth knowing, by line.
    :param examine: what else there is to say of the plan.
    :raises InputError: with every problem that was found.
    """
    reading = read(text, file)
    routes = reading.routes
    if routes is None:
        raise InputError(reading.problems)
    findings = Findings(reading.document, Names.of(reading.document), reading.problems)
    chosen = _target(target or routes.spec.gateway.target, findings)
    passthrough = compile_passthrough(routes.spec, findings)
    plan = Plan(
        name=routes.metadata.name,
        namespace=routes.metadata.namespace,
        gateway=compile_gateway(routes, chosen, findings),
        router=compile_router(routes.spec, chosen, findings, deployed=deployed),
        routing_header=compile_routing_header(routes.spec, findings),
        paths=compile_paths(routes.spec, findings),
        passthrough=passthrough,
        by_headers=compile_by_headers(routes.spec, passthrough, findings),
        max_body_bytes=compile_max_body_bytes(routes.spec, findings),
        models=compile_models(routes.spec, findings),
        backends=compile_backends(routes, chosen, findings, deployed=deployed),
        rules=compile_rules(routes.spec, findings),
        failover=compile_failover(routes.spec),
        cors=compile_cors(routes.spec, chosen, findings, deployed=deployed),
    )
    written = routes.spec.backends
    plan = replace(plan, backends=with_strips(plan.backends, written, plan.rules, findings))
    if plan.failover.enabled and chosen.capabilities.second_choices:
        plan = replace(plan, backends=with_seconds(plan.backends, plan.rules))
    check_mirrors(plan, chosen, findings, deployed=deployed)
    check_timeouts(routes.spec, chosen, findings, deployed=deployed)
    for remark in (
        *advice(plan),
        *changes_advice(plan, second_choices=chosen.capabilities.second_choices),
        *(chosen.examine(plan) if deployed else ()),
        *examine(plan),
    ):
        findings.remark(remark)
    note_unused(chosen, findings)
    if findings.problems:
        raise InputError(findings.problems)
    if notices is not None:
        notices += sorted(set(findings.notices))
    return plan


def _target(name: str, findings: Findings) -> Target:
    """The target called ``name``; where there is none, the default one, so that the rest is checked all the same."""
    try:
        return find(name)
    except KeyError:
        problem = f'there is no target "{name}"; {choices(name, known())}'
    except PluginError as error:
        problem = str(error)
    findings.add(("spec", "gateway", "target"), problem)
    return find(GatewaySpec().target)
