"""A small OpenAI-compatible server that acts as vLLM or SGLang, for the demo, `routegen up`, tests and the bench.

It invents its text, honours what a load generator sets (``max_tokens``, ``ignore_eos``, streaming with usage), keeps to
the latencies that it is told, misbehaves on request, and reports byte for byte what it received. It is no model of an
engine's speed. ``python -m routegen.mock_engine --help`` runs it alone.
"""

from routegen.mock_engine.behaviour import Behaviour, Fault
from routegen.mock_engine.personality import PERSONALITIES, SGLANG, VLLM, Personality
from routegen.mock_engine.recorder import Received, Recorder
from routegen.mock_engine.server import MockEngine

__all__ = [
    "PERSONALITIES",
    "SGLANG",
    "VLLM",
    "Behaviour",
    "Fault",
    "MockEngine",
    "Personality",
    "Received",
    "Recorder",
]
