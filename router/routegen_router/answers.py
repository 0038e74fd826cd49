"""What the router itself answers: rejections that need no rules, and OpenAI's JSON for errors and models."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .decide import Reject, model_not_found, registry_incomplete
from .models import Snapshot


def error(reject: Reject) -> bytes:
    """``{"error": {"message", "type", "param", "code"}}``.

    The type is ``invalid_request_error`` for a status below 500, else ``server_error``.
    """
    kind = "server_error" if reject.status >= 500 else "invalid_request_error"  # noqa: PLR2004 - HTTP's server errors
    body = {"message": reject.message, "type": kind, "param": reject.param, "code": reject.code}
    return msgspec.json.encode({"error": body})


def models(view: Snapshot) -> bytes:
    """``GET /v1/models``: every exact model id that is known, once, in the backends' order.

    Globs aren't listed: nobody knows which ids they stand for.
    """
    entries = [_entry(model, view.serving(model), view) for model in view.models]
    return msgspec.json.encode({"object": "list", "data": entries})


def model(name: str, view: Snapshot) -> bytes | Reject:
    """``GET /v1/models/{name}``: one entry; 404, or 503 while some engine hasn't told its models yet."""
    serving = view.serving(name)
    if serving:
        return msgspec.json.encode(_entry(name, serving, view))
    return model_not_found(name, view) if view.complete else registry_incomplete("model")


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


def unsupported_encoding() -> Reject:
    """415: the body is compressed."""
    message = "The request's content-encoding is not accepted; send the body without one (identity)."
    return Reject(415, "unsupported_content_encoding", message, "content-encoding")


def repeated_header(name: str) -> Reject:
    """400: a header that a rule reads came more than once."""
    return Reject(400, "duplicate_field", f"The header {name} is given more than once; send it once.", name)


def overloaded() -> Reject:
    """503: the bound on body bytes in flight is reached."""
    message = "The gateway is handling as many request bytes as it can; try again shortly."
    return Reject(503, "router_overloaded", message, headers={"retry-after": "1"})


def _entry(model: str, serving: tuple[str, ...], view: Snapshot) -> dict[str, object]:
    """OpenAI's Model object, and the backends that serve it. ``owned_by`` is the first backend's owner."""
    known = [view.known[name] for name in serving]
    created = next((entry.answer.models[model] for entry in known if entry.answer and model in entry.answer.models), 0)
    return {
        "id": model,
        "object": "model",
        "created": created,
        "owned_by": known[0].owner or "",
        "backends": [{"name": entry.backend.name, "owned_by": entry.owner or ""} for entry in known],
    }
