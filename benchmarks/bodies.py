"""Request bodies for the benchmarks: chat completions as clients send them, of given sizes and shapes.

Every body names its engine twice, for routers by ``model`` and for routers by ``inference_server``.
"""

from __future__ import annotations

import json

KB = 1024
MB = 1024 * KB
ENGINES = ("alpha", "beta")
"""Backends, and the models that routers by model know them by."""

ENGLISH = "The quick brown fox jumps over the lazy dog and writes to the model about it. "
SHAPES: dict[str, str] = {
    "plain": ENGLISH,
    "Chinese": "请用三句话概括下面的文章,然后列出最重要的五个观点。",
    "escaped": 'def f(a, b):\n\tprint("a \\ b")\n\treturn {"é": "ü"}\n',
}
MANY = "many messages"
"""A conversation: the text in messages of about half a kilobyte."""
_TURN = 512


def chat(size: int, engine: str, shape: str = "plain") -> bytes:
    """A request of exactly ``size`` bytes (at least 256), the engine is named after the prompt."""
    escape = shape == "escaped"
    prompts = (
        ["@"] if shape != MANY else [ENGLISH * (_TURN // len(ENGLISH))] * max(0, (size - 256) // (_TURN + 32)) + ["@"]
    )
    document = {
        "model": engine,
        "messages": [
            {"role": "user" if number % 2 == 0 else "assistant", "content": text} for number, text in enumerate(prompts)
        ],
        "max_tokens": 256,
        "stream": False,
        "inference_server": engine,
    }
    frame = json.dumps(document).encode()
    room = size - len(frame) + 1
    unit = json.dumps(SHAPES.get(shape, ENGLISH), ensure_ascii=escape)[1:-1].encode()
    return frame.replace(b'"@"', b'"' + unit * (room // len(unit)) + b"." * (room % len(unit)) + b'"')
