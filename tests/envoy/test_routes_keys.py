"""Engines with an API key, behind a real Envoy: each sees its own key, nobody sees another's, and nothing tells one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.request import urlopen

import pytest

from routegen.plan import ApiKey, Plan
from support.envoy import VERSIONS
from support.gateway import Gateway, gateway
from support.router import wait_for

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: keyed}
spec:
  gateway: {target: envoy}
  backends:
    own: {endpoints: [127.0.0.1:8001], ownedBy: vllm, apiKey: {file: FOLDER/own, send: true}}
    other: {endpoints: [127.0.0.1:8002], ownedBy: sglang, apiKey: {file: FOLDER/other, send: true}}
    asked: {endpoints: [127.0.0.1:8003], ownedBy: x, apiKey: {file: FOLDER/asked}}
    open: {endpoints: [127.0.0.1:8004], ownedBy: y}
  rules:
    - body: inference_server
    - split: {own: 1, other: 1, asked: 1, open: 1}
"""
KEYS = {"own": "key-of-own-1", "other": "key-of-other-2", "asked": "key-of-asked-3"}
CLIENT = "Bearer the-clients-own"
SEEN = {"own": "Bearer key-of-own-1", "other": "Bearer key-of-other-2", "asked": CLIENT, "open": CLIENT}
MODELS: Mapping[str, list[str]] = {name: ["m"] for name in SEEN}


@pytest.fixture(scope="module", params=VERSIONS)
def keyed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Path]]:
    folder = tmp_path_factory.mktemp("keys")
    for name, key in KEYS.items():
        (folder / name).write_text(f"{key}\n")
    routes = ROUTES.replace("FOLDER", str(folder))
    with gateway(routes, MODELS, version=request.param) as running:
        yield running, folder


def seen(gate: Gateway, name: str) -> set[str]:
    """The ``authorization`` of every request to a path of inference that ``name`` got."""
    requests = [one for one in gate.engines[name].recorder.requests if one.path == "/v1/chat/completions"]
    return {value for one in requests for value in one.header("authorization")}


@pytest.mark.parametrize("name", SEEN)
def test_an_engine_sees_its_own_key_or_the_clients(keyed: tuple[Gateway, Path], name: str) -> None:
    gate, _ = keyed
    gate.forget()
    headers = [("authorization", CLIENT)]
    assert gate.post({"model": "m", "inference_server": name}, headers=headers).header("x-inference-server") == name
    assert seen(gate, name) == {SEEN[name]}


def test_without_a_credential_of_the_client_the_key_is_there_all_the_same(keyed: tuple[Gateway, Path]) -> None:
    gate, _ = keyed
    gate.forget()
    for name in ("own", "open"):
        assert gate.post({"model": "m", "inference_server": name}).status == 200
    assert seen(gate, "own") == {SEEN["own"]}
    assert seen(gate, "open") == set()


def test_no_engine_sees_anothers_key_under_a_split(keyed: tuple[Gateway, Path]) -> None:
    gate, _ = keyed
    gate.forget()
    for index in range(80):
        # Names of other engines, keys as a client would guess them, twice and in other cases.
        headers = [("authorization", CLIENT), ("Authorization", f"Bearer {KEYS['other']}")] if index % 2 else []
        assert gate.post({"model": "m"}, headers=headers).status == 200
    for name, own in SEEN.items():
        for request in gate.engines[name].recorder.requests:
            foreign = {key for owner, key in KEYS.items() if owner != name and own != CLIENT}
            assert not any(key in value for key in foreign for _, value in request.headers), request.headers


def test_no_key_is_told_anywhere(keyed: tuple[Gateway, Path]) -> None:
    gate, _ = keyed
    for name in SEEN:
        gate.post({"model": "m", "inference_server": name})
    gate.post({"inference_server": "nobody"})
    assert gate.router is not None
    told = [
        json.dumps(gate.envoy.admin("/config_dump")),
        json.dumps(gate.envoy.admin("/stats")),
        gate.request("GET", "/v1/models").body.decode(),
        gate.router.log.read_text(encoding="utf-8"),
        *(urlopen(f"http://{gate.router.status}{page}").read().decode() for page in ("/registry", "/metrics")),
    ]
    assert not [text for text in told if any(key in text for key in KEYS.values())]


def test_a_renewed_key_is_taken_over_without_a_restart(keyed: tuple[Gateway, Path]) -> None:
    gate, folder = keyed
    (folder / "own").write_text("key-of-own-9")
    try:
        wait_for(lambda: _shown(gate) == {"Bearer key-of-own-9"}, "the new key on requests")
        (folder / "own").unlink()
        assert _shown(gate) == {"Bearer key-of-own-9"}  # what can't be read any more stays as it was
    finally:
        (folder / "own").write_text(KEYS["own"])
        wait_for(lambda: _shown(gate) == {SEEN["own"]}, "the old key on requests")


def test_a_key_that_is_gone_holds_up_no_other(keyed: tuple[Gateway, Path]) -> None:
    gate, folder = keyed
    (folder / "asked").unlink()
    (folder / "own").write_text("key-of-own-8")
    try:
        wait_for(lambda: _shown(gate) == {"Bearer key-of-own-8"}, "the new key on requests")
    finally:
        for name in ("asked", "own"):
            (folder / name).write_text(KEYS[name])
        wait_for(lambda: _shown(gate) == {SEEN["own"]}, "the old key on requests")


def _shown(gate: Gateway) -> set[str]:
    gate.forget()
    gate.post({"model": "m", "inference_server": "own"})
    return seen(gate, "own")


def test_a_plan_holds_places_and_never_a_key(keyed: tuple[Gateway, Path]) -> None:
    gate, folder = keyed
    plan: Plan = gate.plan
    assert plan.backend("own").api_key == ApiKey(file=str(folder / "own"), send=True)
    assert not any(key in str(dataclasses.asdict(plan)) for key in KEYS.values())
