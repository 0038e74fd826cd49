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

from . import answers, codings, query, reading, refusals, stateful
from .body import BodyReader, Fields
from .config import HEALTH_PATHS, MODELS_PATH, READING, Config, Reads, reads
from .decide import Step, decide
from .models import Snapshot
from .places import edited
from .reading import PLAIN, packing
from .refusals import Reject
from .request import MODEL, Bytes, Facts, FieldPath
from .second import Seconds
from .standing import Draw

HEALTH: Final = "health"
"""What an answer to a health check is called, in metadata and details."""
_JSON: Final = ("content-type", "application/json")
_MODEL: Final = "model"
"""The query's parameter that names the model, where no body is read."""
_OWN_HEADERS: Final = frozenset({":method", ":path", "content-length", "content-encoding", "content-type"})


class Protocol(msgspec.Struct, frozen=True):
    """What the first message's ``protocol_config`` announces. Without one, this is what is assumed."""

    request_body_mode: str = "BUFFERED"
    """The enum's name in Envoy's ``ProcessingMode.BodySendMode``."""
    send_body_without_waiting: bool = False


BUFFERED: Final = Protocol()
"""How the router gets bodies: one message with the whole body, after the reply to the headers. Where it reads none,
``NONE`` will do."""


class Headers(msgspec.Struct, frozen=True):
    """The request's headers, pseudo headers such as ``:path`` included."""

    pairs: tuple[tuple[str, str | bytes], ...]
    """In order, names in lower case; ``raw_value`` gives bytes, ``value`` gives text."""
    end_of_stream: bool
    """Whether no body follows."""


class Body(msgspec.Struct, frozen=True):
    """The request's whole body."""

    data: Bytes
    end_of_stream: bool
    """False where request trailers follow; the body is whole all the same."""


class Trailers(msgspec.Struct, frozen=True):
    """The request's trailers; the router asks nothing of them."""


class Continue(msgspec.Struct, frozen=True):
    """Reply to headers: go on, send the body. The server makes room for it first, or answers in its place."""

    body_bytes: int
    """How large it is; the most that it may be where the gateway doesn't say."""


class Change(msgspec.Struct, frozen=True):
    """What is forwarded in place of the body that came."""

    pieces: tuple[Bytes, ...]
    """One after the other, they are the new body."""
    codings: tuple[str, ...] = ()
    """The content codings that it no longer has."""
    model: str | None = None
    """The model's name in it, where that is another."""
    without: tuple[FieldPath, ...] = ()
    """Fields that it no longer has."""

    @property
    def length(self) -> int:
        """Bytes of the new body."""
        return sum(map(len, self.pieces))

    @property
    def told(self) -> tuple[str, ...]:
        """What is different, in words."""
        decoded = [f"without its content-encoding ({', '.join(self.codings)})"] if self.codings else []
        named = [f'with the model "{self.model}"'] if self.model is not None else []
        return (*decoded, *named, *(f"without {'.'.join(path)}" for path in self.without), f"{self.length} bytes")


class Routed(msgspec.Struct, frozen=True):
    """Reply to a body, or to headers that need none: send the request to ``backend``.

    On the wire: overwrite the routing header with the backend's name (in ``raw_value``), clear the route cache, and
    tell the decision in dynamic metadata.
    """

    backend: str
    rule: str
    second: str | None = None
    """Where it goes if ``backend`` refuses the connection; told in dynamic metadata, for the gateway's routes."""
    change: Change | None = None
    """``None``: the body goes on byte for byte."""
    at_headers: bool = False
    """Whether it replies to the headers: the body, if any, isn't read."""


class Answer(msgspec.Struct, frozen=True):
    """Reply to anything: answer the client now (Envoy's ``immediate_response``)."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]
    details: str
    """Envoy's response code details: ``routegen_`` and the code."""
    metadata: Mapping[str, str]
    """Dynamic metadata: ``{"reject": code}``, with ``rule`` where a rule rejected; ``{"answer": "models"}``, or
    :data:`HEALTH`."""
    fault: str | None = None
    """For the operator's log, never for the client: how the gateway is set up wrongly and what would be right."""

    @property
    def code(self) -> str | None:
        """The error code; ``None`` for a good answer."""
        return self.metadata.get("reject")


Reply = Continue | Routed | Answer


class Reading:
    """What is read in a body, and the reader that does."""

    def __init__(self, read: Reads) -> None:
        self.reads, self.reader = read, BodyReader(read)


class Policy:
    """One configuration, made ready for streams: build it once, when the configuration is loaded."""

    def __init__(self, config: Config) -> None:
        self.config = config
        placed = {path for backend in config.backends for path in backend.strips}
        placed |= {MODEL} if any(backend.renames for backend in config.backends) else set()
        self.reads = reads(config.rules).placing(placed)
        self.changes = {backend.name: (dict(backend.renames), backend.strips) for backend in config.backends}
        """What is done to the bodies that go to each backend: the model's new names, and what is taken out."""
        plain = Reading(self.reads)
        self._readings = {
            path: Reading(self.reads.asking(stateful.FIELDS)) if stateful.PATH in path else plain
            for path in config.paths
        }
        self.wanted: frozenset[str] = self.reads.headers | _OWN_HEADERS
        self.parameters = self.reads.queries | ({_MODEL} if config.by_headers else frozenset())
        self.seconds = Seconds(config)

    def reading(self, path: str) -> Reading:
        """How bodies of requests to ``path`` are read, which is one of the configured paths."""
        return self._readings[path]


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
        twice = self._read_query(parameters)
        if twice is not None:
            return self.refuse(refusals.repeated_parameter(twice))
        if unread:
            return self._decide(
                Facts(
                    self.path,
                    self._queries.get(_MODEL),
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
            text = value if isinstance(value, str) else _text(value)
            if name in self._headers:
                text = f"{self._headers[name]},{text}"  # what a repetition means (RFC 9110, section 5.3)
                twice = name if name in self._policy.reads.headers else twice
            self._headers[name] = text
        return twice

    def _read_query(self, text: str) -> str | None:
        """Keep the query's parameters that rules read; the name of one that came twice, if any."""
        names = self._policy.parameters
        if not names or not text:
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


def _text(value: bytes) -> str:
    """A header's value; HTTP allows any bytes, UTF-8 is what clients mean."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
