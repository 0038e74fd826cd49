"""Second choices: which pairs the gateway gets ready for, and whom the router names for one request."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen.compile import compile_text
from routegen.compile.seconds import FEW, MOST, with_seconds
from routegen.emit.router_config import router_config
from routegen.plan import Addresses, ApiKey, Backend
from routegen_router.decide import Route, decide
from routegen_router.models import Answer, Known, Snapshot
from routegen_router.request import Facts
from routegen_router.rules import Split
from routegen_router.second import Seconds

KEY, OTHER = ApiKey(env="A", send=True), ApiKey(env="B", send=True)


def backend(name: str, **changes: object) -> Backend:
    made = Backend(name, Addresses(((f"{name}.test", 80),)), poll_urls=(f"http://{name}.test/v1/models",))
    return replace(made, **changes)  # type: ignore[arg-type]


def seconds(*backends: Backend, split: tuple[str, ...] = ()) -> dict[str, tuple[str, ...]]:
    rules = (Split(name="split", weights=tuple((name, 1.0) for name in split)),) if split else ()
    return {one.name: one.seconds for one in with_seconds(backends, rules)}


def test_the_next_in_the_file_stand_in_around_its_end() -> None:
    assert seconds(*map(backend, "abcde")) == {
        "a": ("b", "c", "d"),
        "b": ("c", "d", "e"),
        "c": ("d", "e", "a"),
        "d": ("e", "a", "b"),
        "e": ("a", "b", "c"),
    }


def test_those_of_the_same_split_come_first() -> None:
    found = seconds(*map(backend, "abcde"), split=("a", "d", "e"))
    assert found["a"] == ("d", "e", "b")
    assert found["b"] == ("c", "d", "e")


def test_a_lone_backend_has_nobody() -> None:
    assert seconds(backend("a")) == {"a": ()}


def test_configuration_grows_with_the_backends_and_not_their_square() -> None:
    few = seconds(*(backend(f"b{number}") for number in range(FEW)))
    many = seconds(*(backend(f"b{number}") for number in range(FEW + 1)))
    assert {len(found) for found in few.values()} == {MOST}
    assert {len(found) for found in many.values()} == {1}


@pytest.mark.parametrize(
    ("one", "other", "pair"),
    [
        (None, None, True),
        (KEY, KEY, True),
        (KEY, OTHER, False),
        (KEY, None, False),
        (replace(KEY, send=False), None, True),
        (replace(KEY, send=False), OTHER, False),
    ],
)
def test_a_request_that_carries_a_key_stays_with_that_key(one: ApiKey | None, other: ApiKey | None, pair: bool) -> None:
    found = seconds(backend("a", api_key=one), backend("b", api_key=other))
    assert found == {"a": ("b",) * pair, "b": ("a",) * pair}


@pytest.mark.parametrize(
    ("one", "other", "pair"),
    [
        (("m",), ("m",), True),
        (("m",), ("n",), False),
        (("m-*",), ("m-1",), True),
        (("m-*",), ("n",), False),
        (("m-*",), ("*-n",), True),
        ((), ("n",), False),
    ],
)
def test_backends_that_can_have_no_model_in_common_are_no_pair(
    one: tuple[str, ...], other: tuple[str, ...], pair: bool
) -> None:
    found = seconds(backend("a", poll_urls=(), models=one), backend("b", poll_urls=(), models=other))
    assert found == {"a": ("b",) * pair, "b": ("a",) * pair}


def test_only_a_target_that_can_has_them_and_only_if_the_file_wants_it() -> None:
    text = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: demo}
spec:
  failover: {enabled: true}
  backends:
    a: {service: {name: a, port: 80}, ownedBy: x}
    b: {service: {name: b, port: 80}, ownedBy: y}
"""
    assert compile_text(text, "r", target="envoy").backend("a").seconds == ("b",)
    assert compile_text(text, "r", target="envoy-gateway").backend("a").seconds == ()
    off = text.replace("enabled: true", "enabled: false")
    assert compile_text(off, "r", target="envoy").backend("a").seconds == ()
    noted: list[object] = []
    compile_text(text, "r", target="envoy-gateway", notices=noted)  # type: ignore[arg-type]
    assert any("$.spec.failover: note: the target envoy-gateway doesn't use it" in str(note) for note in noted)


RULES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: demo}
spec:
  gateway: {target: envoy}
  backends:
    a: {endpoints: ["a.test:80"], ownedBy: x}
    b: {endpoints: ["b.test:80"], ownedBy: y}
    c: {endpoints: ["c.test:80"], ownedBy: x}
    d: {endpoints: ["d.test:80"], ownedBy: z}
  rules:
    - body: inference_server
    - {when: {header: {x-tenant: gold}}, prefer: [z, y]}
    - {split: {a: 1, y: 2, c: 3}, stickyBy: {header: x-session}}
    - {split: {d: 1}}
"""
CONFIG = router_config(compile_text(RULES, "routes.yaml"))
NAMES = [one.name for one in CONFIG.backends]


@given(
    named=st.sampled_from([None, None, *NAMES, "x", "y", "z"]),
    serving=st.sets(st.sampled_from(NAMES), min_size=1),
    alive=st.sets(st.sampled_from(NAMES)),
    tenant=st.booleans(),
    session=st.sampled_from([None, "1", "2", "3"]),
    path=st.sampled_from(["/v1/chat/completions", "/v1/responses", "/v1/responses/compact"]),
    point=st.floats(0, 1, exclude_max=True),
)
def test_a_second_choice_serves_the_model_answers_and_takes_nothing_from_who_was_named(
    named: str | None, serving: set[str], alive: set[str], tenant: bool, session: str | None, path: str, point: float
) -> None:
    view = Snapshot(
        Known(one, Answer({"m": 0} if one.name in serving else {}, one.owner, 1.0), alive=one.name in alive)
        for one in CONFIG.backends
    )
    headers = {"x-tenant": "gold"} if tenant else {}
    headers |= {"x-session": session} if session else {}
    fields: dict[tuple[str, ...], str] = {("inference_server",): named} if named else {}
    facts = Facts(path, "m", fields, headers, 1, {})
    route = decide(facts, CONFIG, view, lambda: point)
    if not isinstance(route, Route):
        return
    second = Seconds(CONFIG).of(route, facts, view, lambda: point)
    if second is None:
        return
    assert second != route.backend
    assert second in serving & alive
    assert path == "/v1/chat/completions"
    assert named not in NAMES
    if named is not None:
        assert {one.owner for one in CONFIG.backends if one.name in {second, route.backend}} == {named}


def test_a_split_always_has_one_where_another_of_it_answers() -> None:
    view = Snapshot(Known(one, Answer({"m": 0}, one.owner, 1.0), alive=one.name != "b") for one in CONFIG.backends)
    facts = Facts("/v1/chat/completions", "m", {}, {}, 1, {})
    for tenth in range(10):
        route = decide(facts, CONFIG, view, lambda tenth=tenth: tenth / 10)  # type: ignore[misc]
        assert isinstance(route, Route)
        assert {route.backend, Seconds(CONFIG).of(route, facts, view, lambda: 0.5)} == {"a", "c"}


PREFERRED = router_config(
    compile_text(
        """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: demo}
spec:
  gateway: {target: envoy}
  backends:
    a: {endpoints: ["a.test:80"], ownedBy: ours}
    b: {endpoints: ["b.test:80"], ownedBy: theirs}
    c: {endpoints: ["c.test:80"], ownedBy: theirs}
    d: {endpoints: ["d.test:80"], ownedBy: theirs}
    e: {endpoints: ["e.test:80"], ownedBy: ours}
    f: {endpoints: ["f.test:80"], ownedBy: ours}
  rules:
    - prefer: [ours]
    - split: {ours: 1, theirs: 1}
""",
        "routes.yaml",
    )
)


@pytest.mark.parametrize(
    ("alive", "possible"), [("abcdef", {None}), ("abcde", {None}), ("abcd", {"b", "c", "d"}), ("a", {None})]
)
def test_a_preference_is_not_left_while_others_that_are_preferred_answer(alive: str, possible: set[str | None]) -> None:
    """The gateway can change from ``a`` to ``b``, ``c`` and ``d`` only."""
    view = Snapshot(Known(one, Answer({"m": 0}, one.owner, 1.0), alive=one.name in alive) for one in PREFERRED.backends)
    facts = Facts("/v1/chat/completions", "m", {}, {}, 1, {})
    chosen = Seconds(PREFERRED)
    found = {chosen.of(Route("a", "split"), facts, view, lambda tenth=tenth: tenth / 10) for tenth in range(10)}  # type: ignore[misc]
    assert found == possible
