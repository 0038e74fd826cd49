"""A backend's own name means that backend alone, whatever engines and files say of owners."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from routegen.cli import cli
from routegen.compile import compile_text
from routegen.compile.advice import FAMILIES, advice, claimed
from routegen_router.config import Backend, Models, Poll
from routegen_router.decide import Route, decide
from routegen_router.models import Answer
from routegen_router.poller import Registry
from routegen_router.request import Source
from routegen_router.rules import Lookup, NoRoute, Prefer, Rule, Split
from support.engines import engine, serving
from support.policy import ENGINE, EVEN, HEADER, OWNED_BY, answer, backend, config, facts, refused, run, view
from support.router import router_config

NAMES = st.sampled_from(["vllm", "canary", "sglang", "a"])
OWNERS = st.none() | NAMES | st.just("nvidia")
MODELS = st.lists(st.sampled_from(["m", "n", "n-*"]), max_size=2)
BACKENDS = st.lists(
    st.builds(backend, NAMES, OWNERS, MODELS, polled=st.booleans()), min_size=1, max_size=4, unique_by=lambda b: b.name
)
ANSWERS = st.dictionaries(NAMES, st.builds(answer, st.sampled_from(["m", "n"]), owner=OWNERS))
LATER: st.SearchStrategy[list[Rule]] = st.lists(
    st.builds(Prefer, name=st.just("x"), names=st.lists(NAMES, min_size=1, max_size=2).map(tuple))
    | st.builds(Lookup, name=st.just("x"), source=st.just(OWNED_BY), on_unknown=st.just("next"))
    | st.builds(Split, name=st.just("x"), weights=st.lists(st.tuples(NAMES, st.just(1)), min_size=1).map(tuple))
    | st.builds(NoRoute, name=st.just("x"), message=st.just("no")),
    max_size=3,
)


@given(
    BACKENDS,
    ANSWERS,
    LATER,
    st.sampled_from([ENGINE, OWNED_BY, HEADER]),
    st.none() | st.sampled_from(["m", "n", "n-1", "nobody's"]),
    st.sets(NAMES),
    st.floats(0, 1, exclude_max=True),
    st.data(),
)
def test_a_request_that_names_a_backend_goes_to_it_or_is_refused(
    backends: list[Backend],
    answers: dict[str, Answer],
    later: list[Rule],
    source: Source,
    model: str | None,
    dead: set[str],
    point: float,
    data: st.DataObject,
) -> None:
    made = config(backends, (Lookup(name="first", source=source), *later))
    known = view(made, {one.name: answers[one.name] for one in backends if one.poll and one.name in answers}, dead)
    named = data.draw(st.sampled_from(known.names))
    fields = {"inference_server": named} if source is ENGINE else {"owned_by": named} if source is OWNED_BY else {}
    asked = facts(model=model, header=named if source is HEADER else None, **fields)
    decision = decide(asked, made, known, lambda: point)
    if isinstance(decision, Route):
        assert decision.backend == named


@given(BACKENDS, ANSWERS, st.dictionaries(NAMES | st.just("nvidia"), st.sampled_from([0, 1, 3]), min_size=1))
def test_a_backend_in_a_split_has_its_own_weight_and_no_other(
    backends: list[Backend], answers: dict[str, Answer], weights: dict[str, float]
) -> None:
    made = config(backends, (Split(name="split", weights=tuple(weights.items())),))
    known = view(made, {one.name: answers[one.name] for one in backends if one.poll and one.name in answers})
    reached = Counter[str]()
    for step in range(200):
        draws = iter([step / 200, 0.99, 0.99])
        decision = decide(facts(), made, known, lambda draws=draws: next(draws))  # type: ignore[misc]  # bound here
        if isinstance(decision, Route) and decision.rule == "split":
            reached[decision.backend] += 1
    for name in known.names:
        if weights.get(name) == 0:
            assert not reached[name]


def test_two_engines_of_one_kind_do_not_share_the_first_ones_name() -> None:
    given_ = config(
        [backend("vllm", polled=True), backend("canary", polled=True)], (Lookup(name="e", source=ENGINE), EVEN)
    )
    known = view(given_, {"vllm": answer("m", owner="vllm"), "canary": answer("m", owner="vllm")})
    rng = random.Random(1)
    asked = facts(model="m", engine="vllm")
    assert {decide(asked, given_, known, rng.random) for _ in range(40)} == {Route("vllm", "e")}
    only_canary = view(given_, {"vllm": answer("other", owner="vllm"), "canary": answer("m", owner="vllm")})
    assert refused(run(asked, given=given_, known=only_canary))[:2] == (400, "engine_model_mismatch")


def test_an_owner_in_a_split_does_not_add_to_a_backend_that_has_a_weight_there() -> None:
    made = config(
        [backend("b", "nvidia", ["m"]), backend("canary", polled=True)],
        (Split(name="s", weights=(("nvidia", 100), ("canary", 0))),),
    )
    known = view(made, {"canary": answer("m", owner="nvidia")})
    assert {run(facts(model="m"), given=made, known=known, point=point) for point in (0.0, 0.6, 0.99)} == {
        Route("b", "s")
    }


async def test_the_log_says_when_an_engine_claims_another_backends_name(caplog: pytest.LogCaptureFixture) -> None:
    with engine(serving("m")) as one, engine(serving("m")) as two:
        backends = (
            Backend(name="vllm", poll=Poll(urls=(one.url,))),
            Backend(name="canary", poll=Poll(urls=(two.url,))),
        )
        settings = router_config(backends=backends, rules=(), models=Models(interval=0.02, timeout=5))
        registry = Registry(settings, None, lambda: None)
        with caplog.at_level(logging.WARNING, "routegen.poller"):
            registry.start()
            while len(two.asked) < 3:  # noqa: ASYNC110 - another thread's list
                await asyncio.sleep(0.01)
            await registry.stop()
    said = [record.__dict__["fields"] for record in caplog.records if "another backend's name" in record.message]
    assert said == [{"backend": "canary", "told": "vllm"}]
    assert registry.view().bearing("vllm") == ("vllm",)


ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: demo}
spec:
  gateway: {target: envoy}
  backends:
    NAME: {endpoints: [127.0.0.1:8001], models: [m]OWNER}
    canary: {endpoints: [127.0.0.1:8002], models: [m]}
"""


@pytest.mark.parametrize(("name", "owner"), FAMILIES.items())
def test_validate_asks_for_the_owner_of_a_backend_that_is_called_like_an_engine(name: str, owner: str) -> None:
    text = ROUTES.replace("NAME", name)
    told = CliRunner().invoke(cli, ["validate", "-f", "-"], input=text.replace("OWNER", ""))
    assert told.exit_code == 0
    assert f"note: is called like an engine and has no owner; set ownedBy: {owner}." in told.stderr
    assert "canary: " not in told.stderr
    quiet = CliRunner().invoke(cli, ["validate", "-f", "-"], input=text.replace("OWNER", f", ownedBy: {owner}"))
    assert (quiet.exit_code, quiet.stderr) == (0, "")


def test_render_says_it_too_and_prints_the_same_documents() -> None:
    text = ROUTES.replace("NAME", "vllm").replace("OWNER", "")
    command = ["render", "-f", "-", "--only", "router-config"]
    told = CliRunner().invoke(cli, command, input=text)
    assert told.exit_code == 0
    assert next(advice(compile_text(text, "-"))).message in told.stderr
    assert "ownedBy" not in told.stdout


def test_explain_names_the_engine_that_claims_another_backends_name() -> None:
    with engine(serving("m")) as one, engine(serving("m")) as two:
        text = ROUTES.replace("NAME", "vllm").replace("OWNER", "")
        text = text.replace("127.0.0.1:8001", one.url.split("/")[2]).replace("127.0.0.1:8002", two.url.split("/")[2])
        body = '{"model": "m", "inference_server": "vllm"}'
        told = CliRunner().invoke(cli, ["explain", "-f", "-", "--body", body], input=text)
    assert told.exit_code == 0
    assert f"warning: {claimed('canary', 'vllm')}\n" in told.stderr
