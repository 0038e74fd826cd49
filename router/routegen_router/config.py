"""The router's own configuration file: the contract between the generator and the router.

The generator writes it (as JSON, in a ConfigMap or a file), the router reads it. It knows nothing of
Kubernetes, gateways or Envoy: whatever those need was decided when it was rendered. Durations are
seconds, sizes are bytes. Every name in a rule is already resolved to the backends that bear it, except
where only the running registry can know (a value that a client sends).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET

from .backend import Backend, Key, Poll
from .plugins import PluginError
from .request import MODEL, FieldPath, Measure, Opened
from .rules import BUILT_IN, Rule
from .rules.table import needed

__all__ = [
    "HEALTH_PATHS",
    "MODELS_PATH",
    "READING",
    "VERSION",
    "Backend",
    "Config",
    "ConfigError",
    "Key",
    "Models",
    "Poll",
    "Reads",
    "Tls",
    "dump",
    "load",
    "reads",
]

_TESTS: Final = 3
"""Kinds of test that a condition can be."""
VERSION: Final = "routegen.router/v1"
MODELS_PATH: Final = "/v1/models"
"""The list of all engines' models, which the router answers, and below it each model by its id."""
HEALTH_PATHS: Final = ("/health", "/healthz", "/ping")
"""Where load balancers and load generators ask whether the gateway can route; the router answers."""
READING: Final = ("GET", "HEAD")
"""The methods by which the router's own answers are asked for."""


class ConfigError(ValueError):
    """The configuration file can't be used; the text says what is wrong and where."""


class Models(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The model registry's settings."""

    interval: float = 15.0
    timeout: float = 2.0
    unknown: Literal["reject", "allow"] = "reject"
    """What a model that nobody serves means: 404, or every backend stays a candidate."""


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """PEM files on the router's disk."""

    cert_file: str
    """Its certificate chain."""
    key_file: str
    """Its private key, without a passphrase."""
    ca_file: str
    """The authorities of gateways' certificates; who shows none of theirs is refused."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that a router needs to know."""

    version: Literal["routegen.router/v1"] = VERSION
    name: str
    """The routes' name, for logs."""
    routing_header: str
    paths: tuple[str, ...]
    """Exact request paths whose POST bodies are read."""
    by_headers: tuple[Opened, ...] = ()
    """Requests that are decided by their headers and query alone; ``model`` is a parameter of the query."""
    max_body_bytes: int
    max_inflight_bytes: int
    """Sum of request bodies being handled; more is 503 ``router_overloaded``."""
    workers: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """How many processes decide, each on addresses of its own; ``None``: what the container's CPU limit allows."""
    models: Models = Models()
    backends: tuple[Backend, ...]
    """In the order of routes.yaml."""
    rules: tuple[Rule, ...]
    tls: Tls | msgspec.UnsetType = UNSET
    """Gateways must speak TLS and show a certificate, on every address; without, neither is possible."""
    requires: tuple[str, ...] | msgspec.UnsetType = UNSET
    """The distributions that bring rules of this file which aren't built in; a router without one refuses the file."""


class Reads(msgspec.Struct, frozen=True):
    """Which parts of a request a configuration's rules read."""

    headers: frozenset[str]
    """In lower case: what a gateway must forward to the router."""
    chosen: frozenset[FieldPath]
    """Fields of the body that rules choose by, and :data:`~routegen_router.request.MODEL`; each must be text."""
    compared: frozenset[FieldPath]
    """Fields that only conditions read; they may be of any kind."""
    measured: frozenset[Measure] = frozenset()
    """What conditions measure in the body."""
    begins: bool = False
    """Whether the conversation's beginning is asked for."""
    queries: frozenset[str] = frozenset()
    """Parameters of the query."""
    given: frozenset[FieldPath] = frozenset()
    """Of the compared fields, those that count as empty text where they hold an object or a list."""
    placed: frozenset[FieldPath] = frozenset()
    """Fields whose places are told, because they are changed or taken out for some backend."""

    @property
    def fields(self) -> frozenset[FieldPath]:
        """All fields of the body whose values are read."""
        return self.chosen | self.compared

    @property
    def named(self) -> frozenset[FieldPath]:
        """All fields of the body that rules speak of."""
        return self.fields | {field for field, _ in self.measured}

    def placing(self, fields: Iterable[FieldPath]) -> Reads:
        """The same, and where these fields stand."""
        return msgspec.structs.replace(self, placed=self.placed | frozenset(fields))

    def asking(self, fields: Iterable[FieldPath]) -> Reads:
        """The same, and whether these fields are given, whatever they hold."""
        more = frozenset(fields) - self.chosen
        return msgspec.structs.replace(self, compared=self.compared | more, given=self.given | more)


def reads(rules: Iterable[Rule]) -> Reads:
    """Find out what ``rules`` read: the one place that does."""
    rules = tuple(rules)
    chosen = [source for rule in rules for source in rule.sources()]
    tests = [test for rule in rules for test in rule.when]
    measured = {test.measured for test in tests if test.measured is not None}
    measured |= {measure for rule in rules for measure in rule.measures()}
    compared = [test.source for test in tests if test.source is not None and test.measured is None]
    fields = frozenset({MODEL, *(source.body for source in chosen if source.body)})
    return Reads(
        frozenset(source.header for source in (*chosen, *compared) if source.header),
        fields,
        frozenset(source.body for source in compared if source.body) - fields,
        frozenset(measured),
        any(source.prefix for source in chosen),
        frozenset(source.query for source in (*chosen, *compared) if source.query),
    )


def _decoder(rules: Iterable[type[Rule]]) -> msgspec.json.Decoder[Any]:
    """Reads a configuration whose rules are of these kinds."""
    known: Any = reduce(or_, rules)
    fields = [("rules", tuple[known, ...])]
    return msgspec.json.Decoder(
        msgspec.defstruct("Config", fields, bases=(Config,), frozen=True, forbid_unknown_fields=True, kw_only=True)
    )


_decode: Final = _decoder(BUILT_IN).decode


class _Kind(msgspec.Struct, frozen=True):
    kind: str = ""


class _Kinds(msgspec.Struct, frozen=True):
    """What has to be known of a file before its rules can be read."""

    rules: tuple[_Kind, ...] = ()
    requires: tuple[str, ...] = ()


_decode_kinds: Final = msgspec.json.Decoder(_Kinds).decode


def load(data: bytes, *, origin: str = "config") -> Config:
    """Read a configuration file's bytes.

    :param origin: what to call it in errors, usually the file's name.
    :raises ConfigError: it isn't JSON, has an unknown key or a wrong type, says what can't be, or has rules of a plugin
        that isn't installed.
    """
    try:
        kinds = _decode_kinds(data)
        more = needed({rule.kind for rule in kinds.rules} - {""}, kinds.requires)
        found = _decoder((*BUILT_IN, *more)).decode(data) if more else _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, PluginError) as error:
        raise ConfigError(f"{origin}: {error}") from error
    config = Config(**msgspec.structs.asdict(found))
    problems = _problems(config)
    if problems:
        raise ConfigError(f"{origin}: " + "; ".join(problems))
    return config


def dump(config: Config) -> bytes:
    """Write a configuration as indented JSON; equal configurations give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(config), indent=2) + b"\n"


def _problems(config: Config) -> list[str]:
    """What the types can't say."""
    problems = []
    names = [backend.name for backend in config.backends]
    if not names:
        problems.append("no backends")
    problems += [
        f"backend {backend.name!r}: poll has no url"
        for backend in config.backends
        if backend.poll is not None and not backend.poll.urls
    ]
    problems += [f"backend {name!r} is listed twice" for name in sorted({n for n in names if names.count(n) > 1})]
    for backend in config.backends:
        strangers = sorted({*backend.seconds} - {*names} | {*backend.seconds} & {backend.name})
        problems += [f"backend {backend.name!r}: {name!r} can't be its second choice" for name in strangers]
        other = {one.name for one in config.backends if (one.renames, one.strips) != (backend.renames, backend.strips)}
        problems += [
            f"backend {backend.name!r}: {name!r} can't be its second choice, as it gets other bodies"
            for name in sorted(other & {*backend.seconds})
        ]
        if backend.key is not None and bool(backend.key.env) == bool(backend.key.file):
            problems.append(f"backend {backend.name!r}: a key needs either an environment variable or a file")
    rules = [rule.name for rule in config.rules]
    problems += [f"rule {name!r} is listed twice" for name in sorted({n for n in rules if rules.count(n) > 1})]
    for rule in config.rules:
        tested = (test.source for test in rule.when if test.source is not None)
        sources = (*rule.sources(), *tested)
        if any(sum(map(bool, (one.body, one.header, one.query, one.prefix))) != 1 for one in sources):
            problems.append(f"rule {rule.name!r}: a source needs a body field, a header or a query's parameter")
    problems += _field_problems(reads(config.rules))
    for rule in config.rules:
        if any((test.pattern, test.bounds, test.present).count(UNSET) != _TESTS - 1 for test in rule.when):
            problems.append(f"rule {rule.name!r}: a condition needs exactly one of pattern, bounds and present")
    if config.max_inflight_bytes < config.max_body_bytes:
        problems.append(
            f"max_inflight_bytes is below max_body_bytes ({config.max_body_bytes}): no such body could pass"
        )
    return problems


def _field_problems(read: Reads) -> list[str]:
    """What the reader of bodies can't do."""
    problems = []
    fields = read.fields
    for path in sorted(read.named):
        name = ".".join(path)
        if any(not key.isprintable() or '"' in key or "\\" in key for key in path):
            problems.append(f"body field {name!r} holds a quote, a backslash or a control character")
        deeper = sorted(
            other for other in fields if path in fields and len(other) > len(path) and other[: len(path)] == path
        )
        problems += [f"body field {name!r} can't be text and also hold {'.'.join(other)!r}" for other in deeper]
    return problems
