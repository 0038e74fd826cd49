"""Requests for the gateway, each with the backend that it must reach written down by hand.

A :class:`Case` says what matters; :func:`variants` wraps it into what doesn't: the fields' order, white space, size,
protocol, framing and pace. None of that may change where a request goes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

KIB: Final = 1024
MIB: Final = 1024 * KIB
LIMIT: Final = 32 * MIB
"""The default ``maxBodyBytes``, which the examples leave as it is."""

Expected = str | tuple[str, ...]
"""A backend; several where the choice is random; or ``"400 code"`` for a refusal."""
Framing = Literal["length", "chunked", "slow"]


@dataclass(frozen=True)
class Case:
    """What decides where a request goes."""

    expect: Expected
    fields: tuple[tuple[str, str], ...]
    """(key, value) as JSON text, so that a key can be spelt with escapes."""
    headers: tuple[tuple[str, str], ...] = ()
    path: str = "/v1/chat/completions"


@dataclass(frozen=True)
class Request:
    """One request, ready to be sent."""

    tag: str
    """Unique; travels as the header ``x-tag``."""
    case: Case
    body: bytes
    http2: bool = False
    framing: Framing = "length"
    headers: tuple[tuple[str, str], ...] = field(default=())


QWEN: Final = ("model", '"Qwen/Qwen2.5-0.5B-Instruct"')
ONLY_VLLM: Final = ("model", '"facebook/opt-125m"')
ONLY_SGLANG: Final = ("model", '"lmsys/vicuna-7b"')
HELLO: Final = ("messages", '[{"role": "user", "content": "Hello"}]')
EITHER: Final = ("vllm", "sglang")

TWO_ENGINES: Final = (
    Case("vllm", (QWEN, ("inference_server", '"vllm"'), HELLO)),
    Case("sglang", (QWEN, ("inference_server", '"sglang"'), HELLO)),
    Case("vllm", (QWEN, ("owned_by", '"vllm"'), HELLO)),
    Case("sglang", (QWEN, ("owned_by", '"sglang"'), HELLO)),
    Case("vllm", (ONLY_VLLM, HELLO)),
    Case("sglang", (ONLY_SGLANG, HELLO)),
    Case(EITHER, (QWEN, HELLO)),
    Case(EITHER, (HELLO,)),
    # The first rule that leaves one candidate has decided: a later field isn't asked.
    Case("sglang", (QWEN, ("inference_server", '"sglang"'), ("owned_by", '"vllm"'), HELLO)),
    # null is absent.
    Case("sglang", (QWEN, ("inference_server", "null"), ("owned_by", '"sglang"'), HELLO)),
    Case(EITHER, (QWEN, ("inference_server", "null"), ("owned_by", "null"), HELLO)),
    Case("vllm", (("model", "null"), ("inference_server", '"vllm"'), HELLO)),
    # Nested look-alikes don't count, wherever they stand.
    Case("vllm", (QWEN, ("metadata", '{"inference_server": "sglang"}'), ("inference_server", '"vllm"'), HELLO)),
    Case("sglang", (QWEN, ("inference_server", '"sglang"'), ("extra", '[{"inference_server": "vllm"}]'), HELLO)),
    Case(EITHER, (QWEN, ("metadata", '{"inference_server": "sglang", "owned_by": "sglang"}'), HELLO)),
    Case("vllm", (ONLY_VLLM, ("metadata", '{"model": "lmsys/vicuna-7b"}'), HELLO)),
    Case(
        "vllm",
        (
            ONLY_VLLM,
            ("messages", '[{"role": "user", "content": "\\"inference_server\\": \\"sglang\\", \\"model\\": 1"}]'),
        ),
    ),
    Case("sglang", (QWEN, ("Inference_Server", '"vllm"'), ("owned_by", '"sglang"'), HELLO)),
    Case("sglang", (QWEN, ("inference_server ", '"vllm"'), ("owned_by", '"sglang"'), HELLO)),
    # A key spelt with escapes is that key; so is a value.
    Case("sglang", (QWEN, ("inf\\u0065rence_server", '"sglang"'), HELLO)),
    Case("vllm", (QWEN, ("\\u0069nference\\u005fserver", '"vl\\u006cm"'), HELLO)),
    Case("sglang", (("\\u006dodel", '"lmsys\\/vicuna-7b"'), HELLO)),
    # Prompts in every spelling.
    Case("vllm", (QWEN, ("inference_server", '"vllm"'), ("messages", '[{"role": "user", "content": "你好世界"}]'))),
    Case(
        "sglang",
        (QWEN, ("inference_server", '"sglang"'), ("messages", '[{"content": "\\u4f60\\u597d \\ud83d\\ude00"}]')),
    ),
    Case("vllm", (QWEN, ("inference_server", '"vllm"'), ("messages", '[{"content": "half a pair: \\ud83d end"}]'))),
    Case("vllm", (ONLY_VLLM, ("prompt", '"привет \\\\ud800 🚀"')), path="/v1/completions"),
    # Tools, images, numbers that no double holds: all the engine's business.
    Case(
        "sglang",
        (
            QWEN,
            ("owned_by", '"sglang"'),
            ("tools", '[{"type": "function", "function": {"name": "f", "parameters": {"properties": {"model": {}}}}}]'),
            ("tool_choice", '{"type": "function", "function": {"name": "f"}}'),
        ),
    ),
    Case(
        "vllm",
        (
            QWEN,
            ("inference_server", '"vllm"'),
            (
                "messages",
                '[{"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]}]',
            ),
        ),
    ),
    Case("sglang", (ONLY_SGLANG, ("seed", "123456789012345678901234567890"), ("temperature", "1e-400"), HELLO)),
    Case("vllm", (ONLY_VLLM, ("input", '["a", "b"]')), path="/v1/embeddings"),
    Case("sglang", (ONLY_SGLANG, ("input", '"hi"'), ("stream", "false")), path="/v1/responses"),
    # A header that looks like a choice is none.
    Case("vllm", (QWEN, ("inference_server", '"vllm"'), HELLO), (("x-inference-server", "sglang"),)),
    Case("sglang", (ONLY_SGLANG, HELLO), (("X-INFERENCE-SERVER", "vllm"), ("x_inference_server", "vllm"))),
    # Refusals.
    Case("400 unknown_inference_server", (QWEN, ("inference_server", '"gold"'), HELLO)),
    Case("400 unknown_inference_server", (QWEN, ("inference_server", '"VLLM"'), HELLO)),
    Case("400 unknown_value", (QWEN, ("owned_by", '"vllm\\u0000"'), HELLO)),
    Case("400 engine_model_mismatch", (ONLY_VLLM, ("inference_server", '"sglang"'), HELLO)),
    Case("404 model_not_found", (("model", '"gpt-4"'), HELLO)),
    Case("400 invalid_type", (QWEN, ("inference_server", '["vllm"]'), HELLO)),
    Case("400 invalid_type", (("model", "7"), HELLO)),
    Case("400 duplicate_field", (QWEN, ("inference_server", '"vllm"'), ("inference_server", '"vllm"'), HELLO)),
    Case("400 duplicate_field", (QWEN, ("inference_server", '"vllm"'), ("inf\\u0065rence_server", '"sglang"'), HELLO)),
)

LLAMA: Final = ("model", '"meta-llama/Llama-3.1-8B-Instruct"')
ADAPTER: Final = ("model", '"llama-3.1-8b-legal-v3"')
BIG: Final = ("model", '"meta-llama/Llama-3.3-70B-Instruct"')
MISTRAL: Final = ("model", '"mistralai/Mistral-7B-Instruct-v0.3"')
GOLD: Final = (("x-tenant", "gold-acme"),)

FIVE_MODELS: Final = (
    Case("sglang", (("model", '"Qwen/Qwen2.5-7B-Instruct"'), HELLO)),
    Case("vllm-b", (MISTRAL, HELLO)),
    Case("embeddings", (("model", '"BAAI/bge-m3"'), ("input", '"hi"')), path="/v1/embeddings"),
    Case(("trtllm-1", "trtllm-2"), (BIG, HELLO)),
    Case(("vllm-a", "vllm-b"), (ADAPTER, HELLO)),
    Case(("vllm-a", "vllm-b", "sglang"), (LLAMA, HELLO)),
    # An owner stands for its backends that serve the model.
    Case(("vllm-a", "vllm-b"), (LLAMA, ("inference_server", '"vllm"'), HELLO)),
    Case("sglang", (LLAMA, ("inference_server", '"sglang"'), HELLO)),
    Case("vllm-b", (MISTRAL, ("inference_server", '"vllm"'), HELLO)),
    # A backend's own name.
    Case("vllm-a", (LLAMA, ("inference_server", '"vllm-a"'), HELLO)),
    Case("trtllm-2", (BIG, ("inference_server", '"trtllm-2"'), HELLO)),
    Case("vllm-b", (ADAPTER, ("inference_server", '"vllm-b"'), HELLO)),
    # The team's own words; a tier is a wish.
    Case("vllm-b", (LLAMA, ("metadata", '{"tier": "batch-nightly"}'), HELLO)),
    Case(("trtllm-1", "trtllm-2"), (BIG, ("metadata", '{"tier": "latency"}'), HELLO)),
    Case(("vllm-a", "vllm-b", "sglang"), (LLAMA, ("metadata", '{"tier": "latency"}'), HELLO)),
    Case("sglang", (("model", '"Qwen/Qwen2.5-7B-Instruct"'), ("metadata", '{"tier": "batch-1"}'), HELLO)),
    Case("vllm-b", (LLAMA, ("metadata", '{"note": {"tier": "latency"}, "t\\u0069er": "batch-2"}'), HELLO)),
    Case(("vllm-a", "vllm-b"), (ADAPTER, ("metadata", '"not an object"'), HELLO)),
    # Gold tenants prefer sglang where it serves the model; an explicit choice stands before that rule.
    Case("sglang", (LLAMA, HELLO), GOLD),
    Case(("vllm-a", "vllm-b"), (ADAPTER, HELLO), GOLD),
    Case("vllm-a", (LLAMA, ("inference_server", '"vllm-a"'), HELLO), GOLD),
    Case(("vllm-a", "vllm-b"), (LLAMA, ("inference_server", '"vllm"'), HELLO), GOLD),
    Case(("vllm-a", "vllm-b", "sglang"), (LLAMA, HELLO), (("x-tenant", "silver"),)),
    Case("400 engine_model_mismatch", (BIG, ("inference_server", '"vllm"'), HELLO)),
    Case("400 unknown_value", (LLAMA, ("metadata", '{"tier": "express"}'), HELLO)),
    Case("404 model_not_found", (("model", '"llama-3.1-8b"'), HELLO)),
)


CANARY: Final = (
    Case("stable", (LLAMA, HELLO), (("x-engine", "vllm"),)),
    Case("canary", (LLAMA, HELLO), (("x-engine", "sglang"),)),
    Case("canary", (LLAMA, HELLO), (("x-engine", "canary"), ("x-session-id", "session-1"))),
    # Where a hash sends a session is worked out once and written down: it must never change.
    Case("stable", (LLAMA, HELLO), (("x-session-id", "session-1"),)),
    Case("stable", (LLAMA, HELLO), (("x-session-id", "session-2"),)),
    Case("canary", (LLAMA, HELLO), (("x-session-id", "session-70"),)),
    Case("canary", (LLAMA, HELLO), (("x-session-id", "session-207"),)),
    Case("stable", (LLAMA, HELLO), (("x-session-id", "客户-1"),)),
    Case(("stable", "canary"), (LLAMA, HELLO)),
    Case("400 unknown_value", (LLAMA, HELLO), (("x-engine", "tgi"),)),
)

LAB_QWEN: Final = ("model", '"Qwen/Qwen2.5-72B-Instruct"')

OUTSIDE: Final = (
    Case("workstation", (("model", '"lab-model"'), HELLO)),
    Case("datacenter", (LAB_QWEN, HELLO)),
    Case("workstation", (HELLO,)),
    Case("workstation", (("inference_server", '"vllm"'), HELLO)),
    Case("datacenter", (("inference_server", '"sglang"'), HELLO)),
    Case("datacenter", (LAB_QWEN, ("inference_server", '"datacenter"'), HELLO)),
    Case("400 engine_model_mismatch", (LAB_QWEN, ("inference_server", '"workstation"'), HELLO)),
)

SIZES: Final = (0, 0, 0, 400, 4 * KIB, 30 * KIB, 70 * KIB, 300 * KIB)
"""Bytes of padding, drawn at random: most requests are small."""


def variants(cases: tuple[Case, ...], count: int, seed: int) -> Iterator[Request]:
    """``count`` requests, each case in turn, wrapped at random; the same for the same seed."""
    draw = random.Random(seed)
    for index in range(count):
        case = cases[index % len(cases)]
        yield wrap(case, f"{seed}-{index}", draw)


def wrap(case: Case, tag: str, draw: random.Random) -> Request:
    """One variant of ``case``."""
    framing: Framing = draw.choices(("length", "chunked", "slow"), (6, 3, 1))[0]
    size = draw.choice(SIZES) if framing != "slow" else draw.choice((0, 4 * KIB))
    http2 = draw.random() < 0.4
    return Request(tag, case, _body(case, size, draw), http2, framing, case.headers)


def exactly(case: Case, tag: str, size: int, *, http2: bool = False, framing: Framing = "length") -> Request:
    """``case`` with a body of exactly ``size`` bytes."""
    body = _body(case, 0, random.Random(tag)).strip()
    body = body[:-1] + b" " * (size - len(body)) + body[-1:]
    return Request(tag, case, body, http2, framing, case.headers)


def _body(case: Case, padding: int, draw: random.Random) -> bytes:
    fields = list(case.fields)
    if padding:
        filler = draw.choice(("x", "你", "\\n", "\\u4f60", " "))
        fields.append(("padding", '"' + filler * (padding // len(filler.encode())) + '"'))
    if len({key for key, _ in fields}) == len(fields) or not str(case.expect).startswith("400 duplicate"):
        draw.shuffle(fields)
    comma, colon = draw.choice(((",", ":"), (", ", ": "), (" ,\n\t", "\r\n: ")))
    edge = draw.choice(("", " ", "\n"))
    inner = comma.join(f'"{key}"{colon}{value}' for key, value in fields)
    return f"{edge}{{{edge}{inner}{edge}}}{edge}".encode()
