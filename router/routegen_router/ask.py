"""The two questions that an engine is asked: which models it serves, and once after its start whether it is warm.

``GET /v1/models`` is answered from memory by vLLM and SGLang. ``GET /health`` is not for every day: a warm SGLang
generates a token for it (``health_generate`` in its ``http_server.py``). While it warms up it lists its models already,
and answers 503 there, at no cost.
"""

from __future__ import annotations

import time
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec

from . import cards
from .config import Key, Poll
from .fetch import PollError, get
from .keys import KeyUnreadableError, bearer, read
from .models import Answer

MAX_BYTES: Final = 4 * 1024 * 1024
"""A longer list of models is refused."""
MAX_MODELS: Final = 10_000
"""So is one with more entries: looking through them holds up decisions."""
MAX_ID: Final = 1024
"""And one with a longer id: ids stand in error messages."""
MAX_CREATED: Final = 1 << 53
"""A later time than this (in Unix seconds) is none; larger integers aren't the same in every JSON reader."""

_PATH: Final = "/v1/models"


class _Entry(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(max_length=MAX_ID)]
    created: object = None
    owned_by: object = None


class _List(msgspec.Struct):
    """OpenAI's list of models, as far as it is read."""

    data: Annotated[list[_Entry], msgspec.Meta(max_length=MAX_MODELS)]


class _Raws(msgspec.Struct):
    data: list[msgspec.Raw]


_decode_list: Final = msgspec.json.Decoder(_List).decode
_decode_raws: Final = msgspec.json.Decoder(_Raws).decode
"""Made once: msgspec finds out about a type when it first meets it, and threads that do so at once end the process."""


def ask(url: str, poll: Poll, key: Key | None, *, connect: float, patience: float) -> Answer | PollError:
    """Ask one engine for its models, and show it ``key``; blocks.

    :param connect: seconds that the connection may take, apart from the resolution of a DNS name.
    :param patience: seconds that all of it may take.
    """
    try:
        response = get(url, poll, _shown(key), connect=connect, patience=patience, limit=MAX_BYTES)
        if response.status != 200:  # noqa: PLR2004 - HTTP's OK
            return _refusal(response.status)
        if len(response.body) > MAX_BYTES:
            return PollError("too_large", f"the list of models is longer than {MAX_BYTES} bytes")
        return read_list(response.body)
    except PollError as error:
        return error
    except KeyUnreadableError as error:
        return PollError("no_key", str(error))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:  # a depth bomb is a RecursionError
        return PollError("not_a_list", f"the answer is not OpenAI's list of models: {error}")


def is_warming(url: str, poll: Poll, key: Key | None, timeout: float) -> bool:
    """Whether the engine whose list of models is at ``url`` says that it can't answer yet; blocks.

    Only a 503 says so. An engine without ``/health``, or one that takes its time, is as warm as it will be.
    """
    base, found, _ = url.partition(_PATH)
    if not found or urlsplit(url).path != urlsplit(base).path + _PATH:
        return False
    try:
        response = get(f"{base}/health", poll, _shown(key), connect=timeout, patience=timeout, limit=0)
    except (PollError, KeyUnreadableError):
        return False
    return response.status == 503  # noqa: PLR2004 - HTTP's Service Unavailable


def read_list(body: bytes) -> Answer:
    """Read an engine's list of models.

    :raises msgspec.MsgspecError: it is none.
    """
    entries = _decode_list(body).data
    owner = entries[0].owned_by if entries else None
    created = {entry.id: _created(entry) for entry in entries}
    raws = [memoryview(raw) for raw in _decode_raws(body).data]
    told = cards.read(zip((entry.id for entry in entries), raws, strict=True))
    return Answer(created, owner if isinstance(owner, str) and 0 < len(owner) <= MAX_ID else None, time.time(), told)


def _shown(key: Key | None) -> dict[str, str]:
    """The header that shows it.

    :raises KeyUnreadableError: it can't be had.
    """
    return {} if key is None else {"authorization": bearer(read(key))}


def _refusal(status: int) -> PollError:
    """What another status than 200 means: below 500 it comes from an engine that lives."""
    detail = f"answered {status}, not 200"
    if status in {401, 403}:
        return PollError("key", detail)
    if 300 <= status < 400:  # noqa: PLR2004 - HTTP's redirections
        return PollError("redirect", detail)
    return PollError("status", detail, answers=status < 500)  # noqa: PLR2004 - HTTP's server errors


def _created(entry: _Entry) -> int:
    """When the model was made, in Unix seconds; 0 where the engine tells no time."""
    told = entry.created
    return int(told) if isinstance(told, int | float) and 0 <= told <= MAX_CREATED else 0
