"""The JSON documents that the router answers with."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from routegen_router import answers
from routegen_router.refusals import Reject
from support.policy import answer, backend, config, view

GIVEN = config(
    [
        backend("b", "sglang", ["llama", "lora-*"]),
        backend("a", "vllm", ["llama"], polled=True),
        backend("c", polled=True),
    ]
)
HEARD = view(GIVEN, {"a": answer("llama", "Org/Qwen", created=17), "c": answer("Org/Qwen", owner="told", created=23)})


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "invalid_request_error"), (404, "invalid_request_error"), (503, "server_error")]
)
def test_an_error_has_openais_shape(status: int, kind: str) -> None:
    told = json.loads(answers.error(Reject(status, "some_code", "Sentence.", "field", "rule")))
    assert told == {"error": {"message": "Sentence.", "type": kind, "param": "field", "code": "some_code"}}


def test_the_list_of_models_has_one_entry_a_model_with_its_true_owners() -> None:
    assert json.loads(answers.models(HEARD)) == {
        "object": "list",
        "data": [
            {
                "id": "llama",
                "object": "model",
                "created": 17,
                "owned_by": "sglang",
                "backends": [{"name": "b", "owned_by": "sglang"}, {"name": "a", "owned_by": "vllm"}],
            },
            {
                "id": "Org/Qwen",
                "object": "model",
                "created": 17,
                "owned_by": "vllm",
                "backends": [{"name": "a", "owned_by": "vllm"}, {"name": "c", "owned_by": "told"}],
            },
        ],
    }


def test_what_engines_tell_is_kept_the_first_ones_word_but_the_smallest_length() -> None:
    first = {"root": "/models/llama", "parent": None, "max_model_len": 32768}
    second = {"root": "other", "max_model_len": 8192, "quantization": "fp8"}
    answers_ = {
        "a": replace(answer("llama", "alone"), cards={"llama": first, "alone": {"max_model_len": 1}}),
        "c": replace(answer("llama"), cards={"llama": second}),
    }
    entry = answers.model("llama", view(GIVEN, answers_))
    assert isinstance(entry, bytes)
    told = json.loads(entry)
    assert {name: told[name] for name in told.keys() - {"id", "object", "created", "owned_by", "backends"}} == {
        "root": "/models/llama",
        "parent": None,
        "max_model_len": 8192,
        "quantization": "fp8",
    }
    assert told in json.loads(answers.models(view(GIVEN, answers_)))["data"]


def test_a_model_that_only_a_glob_covers_can_be_asked_for_but_is_not_listed() -> None:
    entry = answers.model("lora-7", HEARD)
    assert isinstance(entry, bytes)
    assert json.loads(entry) == {
        "id": "lora-7",
        "object": "model",
        "created": 0,
        "owned_by": "sglang",
        "backends": [{"name": "b", "owned_by": "sglang"}],
    }


def test_a_model_that_nobody_serves_is_404_once_all_engines_have_answered_and_503_before() -> None:
    gone, early = answers.model("gpt", HEARD), answers.model("gpt", view(GIVEN))
    assert isinstance(gone, Reject)
    assert (gone.status, gone.code, gone.param) == (404, "model_not_found", "model")
    assert isinstance(early, Reject)
    assert (early.status, early.code, early.headers) == (503, "registry_incomplete", {"retry-after": "1"})


def test_the_list_is_empty_where_nothing_is_known() -> None:
    nothing = view(config([backend("a")]))
    assert json.loads(answers.models(nothing)) == {"object": "list", "data": []}
