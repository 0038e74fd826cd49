"""One engine in trouble beside one that is well: readiness, the list of models, requests, and ``up``'s words.

The table of docs/reliability.md is this one, and real processes answer: Envoy, a router, ``routegen up``.
"""

from __future__ import annotations

import contextlib
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from support.engines import Request, Respond, certificate, engine, refusing, serving
from support.router import wait_for
from support.up import request, up

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: troubles}
spec:
  gateway: {target: envoy}
  models: {poll: {timeout: 1s}}
  backends:
    well: {endpoints: ["WELL"], ownedBy: vllm}
    ill: {endpoints: ["ILL"], ownedBy: sglangLISTED}
  rules:
    - body: inference_server
    - split: {well: 50, ill: 50}
"""
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def answering(listing: Respond, health: int = 200) -> Respond:
    """An engine: its list of models, its health, and an answer to everything else."""

    def respond(asked: Request) -> None:
        if asked.path == "/v1/models":
            listing(asked)
        else:
            asked.answer(health if asked.path == "/health" else 200, b"{}")

    return respond


def slowly(asked: Request) -> None:
    time.sleep(3)
    serving("m", owner="sglang")(asked)


def at(respond: Respond) -> Callable[[Path], AbstractContextManager[str]]:
    """An engine that answers so: ``host:port``."""

    @contextlib.contextmanager
    def start(_: Path) -> Iterator[str]:
        with engine(respond) as running:
            yield f"127.0.0.1:{running.port}"

    return start


@contextlib.contextmanager
def nobody(_: Path) -> Iterator[str]:
    with refusing() as (host, port):
        yield f"{host}:{port}"


@contextlib.contextmanager
def nameless(_: Path) -> Iterator[str]:
    yield "engine.invalid:8000"


@contextlib.contextmanager
def secure(folder: Path) -> Iterator[str]:
    context, _ = certificate(folder, "engine.internal")
    with engine(answering(serving("m", owner="sglang")), context) as running:
        yield f"127.0.0.1:{running.port}"


@dataclass(frozen=True)
class Trouble:
    """One row of the table."""

    title: str
    ill: Callable[[Path], AbstractContextManager[str]]
    listed: bool
    """Whether routes.yaml lists the engine's models, which are ``m``."""
    listing: list[str]
    """The backends of ``m`` in ``GET /v1/models``."""
    split: set[str]
    """Who gets requests for ``m`` that name nobody."""
    named: tuple[int, str | None]
    """Status and code for one that names the engine."""
    unknown: tuple[int, str]
    """Status and code for a model that nobody lists."""
    words: str
    """What ``up`` says."""


KNOWN, UNKNOWN = (404, "model_not_found"), (503, "registry_incomplete")
DOWN, UP = (503, "engine_unavailable"), (200, None)
TROUBLES = [
    Trouble("down", nobody, False, ["well"], {"well"}, UNKNOWN, UNKNOWN, r"does not answer at \S+ \(nothing listens"),
    Trouble("down", nobody, True, ["well", "ill"], {"well"}, DOWN, KNOWN, r"does not answer at \S+ \(nothing listens"),
    Trouble(
        "no address",
        nameless,
        True,
        ["well", "ill"],
        {"well"},
        DOWN,
        KNOWN,
        r"does not answer at \S+ \(its name can't be resolved",
    ),
    Trouble(
        "warming up",
        at(answering(serving("m", owner="sglang"), health=503)),
        False,
        ["well", "ill"],
        {"well"},
        UP,
        KNOWN,
        "is up and warming up: it gets only requests that name it",
    ),
    Trouble(
        "slow", at(answering(slowly)), False, ["well", "ill"], {"well", "ill"}, UP, KNOWN, "takes its time to answer"
    ),
    Trouble(
        "with a key",
        at(answering(lambda asked: asked.answer(401, b"{}"))),
        False,
        ["well"],
        {"well"},
        UNKNOWN,
        UNKNOWN,
        r"wants a key.* at \S+ say with `apiKey:` of ill where it is, or list its models",
    ),
    Trouble(
        "with a key",
        at(answering(lambda asked: asked.answer(401, b"{}"))),
        True,
        ["well", "ill"],
        {"well", "ill"},
        UP,
        KNOWN,
        "wants a key",
    ),
    Trouble("with TLS", secure, True, ["well", "ill"], {"well"}, DOWN, KNOWN, r"speaks TLS at \S+ say so with `tls:`"),
]


def ready(router: str) -> bool:
    """Whether the router says so."""
    try:
        with urllib.request.urlopen(f"{router}/readyz", timeout=10) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError:
        return False


def outcome(gateway: str, **fields: str) -> tuple[int, str | None, str | None]:
    """Status, error code and backend of a request."""
    status, headers, body = request(gateway, {"messages": [], **fields})
    code = body["error"]["code"] if status != 200 else None
    return status, code, headers.get("x-inference-server")


@pytest.mark.parametrize("case", TROUBLES, ids=lambda case: f"{case.title}{', listed' if case.listed else ''}")
def test_one_engine_in_trouble_takes_nothing_from_the_others(case: Trouble, tmp_path: Path) -> None:
    with engine(answering(serving("m"))) as well, case.ill(tmp_path) as ill:
        text = ROUTES.replace("WELL", f"127.0.0.1:{well.port}").replace("ILL", ill)
        file = tmp_path / "routes.yaml"
        file.write_text(text.replace("LISTED", ", models: [m]" if case.listed else ""))
        with up("-f", str(file)) as running:
            gateway = running.ready()
            running.says(f"the engine of backend ill {case.words}")
            router = running.says(r"the router: (http://\S+)/metrics")[1]
            wait_for(partial(ready, router), "the router to be ready")
            if case.title == "slow":
                running.says("the engine of backend ill answers")

            _, _, listing = request(gateway, path="/v1/models")
            [entry] = listing["data"]
            assert [backend["name"] for backend in entry["backends"]] == case.listing
            reached = [outcome(gateway, model="m") for _ in range(30)]
            assert {status for status, _, _ in reached} == {200}
            assert {backend for _, _, backend in reached} == case.split
            assert outcome(gateway, model="m", inference_server="well") == (200, None, "well")
            assert outcome(gateway, model="m", inference_server="ill")[:2] == case.named
            assert outcome(gateway, model="nobody's")[:2] == case.unknown


def test_all_engines_down_is_503_for_all_and_the_router_is_ready(tmp_path: Path) -> None:
    with refusing() as one, refusing() as two:
        text = ROUTES.replace("WELL", f"{one[0]}:{one[1]}").replace("ILL", f"{two[0]}:{two[1]}").replace("LISTED", "")
        file = tmp_path / "routes.yaml"
        file.write_text(text)
        with up("-f", str(file)) as running:
            gateway = running.ready()
            running.says("the engine of backend well does not answer")
            running.says("the engine of backend ill does not answer")
            router = running.says(r"the router: (http://\S+)/metrics")[1]
            wait_for(partial(ready, router), "the router to be ready")
            assert request(gateway, path="/v1/models")[2]["data"] == []
            assert outcome(gateway, model="m")[:2] == UNKNOWN
            assert outcome(gateway)[:2] == DOWN
            assert outcome(gateway, inference_server="well") == (*DOWN, "well")


def test_the_page_has_these_rows() -> None:
    page = PAGE.read_text()
    for case in TROUBLES:
        row = f"| {case.title}{', models listed' if case.listed else ''} |"
        assert row in page
        [line] = [line for line in page.splitlines() if line.startswith(row)]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[1:] == [
            "yes",
            " and ".join(case.listing),
            " and ".join(sorted(case.split, reverse=True)),
            " ".join(map(str, filter(None, case.named))),
            " ".join(map(str, case.unknown)),
        ]
