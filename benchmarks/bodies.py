"""Request bodies for the benchmarks: chat completions as clients send them, of given sizes."""

from __future__ import annotations

import json

KB = 1024
MB = 1024 * KB
BACKEND = "engine"

ENGLISH = "The quick brown fox jumps over the lazy dog and writes to the model about it. "
CHINESE = "请用三句话概括下面的文章,然后列出最重要的五个观点。"


def chat(size: int, text: str = ENGLISH) -> bytes:
    """A request of ``size`` bytes whose prompt repeats ``text``; the engine is named after the prompt."""
    document = {
        "model": "some-model",
        "messages": [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": "@"}],
        "temperature": 0.7,
        "max_tokens": 256,
        "stream": True,
        "inference_server": BACKEND,
    }
    frame = json.dumps(document).encode()
    room = size - len(frame) + 1
    unit = text.encode()
    prompt = unit * (room // len(unit))
    return frame.replace(b"@", prompt + b"." * (room - len(prompt)))


BODIES: dict[str, bytes] = {
    "1 KB": chat(KB),
    "1 MB": chat(MB),
    "1 MB, Chinese": chat(MB, CHINESE),
}
