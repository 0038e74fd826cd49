"""While one plan gives way to another, Envoy has what either needs, and no key can go to a stranger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from routegen.local.crossing import NOWHERE, crossing
from routegen.plan import Addresses, ApiKey, Backend, UpstreamTLS
from support.plans import TWO_ENGINES

HERE, THERE = Addresses((("127.0.0.1", 1),)), Addresses((("127.0.0.1", 2),))
ONE, OTHER = ApiKey(None, "api-key", None, "/one", True), ApiKey(None, "api-key", None, "/other", True)
A = Backend("a", HERE, api_key=ONE)


def crossed(old: Backend, new: Backend) -> Backend:
    plans = [replace(TWO_ENGINES, backends=(backend,)) for backend in (old, new)]
    [backend] = crossing(*plans).backends
    return backend


@pytest.mark.parametrize(
    "new",
    [
        replace(A, reach=THERE, api_key=OTHER),
        replace(A, reach=THERE, api_key=None),
        replace(A, reach=THERE, api_key=replace(ONE, send=False)),
        replace(A, tls=UpstreamTLS(None, None, None), api_key=OTHER),
    ],
)
def test_a_backend_whose_address_and_key_change_at_once_is_nowhere_meanwhile(new: Backend) -> None:
    assert crossed(A, new) == replace(new, reach=NOWHERE)
    assert crossed(new, A) == replace(A, reach=NOWHERE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (A, A),
        (A, replace(A, reach=THERE)),
        (A, replace(A, api_key=OTHER)),
        (A, replace(A, api_key=None)),
        (replace(A, api_key=replace(ONE, send=False)), replace(A, reach=THERE, api_key=None)),
    ],
)
def test_one_that_only_moves_or_only_gets_another_key_stays(old: Backend, new: Backend) -> None:
    assert crossed(old, new) == new


def test_backends_and_second_choices_of_both_plans_are_there() -> None:
    a, b, c, d = (Backend(name, HERE) for name in "abcd")
    old = replace(TWO_ENGINES, backends=(replace(a, seconds=("b", "c")), replace(b, seconds=("a",)), c))
    new = replace(TWO_ENGINES, backends=(replace(a, seconds=("d",)), b, d))
    backends = {backend.name: backend for backend in crossing(old, new).backends}
    assert list(backends) == ["a", "b", "d", "c"]
    assert backends["a"].seconds == ("d", "b", "c")
    assert backends["b"].seconds == ("a",)
