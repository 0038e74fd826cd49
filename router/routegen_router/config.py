"""The router's own configuration file: the contract between the generator and the router.

The generator writes it (as JSON, in a ConfigMap or a file), the router reads it. It knows nothing of
Kubernetes, gateways or Envoy: whatever those need was decided when it was rendered. Durations are
seconds, sizes are bytes. Every name in a rule is already resolved to the backends that bear it, except
where only the running registry can know (a value that a client sends).
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

VERSION: Final = "routegen.router/v1"

FieldPath = tuple[str, ...]
"""Object keys from the top of the body, such as ``("metadata", "engine")``."""

MODEL: Final[FieldPath] = ("model",)
"""The field that names the request's model."""


class ConfigError(ValueError):
    """The configuration file can't be used; the text says what is wrong and where."""


class Poll(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to ask one engine which models it serves."""

    url: str
    """The engine's own model list, such as ``http://10.0.0.7:8000/v1/models``."""
    server_name: str | None = None
    """TLS server name to verify, where it differs from the URL's host."""
    ca_file: str | None = None
    """PEM file of the authorities to trust; ``None`` is the system's."""
    verify: bool = True
    """False accepts any certificate."""


class Backend(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One place a request can go."""

    name: str
    owner: str | None = None
    """``owned_by``; ``None`` means: whatever the engine's own model list says."""
    models: tuple[str, ...] = ()
    """Models it is known to serve: ids or globs (``llama-8b-*``)."""
    poll: Poll | None = None
    """``None``: the engine is not asked; ``models`` is all there is to know."""


class Models(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The model registry's settings."""

    interval: float = 15.0
    timeout: float = 2.0
    unknown: Literal["reject", "allow"] = "reject"
    """What a model that nobody serves means: 404, or every backend stays a candidate."""


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where in a request a value is found: exactly one of the two is set."""

    body: FieldPath | None = None
    header: str | None = None
    """Lower case."""

    def __str__(self) -> str:
        """As routes.yaml spells it: ``body: metadata.engine`` or ``header: x-engine``."""
        return f"body: {'.'.join(self.body)}" if self.body is not None else f"header: {self.header}"


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One test of ``when``: the value at ``source`` (or the path, or the model) matches ``pattern``."""

    pattern: str
    """Exact text or a glob, case-sensitive; ``*``, ``?`` and ``[…]`` as in :func:`fnmatch.fnmatchcase`."""
    source: Source | None = None
    attribute: Literal["model", "path"] | None = None


class _Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    name: str
    """Unique in the chain; it is what metrics, logs and ``explain`` show."""
    when: tuple[Condition, ...] = ()
    """All must hold, else the rule passes."""


class Prefer(_Rule, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="prefer"):
    """Narrow to these names if any of their backends is left (and answering), else pass."""

    names: tuple[str, ...]


class Lookup(_Rule, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="lookup"):
    """Narrow to the backends that a value of the request names."""

    source: Source
    values: tuple[tuple[str, str], ...] = ()
    """(value or glob, name) in order, first match wins; empty: the value itself is the name."""
    on_unknown: Literal["reject", "next"] = "reject"
    on_mismatch: Literal["reject", "next"] = "reject"


class Split(_Rule, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="split"):
    """Decide by weight among the candidates."""

    weights: tuple[tuple[str, float], ...]
    """(name, weight), weights of at least 0; a name's weight is shared evenly by its backends among the candidates."""
    sticky_by: Source | None = None
    """Weighted rendezvous hashing over this value; where it is absent the choice is random."""


class Refuse(_Rule, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="reject"):
    """End the chain: 400 ``no_route``."""

    message: str


Rule = Prefer | Lookup | Split | Refuse


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that a router needs to know."""

    version: Literal["routegen.router/v1"] = VERSION
    name: str
    """The routes' name, for logs."""
    routing_header: str
    paths: tuple[str, ...]
    """Exact request paths whose POST bodies are read."""
    max_body_bytes: int
    max_inflight_bytes: int
    """Sum of request bodies being handled; more is 503 ``router_overloaded``."""
    models: Models = Models()
    backends: tuple[Backend, ...]
    """In the order of routes.yaml."""
    rules: tuple[Rule, ...]


def _sources(rule: Rule) -> list[Source]:
    """Every place in a request that ``rule`` reads."""
    found = [test.source for test in rule.when]
    if isinstance(rule, Lookup):
        found.append(rule.source)
    if isinstance(rule, Split):
        found.append(rule.sticky_by)
    return [source for source in found if source is not None]


def read_headers(config: Config) -> frozenset[str]:
    """The request headers that rules read, in lower case: what a gateway must forward to the router."""
    found = (source.header for rule in config.rules for source in _sources(rule))
    return frozenset(filter(None, found))


def read_fields(config: Config) -> frozenset[FieldPath]:
    """The fields of the body that rules read, and :data:`MODEL`, which is always read."""
    found = (source.body for rule in config.rules for source in _sources(rule))
    return frozenset({MODEL, *filter(None, found)})


_decode: Final = msgspec.json.Decoder(Config).decode


def load(data: bytes, *, origin: str = "config") -> Config:
    """Read a configuration file's bytes.

    :param origin: what to call it in errors, usually the file's name.
    :raises ConfigError: it isn't JSON, has an unknown key or a wrong type, or says what can't be.
    """
    try:
        config = _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{origin}: {error}") from error
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
    problems += [f"backend {name!r} is listed twice" for name in sorted({n for n in names if names.count(n) > 1})]
    rules = [rule.name for rule in config.rules]
    problems += [f"rule {name!r} is listed twice" for name in sorted({n for n in rules if rules.count(n) > 1})]
    for rule in config.rules:
        if any(bool(source.body) == bool(source.header) for source in _sources(rule)):
            problems.append(f"rule {rule.name!r}: a source needs either a body field or a header")
    problems += _field_problems(read_fields(config))
    if config.max_inflight_bytes < config.max_body_bytes:
        problems.append(
            f"max_inflight_bytes is below max_body_bytes ({config.max_body_bytes}): no such body could pass"
        )
    return problems


def _field_problems(fields: frozenset[FieldPath]) -> list[str]:
    """What the reader of bodies can't do."""
    problems = []
    for path in sorted(fields):
        name = ".".join(path)
        if any(not key.isprintable() or '"' in key or "\\" in key for key in path):
            problems.append(f"body field {name!r} holds a quote, a backslash or a control character")
        deeper = sorted(other for other in fields if len(other) > len(path) and other[: len(path)] == path)
        problems += [f"body field {name!r} can't be text and also hold {'.'.join(other)!r}" for other in deeper]
    return problems
