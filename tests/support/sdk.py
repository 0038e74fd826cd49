"""OpenAI's and Anthropic's own clients, closed when their test is over: what is left open warns in any later test."""

from __future__ import annotations

import anthropic
import openai

_OPEN: list[openai.OpenAI | anthropic.Anthropic] = []


def openai_client(port: int, timeout: float = 60) -> openai.OpenAI:
    """One for the gateway on this machine's ``port``."""
    made = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="unused", max_retries=0, timeout=timeout)
    _OPEN.append(made)
    return made


def anthropic_client(port: int) -> anthropic.Anthropic:
    """One for the gateway on this machine's ``port``."""
    made = anthropic.Anthropic(base_url=f"http://127.0.0.1:{port}", api_key="unused", max_retries=0)
    _OPEN.append(made)
    return made


def close_all() -> None:
    """Close every client that was made."""
    while _OPEN:
        _OPEN.pop().close()
