"""Prompts of one's own: a file of prompts, chats or whole conversations, with lengths and arrival times.

Two forms are read: JSON lines, one request or conversation a line, and one JSON array, as ShareGPT's files are. An
entry has

- ``prompt`` (text) or ``messages`` (OpenAI's): one request, as it stands;
- ``conversations`` (ShareGPT's: ``from`` and ``value``, or ``role`` and ``content``): each human turn is a request,
  sent when the one before it is answered, with the file's own answers in between, so that every engine reads the same;
- ``max_tokens`` (or ``output_tokens``), if it is to have a length of its own;
- ``at``: seconds, when it is due, for ``--arrivals trace``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from routegen.common.files import unreadable
from routegen.common.problems import UserError

from .design import Workload

Prompt = str | list[dict[str, Any]]
"""A text, or a chat's messages."""

_ROLES: Final = {"human": "user", "gpt": "assistant", "chatgpt": "assistant"}
_decode: Final = msgspec.json.Decoder().decode


class Conversation(NamedTuple):
    """Requests that follow each other."""

    turns: tuple[Prompt, ...]
    tokens: int | None = None
    """How long each answer is to be; ``None``: as the design says."""
    at: float | None = None


def read(path: Path, expected: Workload | None = None) -> tuple[Workload, tuple[Conversation, ...]]:
    """The file's conversations, and what is recorded of it.

    :param expected: what the run has recorded: the file must still be the same.
    :raises UserError: it can't be read, holds something else, or has changed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error, "it holds prompts, see docs/bench.md") from error
    found = tuple(_conversations(path, data))
    if not found:
        raise UserError(f"{path}: holds no prompts")
    times = [conversation.at for conversation in found]
    if any(before is not None and now is not None and now < before for before, now in pairwise(times)):
        raise UserError(f'{path}: the times in "at" go backwards')
    told = Workload(
        path=str(path.resolve()),
        sha256=sha256(data).hexdigest(),
        conversations=len(found),
        turns=max(len(conversation.turns) for conversation in found),
        timed=None not in times,
        chat=any(not isinstance(turn, str) for conversation in found for turn in conversation.turns),
    )
    if expected is not None and told.sha256 != expected.sha256:
        raise UserError(f"{path}: is not the file that the run began with")
    return told, found


def _conversations(path: Path, data: bytes) -> Iterator[Conversation]:
    if data.lstrip()[:1] == b"[":
        entries = [("", data)]
    else:
        entries = [(f":{number}", line) for number, line in enumerate(data.splitlines(), start=1) if line.strip()]
    for place, text in entries:
        try:
            document = _decode(text)
        except msgspec.MsgspecError as error:
            raise UserError(f"{path}{place}: not JSON: {error}") from error
        for number, entry in enumerate(document if isinstance(document, list) else [document]):
            where = f"{path}{place}" if not isinstance(document, list) else f"{path}: entry {number + 1}"
            yield from _conversation(where, entry)


def _conversation(where: str, entry: Any) -> Iterator[Conversation]:
    """None for a conversation in which no human speaks, as ShareGPT's files have some."""
    if not isinstance(entry, Mapping):
        raise UserError(f'{where}: not an object with "prompt", "messages" or "conversations"')
    tokens, at = entry.get("max_tokens", entry.get("output_tokens")), entry.get("at")
    if tokens is not None and (not isinstance(tokens, int) or tokens < 1):
        raise UserError(f"{where}: max_tokens must be a whole number above 0")
    if at is not None and (not isinstance(at, int | float) or at < 0):
        raise UserError(f"{where}: at must be a number of seconds")
    match entry:
        case {"prompt": str(prompt)} if prompt:
            turns: tuple[Prompt, ...] = (prompt,)
        case {"messages": [*messages]} if messages and all(map(_is_message, messages)):
            turns = (messages,)
        case {"conversations": [*said]} if all(isinstance(one, Mapping) for one in said):
            turns = tuple(_turns([_message(where, one) for one in said]))
        case _:
            raise UserError(f'{where}: needs a "prompt" (text), "messages" (role, content) or "conversations"')
    if turns:
        yield Conversation(turns, tokens, at)


def _is_message(one: Any) -> bool:
    return isinstance(one, Mapping) and isinstance(one.get("role"), str) and "content" in one


def _message(where: str, one: Mapping[str, Any]) -> dict[str, Any]:
    role, content = one.get("from", one.get("role")), one.get("value", one.get("content"))
    if not isinstance(role, str) or not isinstance(content, str):
        raise UserError(f'{where}: a turn needs "from" and "value", both texts')
    return {"role": _ROLES.get(role, role), "content": content}


def _turns(messages: list[dict[str, Any]]) -> Iterator[Prompt]:
    for end, message in enumerate(messages, start=1):
        if message["role"] == "user" and message["content"]:
            yield messages[:end]
