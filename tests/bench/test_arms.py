"""From backends and addresses to arms, slots and comparisons."""

from __future__ import annotations

import re

import pytest

from routegen.bench.arms import from_plan, from_urls
from routegen.bench.layout import Layout, lay_out
from routegen.common.problems import UserError
from routegen.compile import compile_text

PLAN = compile_text(
    """
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: compare, namespace: inference}
spec:
  backends:
    vllm:   {service: {name: vllm, port: 8000}, ownedBy: vllm}
    sglang: {endpoints: ["[2001:db8::2]:8002"], ownedBy: sglang}
    cloud:  {endpoints: [engines.example.com:443], tls: true}
    pool:   {inferencePool: {name: pool}, models: [m]}
""",
    "routes.yaml",
    deployed=False,
)
GATEWAY = "http://gateway:8080"


def plan_arms(*names: str, way: str = "gateway", gateway: str | None = GATEWAY, **urls: str) -> list[str]:
    found = from_plan(PLAN, names, "m", way=way, gateway=gateway, urls=urls)  # type: ignore[arg-type]
    return [f"{arm.name}: {arm.via} {arm.url} {arm.inference_server}" for arm in found]


def asked(layout: Layout) -> list[str]:
    return [f"{one.question}: {one.base} | {one.other}" for one in layout.comparisons]


def laid_out(
    *names: str, way: str = "gateway", mode: str = "solo", control: bool = False, cache: str = "cold"
) -> Layout:
    arms = from_plan(PLAN, names, "m", way=way, gateway=GATEWAY, urls={})  # type: ignore[arg-type]
    return lay_out(arms, mode=mode, control=control, cache=cache)  # type: ignore[arg-type]


def test_through_the_gateway_an_arm_sends_its_backends_name() -> None:
    assert plan_arms("vllm", "pool") == [
        "vllm: gateway http://gateway:8080 vllm",
        "pool: gateway http://gateway:8080 pool",
    ]
    assert len(plan_arms()) == 4, "all backends where none is named"


def test_straight_to_an_engine_the_plan_knows_the_address() -> None:
    assert plan_arms("vllm", "sglang", "cloud", way="direct", gateway=None) == [
        "vllm: direct http://vllm.inference.svc.cluster.local:8000 None",
        "sglang: direct http://[2001:db8::2]:8002 None",
        "cloud: direct https://engines.example.com:443 None",
    ]


def test_a_given_address_replaces_the_plans() -> None:
    assert plan_arms("vllm", way="direct", vllm="http://127.0.0.1:1") == ["vllm: direct http://127.0.0.1:1 None"]


MIRRORED = compile_text(
    """
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: mirrored}
spec:
  gateway: {target: envoy}
  backends:
    vllm:   {endpoints: [10.0.0.1:8000], ownedBy: vllm, mirror: {to: sglang, percent: 5}}
    sglang: {endpoints: [10.0.0.2:8000], ownedBy: sglang}
    other:  {endpoints: [10.0.0.3:8000], ownedBy: x}
""",
    "routes.yaml",
)


@pytest.mark.parametrize("way", ["gateway", "both"])
@pytest.mark.parametrize("names", [[], ["vllm", "sglang"], ["vllm", "other"]])
def test_engines_whose_requests_are_copied_are_not_compared_through_the_gateway(way: str, names: list[str]) -> None:
    with pytest.raises(UserError, match=r'copies requests for "vllm" to "sglang" \(mirror\).*--way direct'):
        from_plan(MIRRORED, names, "m", way=way, gateway=GATEWAY, urls={})  # type: ignore[arg-type]


def test_copies_are_no_matter_where_none_is_made() -> None:
    assert len(from_plan(MIRRORED, [], "m", way="direct", gateway=None, urls={})) == 3
    assert len(from_plan(MIRRORED, ["sglang", "other"], "m", way="gateway", gateway=GATEWAY, urls={})) == 2


@pytest.mark.parametrize(
    ("names", "way", "gateway", "message"),
    [
        (["gold"], "gateway", GATEWAY, 'unknown backend "gold"; known: vllm, sglang, cloud, pool'),
        (["vllm"], "both", None, "name the gateway's address: --gateway"),
        (["pool"], "direct", None, 'backend "pool" has no address of its own; .* --url pool=http://HOST:PORT'),
    ],
)
def test_a_way_that_is_missing_is_said(names: list[str], way: str, gateway: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan_arms(*names, way=way, gateway=gateway)


def test_addresses_alone_make_direct_arms() -> None:
    arms = from_urls({"a": "http://127.0.0.1:1", "b": "http://127.0.0.1:2"}, "m")
    assert [(arm.name, arm.via, arm.inference_server) for arm in arms] == [("a", "direct", None), ("b", "direct", None)]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("http://10.0.0.1:8000", "http://10.0.0.1:8000"),
        ("http://10.0.0.1:8000", "http://10.0.0.1:8000/"),
        ("http://vllm", "http://VLLM.:80"),
        ("https://vllm", "https://vllm:443"),
        ("http://localhost:1", "http://127.0.0.1:1"),
        ("http://localhost:1", "http://[::1]:1"),
        ("http://[2001:db8::1]:1", "http://[2001:db8:0:0::1]:1"),
    ],
)
def test_one_engine_under_two_names_is_refused(one: str, two: str) -> None:
    with pytest.raises(UserError, match=rf'"a" and "b" are one engine: both are at {re.escape(one)}; .* --control'):
        from_urls({"a": one, "b": two})


@pytest.mark.parametrize("other", ["http://10.0.0.1:8001", "http://10.0.0.2:8000"])
def test_two_engines_may_share_a_host_or_a_port(other: str) -> None:
    assert len(from_urls({"a": "http://10.0.0.1:8000", "b": other})) == 2


def test_an_adapter_may_be_held_against_its_base_on_one_engine() -> None:
    url = "http://10.0.0.1:8000"
    arms = from_urls({"base": url, "tuned": url}, models={"base": "m", "tuned": "m-lora"})
    assert [arm.model for arm in arms] == ["m", "m-lora"]
    with pytest.raises(UserError, match="one engine"):
        from_urls({"base": url, "tuned": url}, models={"base": "m", "tuned": "m"})


@pytest.mark.parametrize("way", ["gateway", "direct", "both"])
def test_backends_of_one_engine_are_refused_on_every_way(way: str) -> None:
    with pytest.raises(UserError, match=r'"vllm" and "sglang" are one engine: both are at http://\[2001:db8::2\]:8002'):
        plan_arms("vllm", "sglang", way=way, vllm="http://[2001:db8::2]:8002")


def test_one_at_a_time_every_arm_has_a_slot_and_is_compared_with_the_first() -> None:
    layout = laid_out("vllm", "sglang", "cloud")
    assert layout.slots == (("vllm",), ("sglang",), ("cloud",))
    assert asked(layout) == ["engines: vllm | sglang", "engines: vllm | cloud"]


def test_both_ways_ask_for_the_engines_on_each_way_and_for_the_overhead_of_each_engine() -> None:
    assert asked(laid_out("vllm", "sglang", way="both")) == [
        "engines: vllm | sglang",
        "engines: vllm direct | sglang direct",
        "overhead: vllm direct | vllm",
        "overhead: sglang direct | sglang",
    ]


def test_together_all_arms_of_a_way_share_a_slot() -> None:
    layout = laid_out("vllm", "sglang", mode="together")
    assert layout.slots == (("vllm", "sglang"),)
    assert all(arm.together for arm in layout.arms)
    assert asked(layout) == ["engines: vllm | sglang"]


def test_interference_measures_alone_and_together() -> None:
    layout = laid_out("vllm", "sglang", mode="interference")
    assert layout.slots == (("vllm",), ("sglang",), ("vllm together", "sglang together"))
    assert asked(layout) == [
        "engines: vllm | sglang",
        "engines: vllm together | sglang together",
        "interference: vllm | vllm together",
        "interference: sglang | sglang together",
    ]


def test_the_control_repeats_the_first_arm_and_is_enough_by_itself() -> None:
    layout = laid_out("vllm", control=True)
    assert layout.slots == (("vllm",), ("vllm again",))
    assert layout.arms[1].repeats == "vllm"
    assert asked(layout) == ["control: vllm | vllm again"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, '"vllm" alone can\'t be compared with anything'),
        ({"control": True, "mode": "together"}, "the A/A control needs arms that are measured one at a time"),
        ({"control": True, "cache": "as-is"}, "--cache as-is would let one arm find the prompts of another .* vllm;"),
    ],
)
def test_what_can_not_be_compared_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        laid_out("vllm", **options)  # type: ignore[arg-type]


def test_an_engine_that_has_the_name_of_another_arm_is_refused() -> None:
    arms = from_urls({"a": "http://one:1", "a again": "http://two:2"}, "m")
    with pytest.raises(UserError, match='"a again" is what the bench calls another arm'):
        lay_out(arms, mode="solo", control=True, cache="cold")
