"""The stream under test and the messages that it is sent."""

from __future__ import annotations

import json
from typing import Any

from routegen_router.messages import Answer, Body, Headers
from routegen_router.policy import Policy
from routegen_router.request import Source
from routegen_router.rules import Lookup, Prefer, Split
from routegen_router.stream import Stream
from routegen_router.when import Condition
from support.policy import BY_ENGINE, PATH, answer, backend, config, view

LIMIT = 1 << 20
GIVEN = config(
    [
        backend("vllm-a", "vllm", ["llama", "Org/Model"]),
        backend("sglang", "sglang", ["llama"]),
        backend("polled", "nvidia", polled=True),
    ],
    [
        BY_ENGINE,
        Lookup(name="header", source=Source(header="x-engine")),
        Prefer(name="gold", names=("sglang",), when=(Condition(pattern="gold-*", source=Source(header="x-tenant")),)),
        Split(name="split", weights=(("vllm", 1),), sticky_by=Source(header="x-session")),
    ],
    max_body=LIMIT,
)
POLICY = Policy(GIVEN)
KNOWN = view(GIVEN, {"polled": answer("big")})


def stream() -> Stream:
    return Stream(POLICY, lambda: KNOWN, lambda: 0.0)


def headers(
    *extra: tuple[str, str | bytes],
    method: str = "POST",
    path: str = PATH,
    length: str | None = "100",
    ended: bool = False,
) -> Headers:
    own: list[tuple[str, str | bytes]] = [(":method", method), (":path", path.encode()), (":authority", "gateway")]
    if length is not None:
        own.append(("content-length", length))
    return Headers((*own, *extra), end_of_stream=ended)


def body(text: str | bytes, *, ended: bool = True) -> Body:
    return Body(text if isinstance(text, bytes) else text.encode(), end_of_stream=ended)


def code(reply: object) -> tuple[int, str | None]:
    assert isinstance(reply, Answer)
    return reply.status, reply.code


def document(reply: object) -> Any:
    assert isinstance(reply, Answer)
    return json.loads(reply.body)
