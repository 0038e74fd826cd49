"""What an engine's error answer says: a code that may be recorded, and its sentence for people's eyes only. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")
_decode_anything: Final = msgspec.json.Decoder().decode
_LONGEST: Final = 300
"""Characters of an engine's sentence that are shown."""
_ECHO: Final = 24
"""So many characters in a row of what was sent are no accident."""


def in_short(status: int, document: bytes) -> str:
    """``HTTP 400 unknown_inference_server``: the status, and the error's code where it is one of ours to repeat."""
    error = _json(document).get("error")
    code = str(error.get("code")) if isinstance(error, dict) else ""
    return f"HTTP {status} {code}" if _CODE.fullmatch(code) else f"HTTP {status}"


def complaint(document: bytes, *, sent: bytes, secret: str | None) -> str | None:
    """The engine's own sentence, which often says what to do; ``None`` where it has none, or none that may be shown.

    Sentences are found where vLLM, SGLang, FastAPI and most others put them: ``error.message``, ``message``,
    ``detail``. One that repeats a piece of what was sent, or the credentials, is not shown.

    :param sent: the request's body.
    :param secret: the authorization header.
    """
    text = " ".join("; ".join(_sentences(_json(document))).split())
    key = (secret or "").removeprefix("Bearer ")
    if not text or (key and key in text):
        return None
    own = sent.decode(errors="replace")
    if any(text[start : start + _ECHO] in own for start in range(max(len(text) - _ECHO + 1, 0))):
        return None
    return "".join(character if character.isprintable() else " " for character in text)[:_LONGEST]


def _json(document: bytes) -> dict[str, Any]:
    try:
        found = _decode_anything(document)
    except msgspec.MsgspecError:
        return {}
    return found if isinstance(found, dict) else {}


def _sentences(document: dict[str, Any]) -> Iterator[str]:
    error = document.get("error")
    for found in (error.get("message") if isinstance(error, dict) else error, document.get("message")):
        if isinstance(found, str):
            yield found
    match document.get("detail"):
        case str(detail):
            yield detail
        case [*details]:
            for one in details:
                if isinstance(one, dict) and isinstance(one.get("msg"), str):  # `input` is what was sent
                    place = [str(part) for part in one.get("loc", ()) if part != "body"]
                    yield ": ".join([*place, one["msg"]])
        case _:
            pass
