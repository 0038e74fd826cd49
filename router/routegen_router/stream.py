"""One external-processing stream as a state machine over plain data: messages in, at most one reply to each.

Pure policy: no protobuf, no I/O, no clock. The server translates messages (:mod:`~routegen_router.wire`), hands them
to a :class:`Stream` and sends what comes back; ``routegen explain`` drives the same machine.

Envoy opens one stream a request. With ``request_header_mode: SEND`` and ``request_body_mode: BUFFERED`` the first
message holds the headers, the second the whole body; where no body is read, there is no second one. After
:class:`Routed` or :class:`Answer` the stream is over and the server ends it at once: a stream that stays open is held
until the engine's answer ends. A stream must never end well without a reply, since Envoy reads that as "let it pass".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import unquote

import msgspec

from . import answers, codings, query, reading, refusals
from .body import Fields
from .config import HEALTH_PATHS, MODELS_PATH, READING
from .decide import Step, decide
from .messages import BUFFERED, HEALTH, Answer, Body, Change, Continue, Headers, Protocol, Routed, Trailers
from .models import Snapshot
from .places import edited
from .policy import MODEL_PARAMETER, Policy
from .reading import PLAIN, packing
from .refusals import Reject
from .request import MODEL, Bytes, Facts
from .standing import Draw

_JSON: Final = ("content-type", "application/json")


class Stream:
    """One request's stream. Calls must not overlap, but may come from different threads."""

    __slots__ = (
        "_draw",
        "_headers",
        "_policy",
        "_queries",
        "_view",
        "_waiting",
        "body_bytes",
        "packing",
        "path",
    )

    def __init__(self, policy: Policy, view: Callable[[], Snapshot], draw: Draw) -> None:
        """Start a stream.

        :param view: tells what is known of the engines; called when an answer needs it.
        :param draw: randomness for splits.
        """
        self.path = ""
        """The request's path without its query, once the headers are here."""
        self.body_bytes = 0
        """The body's size, once it is here; that of what it was decoded to, once it is read."""
        self.packing = PLAIN
        """How the body is packed, once the headers are here."""
        self._policy, self._view, self._draw = policy, view, draw
        self._headers: dict[str, str] = {}
        self._queries: Mapping[str, str] = {}
        self._waiting = False

    def on_headers(
        self, headers: Headers, protocol: Protocol = BUFFERED, trace: list[Step] | None = None
    ) -> Continue | Routed | Answer:
        """The request's headers: answer or decide what needs no body, refuse what can't be, else ask for the body.

        :param trace: collects a step a rule, for ``explain``.
        """
        if self._headers:
            return self._fault("the request's headers came twice")
        if protocol.request_body_mode not in {"BUFFERED", "NONE"} or protocol.send_body_without_waiting:
            return self._wrong_mode(protocol)
        twice = self._read_headers(headers)
        method, target = self._headers.get(":method"), self._headers.get(":path")
        if method is None or target is None:
            return self._fault(
                "the request has no :method or :path; the ext_proc filter's forward_rules must let them pass"
            )
        self.path, _, parameters = target.partition("?")
        own = self._own_answer() if method in READING else None
        if own is not None:
            return own
        unread = method != "POST" or self.path not in self._policy.config.paths
        if unread and not any(one.method == method and one.takes(self.path) for one in self._policy.config.by_headers):
            return self.refuse(refusals.not_found(self._policy.config.paths))
        if twice is not None:
            return self.refuse(refusals.repeated_header(twice))
        twice = self._read_query(parameters) if parameters else None
        if twice is not None:
            return self.refuse(refusals.repeated_parameter(twice))
        if unread:
            return self._decide(
                Facts(
                    self.path,
                    self._queries.get(MODEL_PARAMETER),
                    {},
                    self._headers,
                    queries=self._queries,
                    unread=True,
                ),
                trace,
            )
        if protocol.request_body_mode != "BUFFERED":
            return self._wrong_mode(protocol)
        return self._await_body(headers.end_of_stream)

    def on_body(self, body: Body, trace: list[Step] | None = None) -> Routed | Answer:
        """The request's body: read it and decide.

        :param trace: collects a step a rule, for ``explain``.
        """
        refused = self.take(body)
        if refused is not None:
            return refused
        reader = self._policy.reading(self.path).reader
        return self.on_fields(reading.found(reader, body.data, self.packing), body.data, trace)

    def take(self, body: Body) -> Answer | None:
        """The request's body, for a server that reads it elsewhere; an answer where it needn't be read."""
        if not self._waiting:
            return self._fault("a body came where none was due; set the ext_proc filter's request_header_mode to SEND")
        self._waiting = False
        self.body_bytes = len(body.data)
        limit = self._policy.config.max_body_bytes
        return self.refuse(refusals.too_large(limit)) if self.body_bytes > limit else None

    def on_fields(self, found: Fields | Reject, raw: Bytes, trace: list[Step] | None = None) -> Routed | Answer:
        """What the body ``raw`` that was taken says, or why it can't be read: decide."""
        if isinstance(found, Reject):
            return self.refuse(found)
        body = raw if found.decoded is None else found.decoded
        self.body_bytes = len(body)
        facts = Facts(self.path, found.model, found.values, self._headers, self.body_bytes, found.sizes, self._queries)
        routed = self._decide(facts, trace)
        if not isinstance(routed, Routed) or (found.decoded is None and not found.places):
            return routed
        change = self._change(found, body, routed.backend)
        limit = self._policy.config.max_body_bytes
        if change is not None and change.length > limit:
            return self.refuse(refusals.too_large(limit))
        return msgspec.structs.replace(routed, change=change)

    def _change(self, found: Fields, body: Bytes, backend: str) -> Change | None:
        """What the engine gets in place of the body, if it gets another one."""
        renames, strips = self._policy.changes[backend]
        model = renames.get(found.model, found.model) if found.model is not None else None
        renamed = model is not None and model != found.model
        values = [(found.places[MODEL], self.packing.written(model))] if renamed and model is not None else []
        without = tuple(path for path in strips if path in found.places)
        if found.decoded is None and not values and not without:
            return None
        pieces = edited(body, values, [found.places[path] for path in without])
        return Change(pieces, self.packing.codings, model if renamed else None, without)

    def _decide(self, facts: Facts, trace: list[Step] | None) -> Routed | Answer:
        view = self._view()
        if facts.unread and facts.model is not None:
            view = self._policy.naming(facts.model, view)
        decision = decide(facts, self._policy.config, view, self._draw, trace)
        if isinstance(decision, Reject):
            return self.refuse(decision)
        second = self._policy.seconds.of(decision, facts, view, self._draw)
        if facts.unread and facts.model in self._policy.changes[decision.backend][0]:
            return self.refuse(refusals.model_renamed(facts.model or ""))
        return Routed(decision.backend, decision.rule, second, at_headers=facts.unread)

    def on_trailers(self, trailers: Trailers) -> Answer:
        """Trailers where a body was due: the request has none."""
        del trailers
        if not self._waiting:
            return self._fault(
                "trailers came where no body was due; set the ext_proc filter's request_trailer_mode to SKIP"
            )
        return self.refuse(refusals.no_body())

    def on_unexpected(self, message: str) -> Answer:
        """Any other message; ``message`` is its name in the protocol, such as ``response_headers``."""
        return self._fault(f"the gateway sent {message}, which the router doesn't handle; set its mode to SKIP or NONE")

    def refuse(self, reject: Reject) -> Answer:
        """A rejection of this request."""
        return rejection(reject, self.path)

    def _fault(self, text: str) -> Answer:
        """The gateway and the router don't fit together: 500 for the client, the reason for the operator."""
        return rejection(replace(refusals.misconfigured(), fault=text), self.path)

    def _wrong_mode(self, protocol: Protocol) -> Answer:
        return self._fault(
            f"the gateway announces request_body_mode {protocol.request_body_mode}"
            f"{' with send_body_without_waiting' * protocol.send_body_without_waiting}; "
            "set the ext_proc filter to request_header_mode SEND and request_body_mode BUFFERED"
        )

    def _read_headers(self, headers: Headers) -> str | None:
        """Keep the headers that matter; the name of one that a rule reads and that came twice, if any."""
        twice = None
        for name, value in headers.pairs:
            if name not in self._policy.wanted:
                continue
            if isinstance(value, str):
                text = value
            else:  # inline: every header of every request
                try:
                    text = value.decode()
                except UnicodeDecodeError:  # HTTP allows any bytes, UTF-8 is what clients mean
                    text = value.decode("latin-1")
            if name in self._headers:
                text = f"{self._headers[name]},{text}"  # what a repetition means (RFC 9110, section 5.3)
                twice = name if name in self._policy.reads.headers else twice
            self._headers[name] = text
        return twice

    def _read_query(self, text: str) -> str | None:
        """Keep the query's parameters that rules read; the name of one that came twice, if any."""
        names = self._policy.parameters
        if not names:
            return None
        self._queries, twice = query.read(text, names)
        return twice

    def _await_body(self, ended: bool) -> Continue | Answer:
        """Refuse what can be refused without the body; else ask for it."""
        config = self._policy.config
        if ended:
            return self.refuse(refusals.no_body())
        applied = codings.parse(self._headers.get("content-encoding", ""))
        if applied is None:
            return self.refuse(refusals.unsupported_encoding(codings.KNOWN, codings.MOST))
        self.packing = packing(self._headers.get("content-type", ""), applied, config.max_body_bytes)
        length = self._headers.get("content-length", "")
        known = length.isascii() and length.isdigit()
        # Leading zeros are valid (RFC 9110, section 8.6) and no digits; more than 20 are too large whatever they say.
        size = int(length.lstrip("0")[:20] or "0") if known else config.max_body_bytes
        if size > config.max_body_bytes:
            return self.refuse(refusals.too_large(config.max_body_bytes))
        self._waiting = True
        return Continue(size)

    def _own_answer(self) -> Answer | None:
        """What the router answers itself; ``None`` for all else."""
        if self.path in HEALTH_PATHS:
            return self._health()
        if self.path == MODELS_PATH or self.path.startswith(MODELS_PATH + "/"):
            return self._models()
        return None

    def _models(self) -> Answer:
        """``GET /v1/models`` and ``/v1/models/{id}``; ids may contain slashes and be percent-encoded."""
        view = self._view()
        if self.path == MODELS_PATH:
            found: bytes | Reject = answers.models(view)
        else:
            found = answers.model(unquote(self.path.removeprefix(MODELS_PATH + "/")), view)
        if isinstance(found, Reject):
            return self.refuse(found)
        return Answer(200, found, (_JSON,), "routegen_models", {"answer": "models"})

    def _health(self) -> Answer:
        """200 where a request could reach an engine now: every engine was asked, and one of them answers."""
        found = answers.health(self._view())
        if isinstance(found, Reject):
            return self.refuse(found)
        return Answer(200, found, (_JSON,), f"routegen_{HEALTH}", {"answer": HEALTH})


def rejection(reject: Reject, path: str = "") -> Answer:
    """A rejection as a client of ``path`` gets it."""
    metadata = {"reject": reject.code} | ({"rule": reject.rule} if reject.rule is not None else {})
    headers = (_JSON, *reject.headers.items())
    return Answer(
        reject.status, answers.error(reject, path), headers, f"routegen_{reject.code}", metadata, reject.fault
    )
