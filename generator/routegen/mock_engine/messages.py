"""Anthropic's Messages API, as vLLM and SGLang serve it at ``/v1/messages``."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from routegen.mock_engine.answers import Answer, event


@dataclass(frozen=True, slots=True)
class Message(Answer):
    """One generation as a message."""

    def whole(self) -> dict[str, Any]:
        """The message in one piece."""
        return self._message(
            [{"type": "text", "text": self.generation.text}], self._stop, self.generation.usage.generated
        )

    def events(self) -> Iterator[tuple[bytes, bool]]:
        """``message_start`` to ``message_stop``, each token a ``text_delta``."""
        yield _event("message_start", message=self._message([], None, 0)), False
        yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""}), False
        for token in self.generation.tokens:
            yield _event("content_block_delta", index=0, delta={"type": "text_delta", "text": token}), True
        yield _event("content_block_stop", index=0), False
        usage = {"output_tokens": self.generation.usage.generated}
        yield _event("message_delta", delta={"stop_reason": self._stop, "stop_sequence": None}, usage=usage), False
        yield _event("message_stop"), False

    @property
    def ends_with_done(self) -> bool:
        """Not with ``[DONE]``."""
        return False

    @property
    def _stop(self) -> str:
        return "max_tokens" if self.generation.finish == "length" else "end_turn"

    def _message(self, content: list[dict[str, str]], stop: str | None, generated: int) -> dict[str, Any]:
        return {
            "id": "msg_" + uuid.uuid4().hex,
            "type": "message",
            "role": "assistant",
            "model": self.generation.model,
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": {"input_tokens": self.generation.usage.prompt, "output_tokens": generated},
        }


def _event(kind: str, **members: Any) -> bytes:
    return event({"type": kind, **members}, named=True)
