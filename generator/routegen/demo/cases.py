"""The demo's requests, and where each has to arrive.

Two engines, one model that both serve, and one that only vLLM has. What is expected is written out here, never computed
by the code that routes.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from openai import AsyncOpenAI

BOTH: Final = "Qwen/Qwen2.5-0.5B-Instruct"
ONLY_VLLM: Final = "mistralai/Mistral-7B-Instruct-v0.3"
MODELS: Final[Mapping[str, tuple[str, ...]]] = {"vllm": (BOTH, ONLY_VLLM), "sglang": (BOTH,)}
"""Backend -> what its mock engine serves."""

CHAT: Final = "/v1/chat/completions"
QUESTION: Final = [{"role": "user", "content": "Which engine are you? 你是哪个引擎?"}]

FIELD: Final = "body:inference_server"
OWNER: Final = "body:owned_by"
SPLIT: Final = "split"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the table."""

    title: str
    status: int
    rule: str | None = None
    """The rule that decided or refused; ``None`` where none was asked."""
    backends: frozenset[str] = frozenset()
    """Where it has to arrive: at all of these, where it is sent often; none: it reaches no engine."""
    code: str | None = None
    """The refusal's code."""
    times: int = 1


@dataclass(frozen=True, kw_only=True)
class Plain(Case):
    """A request in plain HTTP."""

    method: str = "POST"
    path: str = CHAT
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    answer_has: str = ""
    """Text that the answer must hold."""


Call = Callable[["AsyncOpenAI", Mapping[str, str]], Awaitable[str]]
"""What to do with the openai client and some extra headers; the answer's text."""


@dataclass(frozen=True, kw_only=True)
class OpenAI(Case):
    """A call of the ``openai`` client."""

    call: Call


def _body(**fields: Any) -> bytes:
    return json.dumps({"model": BOTH, "messages": QUESTION, **fields}, ensure_ascii=False).encode()


def _chat(model: str = BOTH, **fields: str) -> Call:
    async def call(client: AsyncOpenAI, headers: Mapping[str, str]) -> str:
        answer = await client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": QUESTION[0]["content"]}],
            extra_body=fields,
            extra_headers=headers,
        )
        return answer.choices[0].message.content or ""

    return call


async def _stream(client: AsyncOpenAI, headers: Mapping[str, str]) -> str:
    stream = await client.chat.completions.create(
        model=BOTH,
        messages=[{"role": "user", "content": QUESTION[0]["content"]}],
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"inference_server": "sglang"},
        extra_headers=headers,
    )
    chunks = [chunk async for chunk in stream]
    usage = chunks[-1].usage
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    told = usage.completion_tokens if usage is not None else 0
    return "".join(pieces) if told == len([piece for piece in pieces if piece]) else "usage does not fit the stream"


async def _embed(client: AsyncOpenAI, headers: Mapping[str, str]) -> str:
    answer = await client.embeddings.create(
        model=BOTH, input="a text", extra_body={"inference_server": "vllm"}, extra_headers=headers
    )
    return f"vllm/{answer.model}:"


VLLM: Final = frozenset({"vllm"})
SGLANG: Final = frozenset({"sglang"})

CASES: Final[tuple[Case, ...]] = (
    OpenAI(title="inference_server: vllm", call=_chat(inference_server="vllm"), rule=FIELD, backends=VLLM, status=200),
    OpenAI(
        title="inference_server: sglang",
        call=_chat(inference_server="sglang"),
        rule=FIELD,
        backends=SGLANG,
        status=200,
    ),
    OpenAI(title="owned_by: sglang", call=_chat(owned_by="sglang"), rule=OWNER, backends=SGLANG, status=200),
    OpenAI(title="a model that only vllm serves", call=_chat(ONLY_VLLM), rule=SPLIT, backends=VLLM, status=200),
    OpenAI(
        title="no engine named: split, 40 times",
        call=_chat(),
        rule=SPLIT,
        backends=VLLM | SGLANG,
        status=200,
        times=40,
    ),
    OpenAI(title="inference_server: sglang, streamed", call=_stream, rule=FIELD, backends=SGLANG, status=200),
    OpenAI(title="embeddings, inference_server: vllm", call=_embed, rule=FIELD, backends=VLLM, status=200),
    Plain(
        title='the key escaped: "\\u0069nference_server"',
        body=_body(inference_server="sglang").replace(b'"inference_server"', b'"\\u0069nference_server"'),
        rule=FIELD,
        backends=SGLANG,
        status=200,
    ),
    Plain(
        title="a look-alike inside metadata chooses nothing",
        body=_body(model=ONLY_VLLM, metadata={"inference_server": "sglang"}),
        rule=SPLIT,
        backends=VLLM,
        status=200,
    ),
    Plain(
        title="a client-sent x-inference-server: sglang",
        body=_body(inference_server="vllm"),
        headers={"X-Inference-Server": "sglang"},
        rule=FIELD,
        backends=VLLM,
        status=200,
    ),
    Plain(
        title="the same on a path that is not listed",
        method="GET",
        path="/metrics",
        headers={"X-Inference-Server": "sglang"},
        status=404,
        code="not_found",
    ),
    OpenAI(
        title="inference_server: llama.cpp, unknown",
        call=_chat(inference_server="llama.cpp"),
        rule=FIELD,
        status=400,
        code="unknown_inference_server",
    ),
    OpenAI(
        title="sglang, but a model that only vllm serves",
        call=_chat(ONLY_VLLM, inference_server="sglang"),
        rule=FIELD,
        status=400,
        code="engine_model_mismatch",
    ),
    OpenAI(title="a model that nobody serves", call=_chat("gpt-5"), status=404, code="model_not_found"),
    Plain(title="broken JSON", body=b'{"model": ', status=400, code="invalid_json"),
    Plain(
        title="inference_server given twice",
        body=_body(inference_server="vllm")[:-1] + b', "inference_server": "sglang"}',
        status=400,
        code="duplicate_field",
    ),
    Plain(title="POST /v1/files, not listed", path="/v1/files", body=_body(), status=404, code="not_found"),
    Plain(title="GET /v1/models", method="GET", path="/v1/models", status=200, answer_has=ONLY_VLLM),
)
