"""Every refusal that a client can get from the router: status, code, and a sentence that says what would be right.

The codes are part of the interface (docs/errors.md); the sentences name allowed values and never echo what
is inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reject:
    """Answer the client with an OpenAI-shaped error."""

    status: int
    code: str
    message: str
    param: str | None = None
    rule: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: str | None = None
    """For the operator's log, never for the client: what is broken."""


class BodyError(Exception):
    """The body can't be routed by; ``reject`` is what the client is answered."""

    def __init__(self, reject: Reject) -> None:
        super().__init__(reject.message)
        self.reject = reject


def registry_incomplete(param: str | None) -> Reject:
    """503: not every engine has told its models yet."""
    message = "The gateway has not yet heard from every engine which models it serves; try again shortly."
    return Reject(503, "registry_incomplete", message, param, headers={"retry-after": "1"})


def no_engine() -> Reject:
    """503: no engine answers."""
    return Reject(503, "no_engine", "No engine answers at the moment; try again shortly.", headers={"retry-after": "1"})


def model_not_found(model: str, available: Sequence[str]) -> Reject:
    """404: every engine has told its models and none serves this one."""
    return Reject(
        404,
        "model_not_found",
        f"The model {quote(model)} is not served here; {_choices('available', available)}",
        "model",
    )


def unknown_value(value: str, allowed: Sequence[str], param: str) -> Reject:
    """400: the value at ``param`` names nothing. The design's own field has a code of its own."""
    message = f"{quote(value)} is not a value that this gateway knows; {_choices('allowed', allowed)}"
    if param == "inference_server":
        return Reject(400, "unknown_inference_server", message, param)
    return Reject(400, "unknown_value", message, param)


def engine_model_mismatch(value: str, model: str | None, possible: Sequence[str], param: str) -> Reject:
    """400: the value at ``param`` names backends, but none that could take this request."""
    if model is not None:
        message = (
            f"{quote(value)} does not serve the model {quote(model)} here; {_choices('it is served by', possible)}"
        )
    else:
        message = f"{quote(value)} is not possible for this request; {_choices('possible', possible)}"
    return Reject(400, "engine_model_mismatch", message, param)


def not_found(paths: Sequence[str]) -> Reject:
    """404: the path or method isn't served; ``paths`` are those that take a POST."""
    served = ", ".join(f"POST {path}" for path in paths)
    return Reject(404, "not_found", f"Nothing is served here; available: {served}, GET /v1/models.")


def no_body() -> Reject:
    """400: a POST without a body."""
    return Reject(400, "invalid_json", "The request has no body; send a JSON object.")


def too_large(limit: int) -> Reject:
    """413: the body has more than ``limit`` bytes."""
    return Reject(413, "request_too_large", f"The request's body is too large; at most {limit} bytes are accepted.")


def too_large_decoded(limit: int) -> Reject:
    """413: the body has more than ``limit`` bytes when it is decoded."""
    message = f"The request's body is too large when it is decoded; at most {limit} bytes are accepted."
    return Reject(413, "request_too_large", message)


def unsupported_encoding(known: Sequence[str], most: int) -> Reject:
    """415: the body has another coding than those ``known``, or more than ``most`` of them."""
    message = f"The request's content-encoding is not accepted; allowed: {', '.join(known)}, up to {most} together."
    return Reject(415, "unsupported_content_encoding", message, "content-encoding")


def undecodable(coding: str) -> Reject:
    """400: the body isn't what its content-encoding says."""
    message = f"The request's body can't be decoded: it is not valid {coding}, damaged, or cut off."
    return Reject(400, "invalid_content_encoding", message, "content-encoding")


def repeated_header(name: str) -> Reject:
    """400: a header that a rule reads came more than once."""
    return Reject(400, "duplicate_field", f"The header {name} is given more than once; send it once.", name)


def repeated_parameter(name: str) -> Reject:
    """400: a parameter of the query that a rule reads came more than once."""
    message = f"The query's parameter {name} is given more than once; send it once."
    return Reject(400, "duplicate_field", message, name)


def overloaded() -> Reject:
    """503: the bound on body bytes in flight is reached."""
    message = "The gateway is handling as many request bytes as it can; try again shortly."
    return Reject(503, "router_overloaded", message, headers={"retry-after": "1"})


def misconfigured() -> Reject:
    """500: the gateway doesn't speak to the router as it should; the router's log says how."""
    return Reject(500, "router_misconfigured", "The gateway is not set up correctly.")


def stateful_request(param: str, sources: Sequence[str], header: str) -> Reject:
    """400: the request continues what one engine remembers, and doesn't name that engine.

    :param sources: what clients name engines by, as they are told.
    :param header: the header of answers that names who answered.
    """
    how = f"name it by {' or '.join(sources)}" if sources else "here a request can't name it"
    message = f"This request continues what one engine remembers; {how}. The header {header} of its answer told which."
    return Reject(400, "stateful_request", message, param)


def rule_failed(rule: str, fault: str) -> Reject:
    """500: a rule raised an exception or answered nonsense."""
    message = "The gateway could not choose an engine: one of its rules failed."
    return Reject(500, "rule_failed", message, rule=rule, fault=f"the rule {rule!r} failed: {fault}")


def invalid_json(reason: str) -> Reject:
    """400: the body isn't JSON in UTF-8."""
    return Reject(400, "invalid_json", f"The request's body is not valid JSON: {reason}.")


def invalid_request_body() -> Reject:
    """400: the body is JSON, but its top level is no object."""
    return Reject(400, "invalid_request_body", "The request's body must be a JSON object.")


def invalid_form(reason: str) -> Reject:
    """400: the body isn't the form that its content-type says."""
    return Reject(400, "invalid_form", f"The request's form (multipart/form-data) can't be read: {reason}.")


def model_renamed(model: str) -> Reject:
    """400: the engine knows the model by another name, which only a body could be given."""
    message = f"{quote(model)} can't be asked for in a request that is decided without its body."
    return Reject(400, "model_renamed", message, "model")


def duplicate_field(path: Sequence[str]) -> Reject:
    """400: a field of the body that rules read stands more than once at its level."""
    name = ".".join(path)
    return Reject(400, "duplicate_field", f'The field "{name}" is given more than once; send it once.', name)


def invalid_type(path: Sequence[str]) -> Reject:
    """400: a field of the body that rules choose by is no string."""
    name = ".".join(path)
    return Reject(400, "invalid_type", f'The field "{name}" must be a string.', name)


def quote(text: str, limit: int = 80) -> str:
    """A client's text for an error message: quoted, escaped, cut."""
    cut = text if len(text) <= limit else text[:limit] + "…"
    return '"' + cut.replace('"', "'") + '"' if cut.isprintable() else ascii(cut)


def _choices(label: str, values: Sequence[str], limit: int = 20) -> str:
    more = f" and {len(values) - limit} more" if len(values) > limit else ""
    return f"{label}: {', '.join(values[:limit]) or 'none'}{more}."
