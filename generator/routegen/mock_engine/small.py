"""What engines answer at once and without generating: token counts, scores, rankings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from routegen.mock_engine.generation import Generation

Document = Mapping[str, Any]


def count_tokens(_body: Document, generation: Generation) -> Document:
    """``POST /v1/messages/count_tokens``."""
    return {"input_tokens": generation.usage.prompt}


def tokenize(_body: Document, generation: Generation) -> Document:
    """``POST /tokenize``: a word is a token, numbered as it comes."""
    count = generation.usage.prompt
    return {"count": count, "max_model_len": 0, "tokens": list(range(count))}


def detokenize(body: Document, _generation: Generation) -> Document:
    """``POST /detokenize``."""
    return {"prompt": " ".join(map(str, body.get("tokens") or ()))}


def rerank(body: Document, generation: Generation) -> Document:
    """``POST /v1/rerank``: in the order given."""
    documents = body.get("documents") or ()
    results = [{"index": index, "relevance_score": 1 / (index + 1)} for index in range(len(documents))]
    return {"id": "rerank-0", "model": generation.model, "results": results}


def score(body: Document, generation: Generation) -> Document:
    """``POST /v1/score``: the same for each text."""
    texts = body.get("text_2") or body.get("items") or ()
    count = 1 if isinstance(texts, str) else len(texts)
    data = [{"index": index, "object": "score", "score": 0.5} for index in range(count)]
    return {"id": "score-0", "object": "list", "model": generation.model, "data": data}


PATHS: Final = {
    "/v1/messages/count_tokens": count_tokens,
    "/tokenize": tokenize,
    "/detokenize": detokenize,
    "/v1/rerank": rerank,
    "/v1/score": score,
}
