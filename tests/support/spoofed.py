"""The forms in which a client may send the routing header itself."""

from __future__ import annotations

from typing import Final

FORMS: Final = {
    "lower": [("x-inference-server", "sglang")],
    "upper": [("X-INFERENCE-SERVER", "sglang")],
    "mixed": [("X-Inference-Server", "sglang")],
    "twice": [("x-inference-server", "sglang"), ("X-Inference-Server", "vllm")],
    "joined": [("x-inference-server", "vllm, sglang")],
    "empty": [("x-inference-server", "")],
    "underscored": [("x_inference_server", "sglang"), ("X_INFERENCE-SERVER", "sglang")],
    "unknown": [("x-inference-server", "gold")],
    "waiting": [("x-inference-server", "waiting")],
    "hop-by-hop": [("connection", "x-inference-server"), ("x-inference-server", "sglang")],
}
"""Name -> header lines, for a routing header called ``x-inference-server`` and backends ``vllm`` and ``sglang``."""
