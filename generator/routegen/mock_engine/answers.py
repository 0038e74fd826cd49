"""The OpenAI API's documents: whole answers, and the events of streamed ones."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from routegen.mock_engine.generation import Generation, Usage
from routegen.mock_engine.personality import Personality

Kind = Literal["chat", "completion", "response", "message"]


def model_list(personality: Personality, models: tuple[str, ...], created: int, length: int) -> dict[str, Any]:
    """``GET /v1/models``.

    :param length: ``max_model_len``.
    """
    entries = [
        {
            "id": model,
            "object": "model",
            "created": created,
            "owned_by": personality.owned_by,
            "root": model,
            "parent": None,
            "max_model_len": length,
        }
        for model in models
    ]
    return {"object": "list", "data": entries}


def error(message: str, status: int, kind: str = "BadRequestError") -> dict[str, Any]:
    """An engine's own error, which has its status as the code."""
    return {"error": {"message": message, "type": kind, "param": None, "code": status}}


def embeddings(personality: Personality, model: str, inputs: int, usage: Usage) -> dict[str, Any]:
    """``POST /v1/embeddings``: one fixed vector for each input."""
    vector = [0.0, 0.6, 0.8]
    return {
        "id": personality.embedding_prefix + uuid.uuid4().hex,
        "object": "list",
        "created": int(time.time()),
        "model": model,
        "data": [{"object": "embedding", "index": index, "embedding": vector} for index in range(inputs)],
        "usage": {"prompt_tokens": usage.prompt, "total_tokens": usage.prompt},
    }


@dataclass(frozen=True, slots=True)
class Answer:
    """One generation in the form that its path asks for."""

    kind: Kind
    personality: Personality
    generation: Generation
    report_cached: bool
    include_usage: bool = False
    """Whether a stream ends with its usage (``stream_options.include_usage``)."""
    ident: str = field(default_factory=lambda: "resp_" + uuid.uuid4().hex)
    """Of a response."""

    def whole(self) -> dict[str, Any]:
        """The answer in one piece."""
        if self.kind == "response":
            return self._response("completed", self.generation.text)
        choice: dict[str, Any] = {"index": 0, "finish_reason": self.generation.finish, "logprobs": None}
        if self.kind == "chat":
            choice["message"] = {"role": "assistant", "content": self.generation.text}
        else:
            choice["text"] = self.generation.text
        return self._head(chunk=False) | {"choices": [choice], "usage": self._usage()}

    def events(self) -> Iterator[tuple[bytes, bool]]:
        """A stream's events in order, and of each whether it holds a token."""
        if self.kind == "response":
            yield from self._response_events()
            return
        head = self._head(chunk=True)
        last = len(self.generation.tokens) - 1
        for index, token in enumerate(self.generation.tokens):
            choice: dict[str, Any] = {"index": 0, "finish_reason": self.generation.finish if index == last else None}
            if self.kind == "chat":
                if index == 0:
                    role = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
                    yield event(head | {"choices": [role]}), False
                choice["delta"] = {"content": token}
            else:
                choice["text"] = token
            yield event(head | {"choices": [choice]}), True
        if self.include_usage:
            yield event(head | {"choices": [], "usage": self._usage()}), False

    @property
    def ends_with_done(self) -> bool:
        """Whether the stream's last event is ``[DONE]``; the Responses API has none."""
        return self.kind != "response"

    def _head(self, *, chunk: bool) -> dict[str, Any]:
        if self.kind == "chat":
            prefix, kind = self.personality.chat_prefix, "chat.completion" + (".chunk" if chunk else "")
        else:
            prefix, kind = self.personality.completion_prefix, "text_completion"
        return {
            "id": prefix + uuid.uuid4().hex,
            "object": kind,
            "created": int(time.time()),
            "model": self.generation.model,
        }

    def _usage(self) -> dict[str, Any]:
        usage = self.generation.usage
        details = {"cached_tokens": usage.cached} if self.report_cached else None
        return {
            "prompt_tokens": usage.prompt,
            "completion_tokens": usage.generated,
            "total_tokens": usage.prompt + usage.generated,
            "prompt_tokens_details": details,
            **self.personality.usage_extras,
        }

    def _response(self, status: str, text: str) -> dict[str, Any]:
        usage = self.generation.usage
        content = {"type": "output_text", "text": text, "annotations": []}
        message = {"id": "msg_0", "type": "message", "role": "assistant", "status": status, "content": [content]}
        return {
            "id": self.ident,
            "object": "response",
            "created_at": int(time.time()),
            "status": status,
            "model": self.generation.model,
            "output": [message] if text else [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": {
                "input_tokens": usage.prompt,
                "input_tokens_details": {"cached_tokens": usage.cached if self.report_cached else 0},
                "output_tokens": usage.generated,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": usage.prompt + usage.generated,
            },
        }

    def _response_events(self) -> Iterator[tuple[bytes, bool]]:
        place = {"item_id": "msg_0", "output_index": 0, "content_index": 0}
        start = {"type": "response.created", "sequence_number": 0, "response": self._response("in_progress", "")}
        yield event(start, named=True), False
        for number, token in enumerate(self.generation.tokens, 1):
            delta = {"type": "response.output_text.delta", "sequence_number": number, "delta": token, "logprobs": []}
            yield event(delta | place, named=True), True
        end = {
            "type": "response.completed",
            "sequence_number": len(self.generation.tokens) + 1,
            "response": self.whole(),
        }
        yield event(end, named=True), False


DONE = b"data: [DONE]\n\n"


def event(document: dict[str, Any], *, named: bool = False) -> bytes:
    """A server-sent event; ``named``: with its type as the event's name."""
    name = f"event: {document['type']}\n".encode() if named else b""
    return name + b"data: " + msgspec.json.encode(document) + b"\n\n"
