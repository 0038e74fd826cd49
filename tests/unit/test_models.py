"""The registry's view: who serves what, who bears which name, and what is not known yet."""

from __future__ import annotations

import pytest

from routegen_router.models import Known, Snapshot
from support.policy import answer, backend, config, view

GIVEN = config(
    [
        backend("a", "sglang", ["llama", "llama-*"]),
        backend("sglang", "vllm", ["qwen"]),
        backend("vllm", "vllm", polled=True),
        backend("silent", polled=True),
    ]
)
HEARD = view(
    GIVEN, {"vllm": answer("llama", "Org/Mistral", owner="other"), "silent": answer("Org/Mistral", owner="new")}
)


@pytest.mark.parametrize(
    ("model", "serving"),
    [
        ("llama", ("a", "vllm")),
        ("llama-lora", ("a",)),
        ("llama-*", ("a",)),
        ("Org/Mistral", ("vllm", "silent")),
        ("org/mistral", ()),
        ("qwen", ("sglang",)),
        ("qwen2", ()),
        ("", ()),
    ],
)
def test_a_model_is_served_by_whoever_lists_it(model: str, serving: tuple[str, ...]) -> None:
    assert HEARD.serving(model) == serving


@pytest.mark.parametrize(
    ("name", "bearing"),
    [
        ("a", ("a",)),
        ("sglang", ("sglang",)),  # a's owner too, but a backend's name means that backend alone
        ("vllm", ("vllm",)),
        ("new", ("silent",)),
        ("other", ()),
        ("SGLANG", ()),
        ("", ()),
    ],
)
def test_a_name_is_a_backends_own_or_stands_for_all_of_an_owner_in_the_files_order(
    name: str, bearing: tuple[str, ...]
) -> None:
    assert HEARD.bearing(name) == bearing


def test_the_configured_owner_wins_over_the_polled_one() -> None:
    assert HEARD.known["vllm"].owner == "vllm"
    assert HEARD.known["silent"].owner == "new"
    assert view(GIVEN).known["silent"].owner is None


def test_all_names_and_exact_models_are_known() -> None:
    assert HEARD.bearable == ("a", "new", "sglang", "silent", "vllm")
    assert HEARD.models == ("llama", "qwen", "Org/Mistral")


def test_a_view_is_complete_once_every_polled_engine_has_answered() -> None:
    before = view(GIVEN)
    assert not before.complete
    assert not before.owners_complete
    half = view(GIVEN, {"silent": answer("x")})
    assert not half.complete
    assert half.owners_complete
    assert HEARD.complete


def test_what_the_configuration_lists_counts_as_known_once_its_engine_was_asked_in_vain() -> None:
    listed, unlisted = backend("a", "vllm", ["m"], polled=True), backend("b", models=["n"], polled=True)
    asked = Snapshot([Known(listed), Known(unlisted)])
    assert asked.complete
    assert not asked.owners_complete, "b's owner is still to be told"
    assert not Snapshot([Known(listed), Known(unlisted, asked=False)]).complete
    assert not Snapshot([Known(backend("c", polled=True))]).complete


def test_a_view_without_polled_engines_is_complete_at_once() -> None:
    given = config([backend("a"), backend("b", "vllm", ["m"])])
    assert view(given).complete
    assert view(given).owners_complete


def test_the_last_good_answer_counts_after_an_engine_stops_answering() -> None:
    dead = Known(GIVEN.backends[3], answer("Org/Mistral"), alive=False)
    assert Snapshot([dead]).serving("Org/Mistral") == ("silent",)
    assert Snapshot([dead]).alive == frozenset()
