"""What a gateway would do with one request, and why: the router's own code, run on paper.

Pure: the plan, what is known of the engines and a request in, a report out. The request goes through the same
:class:`~routegen_router.stream.Stream` that a router drives, so that the report can't disagree with it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from routegen.common.problems import UserError
from routegen.compile.advice import claims
from routegen.emit.router_config import router_config
from routegen.explain.gateway import Passed, Request, arrive, is_read
from routegen.explain.knowledge import BackendKnowledge, Knowledge
from routegen.plan import Mirror, Plan
from routegen_router import config as contract
from routegen_router.config import Config
from routegen_router.decide import Step
from routegen_router.messages import Answer, Body, Continue, Headers, Routed
from routegen_router.policy import Policy
from routegen_router.refusals import Reject
from routegen_router.request import FieldPath
from routegen_router.standing import Draw
from routegen_router.stream import Stream, rejection

PASSTHROUGH: Final = "passthrough"
"""The rule named for a request that the gateway sends on unread."""
_LIKENESS: Final = 0.8
"""From how much likeness on (:func:`difflib.get_close_matches`) a name counts as misspelt."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the client gets from the gateway; where ``status`` is ``None``, the engine's own answer."""

    status: int | None
    headers: Mapping[str, str]
    """Those that the gateway adds, or all of its own answer's."""
    body: Any
    """The JSON document of the gateway's own answer; ``None`` for an engine's, and in answer to HEAD."""


@dataclass(frozen=True, slots=True)
class Report:
    """What would happen to a request, and why."""

    method: str
    path: str
    origin: str
    """Where the knowledge of engines comes from."""
    registry: tuple[BackendKnowledge, ...]
    candidates: tuple[str, ...]
    """The backends that serve the model; empty where the chain wasn't reached."""
    steps: tuple[Step, ...]
    not_reached: tuple[str, ...]
    """The rules after the one that ended the chain."""
    backend: str | None
    """Where the request goes; ``None`` where the gateway answers itself."""
    second: str | None
    """Where it goes if that engine refuses the connection; ``None``: it fails then."""
    rule: str | None
    """What decided or rejected."""
    copy: Mirror | None
    """Which other engine may get a copy of it; ``None``: none."""
    changes: tuple[str, ...]
    """What the engine gets otherwise than the client sent it; nothing: the body goes on byte for byte."""
    code: str | None
    """The error's code, where it is refused."""
    reply: Reply
    warnings: tuple[str, ...]
    """What looks like a mistake in the request, owners that are other backends' names, and what to do where too little
    is known of the engines."""

    @property
    def shares(self) -> dict[str, float]:
        """Where the choice was random: backend -> its share of requests like this one."""
        return dict(self.steps[-1].shares) if self.steps else {}


def explain(plan: Plan, knowledge: Knowledge, request: Request, draw: Draw) -> Report:
    """Say what would happen to ``request``.

    :param draw: randomness for splits.
    """
    config = checked_config(plan)
    headers, dropped = _as_forwarded(plan, request)
    trace: list[Step] = []
    match arrive(plan, request):
        case Passed(backend):
            outcome: Routed | Answer = Routed(backend, PASSTHROUGH)
        case Reject() as reject:
            outcome = rejection(reject, request.path.partition("?")[0])
        case Request() as arrived:
            outcome = _run(config, knowledge, replace(arrived, headers=headers), draw, trace)
    return Report(
        method=request.method,
        path=request.path,
        origin=knowledge.origin,
        registry=knowledge.backends,
        candidates=trace[0].candidates if trace else (),
        steps=tuple(trace),
        # The first step is the model's, then each rule leaves one.
        not_reached=tuple(rule.name for rule in config.rules[max(len(trace) - 1, 0) :]),
        backend=outcome.backend if isinstance(outcome, Routed) else None,
        second=outcome.second if isinstance(outcome, Routed) else None,
        rule=outcome.rule if isinstance(outcome, Routed) else outcome.metadata.get("rule"),
        copy=_copy(plan, request, outcome),
        changes=outcome.change.told if isinstance(outcome, Routed) and outcome.change is not None else (),
        code=None if isinstance(outcome, Routed) else outcome.code,
        reply=_reply(plan, request.method, outcome),
        warnings=(
            *dropped,
            *_misspelt(config, request),
            *claims((backend.name, backend.owner) for backend in knowledge.backends),
            *_remedy(knowledge, outcome),
            *_fault(outcome),
        ),
    )


@lru_cache(maxsize=4)
def checked_config(plan: Plan) -> Config:
    """The router's configuration, as a router would load it.

    :raises UserError: a router would refuse it.
    """
    try:
        return contract.load(contract.dump(router_config(plan)), origin=plan.name)
    except contract.ConfigError as error:
        raise UserError(str(error)) from error


_policy = lru_cache(maxsize=4)(Policy)


def _run(config: Config, knowledge: Knowledge, request: Request, draw: Draw, trace: list[Step]) -> Routed | Answer:
    """Drive the router's own stream, as a gateway in BUFFERED mode does."""
    stream = Stream(_policy(config), lambda: knowledge.view, draw)
    own = [(":method", request.method), (":path", request.path)]
    if request.body and not any(name == "content-length" for name, _ in request.headers):
        own.append(("content-length", str(len(request.body))))
    reply = stream.on_headers(Headers((*own, *request.headers), end_of_stream=not request.body), trace=trace)
    if isinstance(reply, Continue):
        return stream.on_body(Body(request.body, end_of_stream=True), trace)
    return reply


def _reply(plan: Plan, method: str, outcome: Routed | Answer) -> Reply:
    if isinstance(outcome, Routed):
        return Reply(None, {plan.routing_header: outcome.backend}, None)
    body = None if method == "HEAD" else json.loads(outcome.body)
    return Reply(outcome.status, dict(outcome.headers), body)


def _copy(plan: Plan, request: Request, outcome: Routed | Answer) -> Mirror | None:
    """Where a copy goes: of what the router has read, and of nothing else."""
    if not isinstance(outcome, Routed) or not is_read(plan, request):
        return None
    return plan.backend(outcome.backend).mirror


def _as_forwarded(plan: Plan, request: Request) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The headers that reach the router, and what became of the others."""
    kept, warnings = [], []
    for name, value in ((name.lower(), value) for name, value in request.headers):
        if name == plan.routing_header:
            warnings.append(f"{name}: the gateway removes this header from every request; only the router sets it")
        elif "_" in name:
            warnings.append(f"{name}: the gateway drops headers with underscores")
        else:
            kept.append((name, value))
    return tuple(kept), tuple(warnings)


def _remedy(knowledge: Knowledge, outcome: Routed | Answer) -> tuple[str, ...]:
    unsure = isinstance(outcome, Answer) and outcome.code in {"registry_incomplete", "model_not_found"}
    return (knowledge.remedy,) if unsure and knowledge.remedy else ()


def _fault(outcome: Routed | Answer) -> tuple[str, ...]:
    return (outcome.fault,) if isinstance(outcome, Answer) and outcome.fault is not None else ()


def _misspelt(config: Config, request: Request) -> Iterator[str]:
    """Names in the request that look like ones that rules read, and aren't."""
    names = [name.lower() for name, _ in request.headers]
    yield from _lookalikes("header", names, contract.reads(config.rules).headers)
    try:
        document = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        return
    yield from _misspelt_fields(document, (), contract.reads(config.rules).named)


def _misspelt_fields(document: Any, above: FieldPath, fields: Collection[FieldPath]) -> Iterator[str]:
    if not isinstance(document, dict):
        return
    depth = len(above)
    known = {path[depth] for path in fields if len(path) > depth and path[:depth] == above}
    yield from _lookalikes("field", document, known, ".".join((*above, "")))
    for key in known & document.keys():
        yield from _misspelt_fields(document[key], (*above, key), fields)


def _lookalikes(what: str, names: Iterable[str], known: Collection[str], prefix: str = "") -> Iterator[str]:
    folded = {name.lower().replace("-", "_"): name for name in known}
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name.lower().replace("-", "_"), folded, 1, _LIKENESS)
            if close:
                yield f'the {what} "{prefix}{name}" is read by no rule; did you mean "{prefix}{folded[close[0]]}"?'
