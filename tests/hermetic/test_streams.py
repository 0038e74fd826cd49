"""Scripted streams through a real router process: each message in, the whole reply out, compared as protobuf."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct

from routegen_router._pb import extproc_pb2 as pb
from support.router import RouterProcess, body, headers, router_config, running, streaming, talk

CONTINUE = pb.ProcessingResponse(request_headers=pb.HeadersResponse())


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RouterProcess]:
    with running(tmp_path_factory.mktemp("router"), router_config()) as process:
        yield process


def option(name: str, value: str) -> pb.HeaderValueOption:
    return pb.HeaderValueOption(
        header=pb.HeaderValue(key=name, raw_value=value.encode()),
        append_action=pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def metadata(**values: str) -> Struct:
    struct = Struct()
    struct.update({"routegen": values})
    return struct


def routed(backend: str, rule: str) -> pb.ProcessingResponse:
    common = pb.CommonResponse(
        header_mutation=pb.HeaderMutation(set_headers=[option("x-inference-server", backend)]), clear_route_cache=True
    )
    return pb.ProcessingResponse(
        request_body=pb.BodyResponse(response=common), dynamic_metadata=metadata(backend=backend, rule=rule)
    )


def rejected(
    status: int, code: str, message: str, param: str | None = None, rule: str | None = None, **more: str
) -> pb.ProcessingResponse:
    kind = "invalid_request_error" if status < 500 else "server_error"
    document = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    sent = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in more.items()}
    return pb.ProcessingResponse(
        immediate_response=pb.ImmediateResponse(
            status=pb.HttpStatus(code=status),
            headers=pb.HeaderMutation(set_headers=[option(name, value) for name, value in sent.items()]),
            body=json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode(),
            details=f"routegen_{code}",
        ),
        dynamic_metadata=metadata(reject=code, **({"rule": rule} if rule else {})),
    )


BODIES: list[tuple[str, bytes | dict[str, Any], pb.ProcessingResponse]] = [
    ("a named engine", {"model": "shared", "inference_server": "sglang"}, routed("sglang", "by-server")),
    ("a nested look-alike", {"metadata": {"inference_server": "sglang"}}, routed("vllm", "all-vllm")),
    ("an escaped key", b'{"inference\\u005fserver": "sglang"}', routed("sglang", "by-server")),
    ("a model of one engine", {"model": "only-vllm"}, routed("vllm", "all-vllm")),
    ("nothing that routes", {}, routed("vllm", "all-vllm")),
    (
        "an unknown engine",
        {"inference_server": "tgi"},
        rejected(
            400,
            "unknown_inference_server",
            '"tgi" is not a value that this gateway knows; allowed: sglang, vllm.',
            "inference_server",
            "by-server",
        ),
    ),
    (
        "a model that is served nowhere",
        {"model": "gone"},
        rejected(404, "model_not_found", 'The model "gone" is not served here; available: shared, only-vllm.', "model"),
    ),
    (
        "an engine without the model",
        {"model": "only-vllm", "inference_server": "sglang"},
        rejected(
            400,
            "engine_model_mismatch",
            '"sglang" does not serve the model "only-vllm" here; it is served by: vllm.',
            "inference_server",
            "by-server",
        ),
    ),
]


@pytest.mark.parametrize(("sent", "expected"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES])
async def test_a_body_gets_exactly_one_whole_reply(
    router: RouterProcess, sent: bytes | dict[str, Any], expected: pb.ProcessingResponse
) -> None:
    assert await talk(router.address, headers(), body(sent)) == [CONTINUE, expected]


async def test_headers_are_read_by_rules(router: RouterProcess) -> None:
    assert await talk(router.address, headers(more={"x-tier": "gold"}), body({})) == [
        CONTINUE,
        routed("sglang", "by-tier"),
    ]


async def test_a_body_of_many_megabytes_is_read(router: RouterProcess) -> None:
    sent = {"messages": [{"role": "user", "content": "x" * 7_000_000}], "inference_server": "sglang"}
    assert await talk(router.address, headers(), body(sent)) == [CONTINUE, routed("sglang", "by-server")]


async def test_a_body_is_whole_although_trailers_follow(router: RouterProcess) -> None:
    sent = body({"inference_server": "sglang"}, end=False)
    assert await talk(router.address, headers(), sent) == [CONTINUE, routed("sglang", "by-server")]


async def test_the_list_of_models_is_answered_at_the_headers(router: RouterProcess) -> None:
    [reply] = await talk(router.address, headers("GET", "/v1/models", end=True))
    assert reply.immediate_response.status.code == 200
    assert reply.immediate_response.details == "routegen_models"
    assert reply.dynamic_metadata == metadata(answer="models")
    assert [entry["id"] for entry in json.loads(reply.immediate_response.body)["data"]] == ["shared", "only-vllm"]


async def test_an_announced_body_that_is_too_large_is_refused_before_it_is_sent(router: RouterProcess) -> None:
    [reply] = await talk(router.address, headers(more={"content-length": str(9 * 1024 * 1024)}))
    assert reply.immediate_response.status.code == 413
    assert reply.dynamic_metadata == metadata(reject="request_too_large")


async def test_bodies_beyond_the_bound_wait_for_those_before_and_are_refused_only_where_no_room_comes(
    router: RouterProcess,
) -> None:
    size = 8 * 1024 * 1024
    large = headers(more={"content-length": str(size)})
    async with streaming(router.address) as open_stream:
        held = [open_stream() for _ in range(2)]
        for call in held:
            await call.write(large.SerializeToString())
            assert pb.ProcessingResponse.FromString(await call.read()) == CONTINUE
        [refused] = await talk(router.address, large)
        assert refused.immediate_response.status.code == 503
        assert option("retry-after", "1") in refused.immediate_response.headers.set_headers
        waiting = [asyncio.create_task(talk(router.address, large, body({}))) for _ in range(4)]
        assert await talk(router.address, headers(more={"content-length": "2"}), body({})) == [
            CONTINUE,
            routed("vllm", "all-vllm"),
        ]
        assert not any(task.done() for task in waiting)
        await held[0].write(body({}).SerializeToString())
        held[1].cancel()
        assert await asyncio.gather(*waiting) == [[CONTINUE, routed("vllm", "all-vllm")]] * 4


async def test_a_slow_stream_holds_up_no_other(router: RouterProcess) -> None:
    async with streaming(router.address) as open_stream:
        slow = open_stream()
        await slow.write(headers().SerializeToString())
        assert pb.ProcessingResponse.FromString(await slow.read()) == CONTINUE
        assert await talk(router.address, headers(), body({})) == [CONTINUE, routed("vllm", "all-vllm")]
        await slow.write(body({"inference_server": "sglang"}).SerializeToString())
        assert pb.ProcessingResponse.FromString(await slow.read()) == routed("sglang", "by-server")


async def test_the_router_ends_the_stream_right_after_the_decision(router: RouterProcess) -> None:
    async with streaming(router.address) as open_stream:
        call = open_stream()  # this client never ends its side
        await call.write(headers().SerializeToString())
        await call.read()
        await call.write(body({}).SerializeToString())
        await call.read()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK


CONFUSED: list[tuple[str, list[pb.ProcessingRequest], str]] = [
    ("a body first", [body({})], "request_header_mode"),
    ("headers twice", [headers(), headers()], "twice"),
    ("response headers", [pb.ProcessingRequest(response_headers=pb.HttpHeaders())], "response_headers"),
    ("a response body", [headers(), pb.ProcessingRequest(response_body=pb.HttpBody())], "response_body"),
    ("trailers first", [pb.ProcessingRequest(request_trailers=pb.HttpTrailers())], "request_trailer_mode"),
    ("a message without content", [pb.ProcessingRequest()], "without content"),
    ("observability mode", [pb.ProcessingRequest(observability_mode=True)], "observability_mode"),
    ("no method and path", [pb.ProcessingRequest(request_headers=pb.HttpHeaders())], "forward_rules"),
    *(
        (f"mode {name}", [headers(mode=pb.ProcessingMode.BodySendMode.Value(name))], f"request_body_mode {name};")
        for name in ("NONE", "STREAMED", "BUFFERED_PARTIAL", "FULL_DUPLEX_STREAMED", "GRPC")
    ),
    ("a mode of the future", [headers(mode=99)], "request_body_mode 99;"),
]


@pytest.mark.parametrize(("sent", "told"), [row[1:] for row in CONFUSED], ids=[row[0] for row in CONFUSED])
async def test_a_gateway_that_is_set_up_wrongly_gets_500_and_the_operator_the_reason(
    router: RouterProcess, sent: list[pb.ProcessingRequest], told: str
) -> None:
    before = len(router.logged("the gateway is set up wrongly"))
    *_, reply = await talk(router.address, *sent)
    assert reply == rejected(500, "router_misconfigured", "The gateway is not set up correctly.")
    assert told in router.logged("the gateway is set up wrongly")[before]["fault"]


async def test_trailers_in_place_of_a_body_mean_that_there_is_none(router: RouterProcess) -> None:
    trailers = pb.ProcessingRequest(request_trailers=pb.HttpTrailers())
    _, reply = await talk(router.address, headers(), trailers)
    assert reply.immediate_response.status.code == 400
    assert reply.dynamic_metadata == metadata(reject="invalid_json")


async def failure(address: str, *messages: bytes) -> grpc.aio.AioRpcError:
    """How a stream ended that must end with an error."""
    async with streaming(address) as open_stream:
        call = open_stream()
        for message in messages:
            await call.write(message)
        await call.done_writing()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await anext(reply async for reply in call if reply == b"never")
        return caught.value


@pytest.mark.parametrize("messages", [[], [headers().SerializeToString()]], ids=["nothing", "headers alone"])
async def test_a_stream_that_ends_before_the_decision_ends_with_an_error(
    router: RouterProcess, messages: list[bytes]
) -> None:
    error = await failure(router.address, *messages)
    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "the stream ended before a decision")


async def test_bytes_that_are_no_protobuf_end_the_stream_with_an_error(router: RouterProcess) -> None:
    error = await failure(router.address, b"\xff\xff\xff\xff")
    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "not a ProcessingRequest")


async def test_a_message_beyond_the_receive_limit_ends_the_stream_with_an_error(router: RouterProcess) -> None:
    error = await failure(router.address, headers().SerializeToString(), body(b"x" * 10_000_000).SerializeToString())
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_streams_come_over_unix_sockets_and_several_addresses(tmp_path: Path) -> None:
    listen = ("127.0.0.1:0", "[::1]:0", f"unix:{tmp_path}/router.sock")
    with running(tmp_path, router_config(), listen=listen) as router:
        assert len(router.listen) == 3
        for address in router.listen:
            assert await talk(address, headers(), body({})) == [CONTINUE, routed("vllm", "all-vllm")]
