"""A router that is broken, or taken over, chooses among the engines and can do no more."""

from __future__ import annotations

import json

import pytest
from google.protobuf.message import Message

from routegen_router._pb import extproc_pb2 as pb
from routegen_router.messages import Routed
from routegen_router.wire import Replies
from support.envoy import VERSIONS
from support.fake_router import scripted_router
from support.gateway import Gateway, gateway

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: rogue}
spec:
  gateway: {target: envoy}
  backends:
    vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm, models: [m]}
    sglang: {endpoints: [127.0.0.1:8002], ownedBy: sglang, models: [m]}
"""
MODELS = {"vllm": ["m"], "sglang": ["m"]}
BODY = json.dumps({"model": "m", "messages": []}).encode()
CONTINUE = pb.ProcessingResponse(request_headers=pb.HeadersResponse()).SerializeToString()
TO_VLLM = Replies("x-inference-server").encode(Routed("vllm", "r"))


def setting(**headers: str) -> bytes:
    """A reply to the body that sets headers."""
    common = pb.CommonResponse(
        header_mutation=pb.HeaderMutation(
            set_headers=[
                pb.HeaderValueOption(
                    header=pb.HeaderValue(key=name.replace("_", "-"), raw_value=value.encode()),
                    append_action=pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
                )
                for name, value in headers.items()
            ],
            remove_headers=["authorization", "content-length"],
        ),
        clear_route_cache=True,
    )
    return pb.ProcessingResponse(request_body=pb.BodyResponse(response=common)).SerializeToString()


def ask(gate: Gateway) -> tuple[int, str | None]:
    reply = gate.post(BODY, headers=[("authorization", "Bearer token"), ("x-inference-server", "sglang")])
    assert reply.status == 200 or b"Envoy" not in reply.body
    return reply.status, reply.header("x-inference-server")


def trailers() -> Message:
    return pb.ProcessingResponse(request_trailers=pb.TrailersResponse())


NOT_A_DECISION = {
    "an engine that doesn't exist": [CONTINUE, setting(x_inference_server="gold")],
    "the waiting route's own name": [CONTINUE, setting(x_inference_server="waiting")],
    "two engines": [CONTINUE, setting(x_inference_server="vllm,sglang")],
    "another path": [CONTINUE, setting(**{":path": "/metrics"})],
    "no engine": [CONTINUE, setting(host="vllm")],
    "bytes that are no message": [b"\xff\xff\xff\xff"],
    "bytes that are no message in place of the decision": [CONTINUE, b"\x1a\xff"],
    "an empty message": [CONTINUE, b""],
    "a reply to trailers": [CONTINUE, trailers().SerializeToString()],
    "a reply to the headers again": [CONTINUE, CONTINUE],
    "a decision before the body": [TO_VLLM],
    "nothing after the headers": [CONTINUE],
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("replies", NOT_A_DECISION.values(), ids=NOT_A_DECISION)
def test_what_is_no_decision_reaches_no_engine(replies: list[bytes], version: str) -> None:
    with (
        scripted_router(replies) as address,
        gateway(ROUTES, MODELS, version=version, routers=[address]) as gate,
    ):
        status, named = ask(gate)
        assert (status, gate.reached()) == (503, {"vllm": 0, "sglang": 0})
        assert named not in gate.engines


@pytest.mark.parametrize("version", VERSIONS)
def test_with_its_decision_it_can_change_no_other_header(version: str) -> None:
    rogue = setting(
        x_inference_server="vllm",
        authorization="stolen",
        host="evil",
        x_forwarded_for="1.2.3.4",
        **{":path": "/metrics"},
    )
    with (
        scripted_router([CONTINUE, rogue]) as address,
        gateway(ROUTES, MODELS, version=version, routers=[address]) as gate,
    ):
        assert ask(gate) == (200, "vllm")
        [seen] = gate.engines["vllm"].recorder.generations()
        assert seen.target == "/v1/chat/completions"
        assert seen.body == BODY
        assert seen.header("authorization") == ("Bearer token",)
        assert seen.header("content-length") == ()  # it may change bodies, and with them this; the body is whole
        assert not [value for _, value in seen.headers if value in {"stolen", "evil", "1.2.3.4"}]
        assert gate.reached() == {"vllm": 1, "sglang": 0}


@pytest.mark.parametrize("version", VERSIONS)
def test_it_sees_the_headers_that_rules_read_and_no_credential(version: str) -> None:
    heard: list[bytes] = []
    reads = ROUTES + "  rules:\n    - {header: X-Engine, onUnknown: next}\n    - split: {vllm: 1}\n"
    secrets = {"authorization": "Bearer token", "cookie": "a=b", "x-api-key": "k", "proxy-authorization": "p"}
    sent = [*secrets.items(), ("x-engine", "gold"), ("x-tenant", "t"), ("accept", "*/*")]
    with (
        scripted_router([CONTINUE, TO_VLLM], heard) as address,
        gateway(reads, MODELS, routers=[address], version=version) as gate,
    ):
        assert gate.post(BODY, headers=sent).status == 200
        (received,) = (one for one in gate.engines["vllm"].recorder.requests if one.path == "/v1/chat/completions")
    first = pb.ProcessingRequest.FromString(heard[0])
    names = {pair.key for pair in first.request_headers.headers.headers}
    assert {":method", ":path", "x-engine"} <= names
    assert names <= {":method", ":path", "x-engine", "x-request-id", "content-type", "content-length"}
    assert received.header("authorization") == ("Bearer token",)  # the engine gets what the client sent
