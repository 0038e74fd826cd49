"""What Envoy's configuration is made with: addresses, durations, patterns, and what it can't be made from."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen.common.problems import UserError
from routegen.emit.envoy import bootstrap, messages
from routegen.envoy import binary as envoy_binary
from routegen.envoy import check as envoy_check
from routegen.plan import Picker, Plan, PoolRef
from support.plans import TWO_ENGINES


def routed_by(*addresses: str) -> Plan:
    """A plan whose router is at these addresses."""
    return dataclasses.replace(TWO_ENGINES, router=dataclasses.replace(TWO_ENGINES.router, addresses=addresses))


@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1), min_size=1))
def test_a_pattern_of_texts_matches_these_texts_and_no_other(texts: list[str]) -> None:
    pattern = messages.one_of(tuple(texts)).regex
    for text in (*texts, *(text + "x" for text in texts), texts[0][1:]):
        assert bool(re.fullmatch(pattern, text)) == (text in texts)


@pytest.mark.parametrize(
    ("text", "host", "port"), [("10.0.0.1:80", "10.0.0.1", 80), ("[::1]:80", "::1", 80), ("r.test:9", "r.test", 9)]
)
def test_an_address_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert messages.parse_address(text) == messages.socket_address(host, port)


@pytest.mark.parametrize("text", ["10.0.0.1", ":80", "host:http", "host:", ""])
def test_anything_else_is_no_address(text: str) -> None:
    with pytest.raises(UserError, match="is not an address; write host:port"):
        messages.parse_address(text)


def test_a_negative_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="can't be negative"):
        messages.seconds(-0.001)


def test_field_names_with_digits_stay_as_envoy_spells_them() -> None:
    clusters = bootstrap.static(TWO_ENGINES)["static_resources"]["clusters"]
    assert [cluster["outlier_detection"]["enforcing_consecutive_5xx"] for cluster in clusters[:2]] == [0, 0]


def test_what_only_pools_need_is_there_only_with_pools() -> None:
    first, *others = TWO_ENGINES.backends
    reach = PoolRef("pool", "inference", (("pods", 8000),), Picker((("picker", 9002),)))
    pool = dataclasses.replace(first, reach=reach)
    with_pools = str(bootstrap.static(dataclasses.replace(TWO_ENGINES, backends=(pool, *others))))
    for word in ("picker", "picked", "x-gateway-", "override_host"):
        assert (word in with_pools, word in str(bootstrap.static(TWO_ENGINES))) == (True, False)


def test_unix_sockets_and_dns_names_cannot_be_mixed() -> None:
    with pytest.raises(UserError, match="can't stand beside DNS names"):
        bootstrap.static(routed_by("unix:/run/r", "router.test:50051"))
    for addresses in (["unix:/run/r", "10.0.0.1:1"], ["10.0.0.1:1", "router.test:50051"]):
        assert bootstrap.static(routed_by(*addresses))


def test_without_an_envoy_the_check_says_that_nothing_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envoy_binary, "find", lambda: None)
    [notice] = envoy_check.check({})
    assert notice.startswith("the configuration was not checked: Envoy is not on this machine; ")
