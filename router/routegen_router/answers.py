"""The JSON documents that the router itself answers with: errors and models, as OpenAI shapes them."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from . import anthropic
from .cards import together
from .decide import unserved
from .models import Snapshot
from .refusals import Reject, no_engine, registry_incomplete


def error_document(reject: Reject) -> dict[str, dict[str, str | None]]:
    """``{"error": {"message", "type", "param", "code"}}``.

    The type is ``invalid_request_error`` for a status below 500, else ``server_error``.
    """
    kind = "server_error" if reject.status >= 500 else "invalid_request_error"  # noqa: PLR2004 - HTTP's server errors
    return {"error": {"message": reject.message, "type": kind, "param": reject.param, "code": reject.code}}


def error(reject: Reject, path: str = "") -> bytes:
    """A refusal as JSON, in the shape that clients of ``path`` expect: Anthropic's, or :func:`error_document`."""
    shape = anthropic.error_document if anthropic.speaks(path) else error_document
    return msgspec.json.encode(shape(reject))


@lru_cache(maxsize=1)  # a snapshot never changes, and a long list takes a while to write
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
    return unserved(name, view)


def health(view: Snapshot) -> bytes | Reject:
    """``GET /health``: whether some engine can take a request, as far as is known."""
    if not all(entry.asked for entry in view.known.values()):
        return registry_incomplete(None)
    return msgspec.json.encode({"status": "ok"}) if view.alive else no_engine()


def _entry(model: str, serving: tuple[str, ...], view: Snapshot) -> dict[str, object]:
    """OpenAI's Model object, what engines tell beyond it, and the backends that serve it.

    ``owned_by`` is the first backend's owner.
    """
    known = [view.known[name] for name in serving]
    created = next((entry.answer.models[model] for entry in known if entry.answer and model in entry.answer.models), 0)
    return {
        "id": model,
        "object": "model",
        "created": created,
        "owned_by": known[0].owner or "",
        **together(entry.answer.cards[model] for entry in known if entry.answer and model in entry.answer.cards),
        "backends": [{"name": entry.backend.name, "owned_by": entry.owner or ""} for entry in known],
    }
