"""Requests that continue what one engine remembers: the Responses API keeps a response, and who made it, in one place.

A follow-up names an earlier response (``previous_response_id``) or a ``conversation``. At any other engine it fails, or
worse, gets an answer that knows nothing of what went before. So nothing but the client may choose its engine
(:func:`~routegen_router.decide.decide`), and it has no second choice.

Source: OpenAI's API reference, "Create a model response"; vLLM and SGLang serve it at ``/v1/responses``.
"""

from __future__ import annotations

from typing import Final

from .request import Facts, FieldPath

PATH: Final = "/responses"
"""A part of the paths whose requests may continue what one engine remembers."""
FIELDS: Final[tuple[FieldPath, ...]] = (("previous_response_id",), ("conversation",))
"""What a body continues; a conversation may be an object, ``{"id": …}``."""


def continued(facts: Facts) -> str | None:
    """What says what a request continues, or asks for; ``None``: it begins something.

    A request that is decided without its body has a response's id in its path.
    """
    if PATH not in facts.path:
        return None
    if facts.unread:
        return "response_id"
    return next((".".join(field) for field in FIELDS if field in facts.fields), None)
