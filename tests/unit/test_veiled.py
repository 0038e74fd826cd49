"""No error repeats what may be a secret: a key at the wrong place, a password in an address, a query."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen.common.problems import InputError
from routegen.common.veiled import veiled
from routegen.compile import compile_text

SECRET = "Zq7-NeverToBeSeen"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://me:secret@10.0.0.1:8000/v1", "http://…@10.0.0.1:8000/v1"),
        ("me:secret@10.0.0.1:8000", "…@10.0.0.1:8000"),
        ("a=http://me:secret@h", "a=http://…@h"),
        ("http://h/v1/models?key=secret", "http://h/v1/models?…"),
        ("sk-1234567890", "…"),
        ("Bearer abc.def", "…"),
        ("basic bWU6c2VjcmV0==", "…"),
        ("hf_abcdefghij", "…"),
        ("qwen-?", "qwen-?"),
        ("10.0.0.1:8000", "10.0.0.1:8000"),
        ("Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-0.5B-Instruct"),
        ("task-force-manager", "task-force-manager"),
    ],
)
def test_what_may_be_a_secret_is_left_out_and_nothing_else(text: str, expected: str) -> None:
    assert veiled(text) == expected


def refused(backend: dict[str, Any]) -> str:
    spec = {
        "gateway": {"target": "envoy"},
        "backends": {"a": {"endpoints": ["10.0.0.1:80"], "ownedBy": "x", **backend}},
    }
    text = json.dumps(
        {"apiVersion": "routegen/v1alpha1", "kind": "InferenceRoutes", "metadata": {"name": "x"}, "spec": spec}
    )
    with pytest.raises(InputError) as raised:
        compile_text(text, "routes.yaml")
    return str(raised.value)


FIELDS = ("secretName", "secretKey", "env", "file", "send", "value", SECRET)
AMISS = st.sampled_from(
    [SECRET, f" {SECRET}", f"{SECRET} ", f"{SECRET}\n", f"{SECRET}:é", f"{SECRET}?a=b", f"*{SECRET}"]
)
WRONG = st.one_of(
    AMISS,
    st.lists(AMISS, max_size=2),
    st.none(),
    st.dictionaries(AMISS, AMISS | st.none(), max_size=2),
    st.sampled_from([0, 1.5, True]),
)


@given(st.one_of(WRONG, st.dictionaries(st.sampled_from(FIELDS), WRONG, min_size=1)))
def test_nothing_that_stands_in_place_of_a_keys_place_is_repeated(api_key: Any) -> None:
    try:
        told = refused({"apiKey": api_key})
    except pytest.fail.Exception:  # some of these are right: a Secret's key may be called anything
        return
    assert SECRET not in told
    assert "routes.yaml:1 $.spec.backends.a" in told


@pytest.mark.parametrize(
    "text",
    [
        f"apiKey: {{{SECRET}: 1, {SECRET}: 2}}",
        f"apiKey: {{env: !{SECRET} x}}",
        f"apiKey: !{SECRET} x",
        f"apiKey: *{SECRET}",
        f"apiKey: {{env: {SECRET}, env: {SECRET}}}",
    ],
)
def test_neither_is_what_is_no_plain_yaml(text: str) -> None:
    head = (
        "apiVersion: routegen/v1alpha1\nkind: InferenceRoutes\nmetadata: {name: x}\nspec:\n  backends:\n    a:\n      "
    )
    with pytest.raises(InputError) as raised:
        compile_text(head + text, "routes.yaml")
    assert SECRET not in str(raised.value)
    assert "routes.yaml:7" in str(raised.value)


@pytest.mark.parametrize("scheme", ["", "http://", "https://", "ftp://", "//"])
@pytest.mark.parametrize("path", ["", "/", "/v1/models", "?a=b"])
def test_no_password_in_an_address_is_repeated(scheme: str, path: str) -> None:
    address = f"{scheme}me:{SECRET}@10.0.0.1:80{path}"
    assert SECRET not in refused({"endpoints": [address]})
    assert SECRET not in refused({"poll": {"url": address}})
    assert SECRET not in refused({"endpoints": address})
