"""Plan -> the router's own configuration.

The two vocabularies are alike on purpose, but they are two contracts: the plan may grow what only
gateways need, the configuration may not. So each type is copied field by field, never by reflection.
"""

from __future__ import annotations

from typing import assert_never

from routegen import plan as ir
from routegen_router import config


def router_config(plan: ir.Plan) -> config.Config:
    """What the router has to know of ``plan``; :func:`routegen_router.config.dump` writes it."""
    return config.Config(
        name=f"{plan.namespace}/{plan.name}",
        routing_header=plan.routing_header,
        paths=plan.paths,
        max_body_bytes=plan.max_body_bytes,
        max_inflight_bytes=plan.router.max_inflight_bytes,
        models=config.Models(interval=plan.models.interval, timeout=plan.models.timeout, unknown=plan.models.unknown),
        backends=tuple(_backend(backend) for backend in plan.backends),
        rules=tuple(_rule(rule) for rule in plan.rules),
    )


def _backend(backend: ir.Backend) -> config.Backend:
    return config.Backend(name=backend.name, owner=backend.owner, models=backend.models, poll=_poll(backend))


def _poll(backend: ir.Backend) -> config.Poll | None:
    if backend.poll_url is None:
        return None
    if backend.tls is None:
        return config.Poll(url=backend.poll_url)
    return config.Poll(
        url=backend.poll_url,
        server_name=backend.tls.server_name,
        ca_file=backend.tls.ca_file,
        verify=backend.tls.verify,
    )


def _rule(rule: ir.Rule) -> config.Rule:
    when = tuple(_condition(test) for test in rule.when)
    match rule:
        case ir.Prefer():
            return config.Prefer(name=rule.name, names=rule.names, when=when)
        case ir.Lookup():
            return config.Lookup(
                name=rule.name,
                source=_source(rule.source),
                values=rule.values,
                on_unknown=rule.on_unknown,
                on_mismatch=rule.on_mismatch,
                when=when,
            )
        case ir.Split():
            sticky_by = None if rule.sticky_by is None else _source(rule.sticky_by)
            return config.Split(name=rule.name, weights=rule.weights, sticky_by=sticky_by, when=when)
        case ir.Refuse():
            return config.Refuse(name=rule.name, message=rule.message, when=when)
        case _:
            assert_never(rule)


def _condition(test: ir.Condition) -> config.Condition:
    source = None if test.source is None else _source(test.source)
    return config.Condition(pattern=test.pattern, source=source, attribute=test.attribute)


def _source(source: ir.Source) -> config.Source:
    return config.Source(body=source.body, header=source.header)
