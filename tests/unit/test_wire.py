"""Protobuf at its edges: long bodies are not copied, and read exactly as protobuf itself would read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routegen_router import wire
from routegen_router._pb import extproc_pb2 as pb
from routegen_router.messages import Body, Change, Protocol, Routed

LONG = b"x" * (wire.UNCOPIED_BYTES + 1)


def framed(data: bytes, *, end: bool = True) -> bytes:
    return pb.ProcessingRequest(request_body=pb.HttpBody(body=data, end_of_stream=end)).SerializeToString()


def both_ways(message: bytes) -> tuple[object, object]:
    """How a message reads with its body uncopied, and through protobuf alone."""
    read = []
    with pytest.MonkeyPatch.context() as patch:
        for limit in (0, 2**40):
            patch.setattr(wire, "UNCOPIED_BYTES", limit)
            try:
                event, protocol = wire.read(message)
            except wire.WireError as error:
                read.append(str(error))
            else:
                shown = (bytes(event.data), event.end_of_stream) if isinstance(event, Body) else event
                read.append(repr((shown, protocol)))
    return read[0], read[1]


@pytest.mark.parametrize("end", [True, False])
def test_a_long_body_is_a_view_into_its_message(end: bool) -> None:
    message = framed(LONG, end=end)
    event, protocol = wire.read(message)
    assert isinstance(event, Body)
    assert isinstance(event.data, memoryview)
    assert event.data.obj is message
    assert (event.data == LONG, event.end_of_stream, protocol) == (True, end, None)


OTHER_FRAMES = {
    "what Envoy adds": framed(b"{}") + b"\x42\x00\x4a\x00",
    "the end before the body": b"\x22\x06\x10\x01\x0a\x02{}",
    "two bodies in one": b"\x22\x08\x0a\x02{}\x0a\x02[]",
    "two messages in one": framed(b"{}") + framed(b"[]"),
    "another kind after it": framed(b"{}") + pb.ProcessingRequest(request_headers=pb.HttpHeaders()).SerializeToString(),
    "observability mode": framed(b"{}") + b"\x50\x01",
    "protocol_config before it": b"\x5a\x02\x08\x02" + framed(b"{}"),
    "a longer size than needed": b"\x22\x84\x00\x0a\x02{}",
    "an endless size": b"\x22" + b"\x80" * 12,
    "a size beyond the end": b"\x22\x7f\x0a\x02{}",
    "a body beyond its frame": b"\x22\x04\x0a\x7f{}",
    "garbage after it": framed(b"{}") + b"\xff",
    "an empty body": framed(b""),
    "nothing": b"",
    "a lone tag": b"\x22",
}


@pytest.mark.parametrize("message", OTHER_FRAMES.values(), ids=OTHER_FRAMES.keys())
def test_each_frame_is_read_as_protobuf_reads_it(message: bytes) -> None:
    uncopied, protobuf = both_ways(message)
    assert uncopied == protobuf


@given(st.binary(max_size=40), st.booleans(), st.data())
def test_a_damaged_message_is_read_as_protobuf_reads_it(data: bytes, end: bool, draw: st.DataObject) -> None:
    message = bytearray(framed(data, end=end))
    for _ in range(draw.draw(st.integers(0, 3))):
        if message:
            message[draw.draw(st.integers(0, len(message) - 1))] = draw.draw(st.integers(0, 255))
    cut = draw.draw(st.integers(0, len(message)))
    for candidate in (bytes(message), bytes(message[:cut])):
        uncopied, protobuf = both_ways(candidate)
        assert uncopied == protobuf


def test_the_first_message_announces_the_protocol() -> None:
    announced = pb.ProtocolConfiguration(
        request_body_mode=pb.ProcessingMode.STREAMED, send_body_without_waiting_for_header_response=True
    )
    message = pb.ProcessingRequest(request_headers=pb.HttpHeaders(), protocol_config=announced)
    assert wire.read(message.SerializeToString())[1] == Protocol("STREAMED", send_body_without_waiting=True)


def test_values_are_read_from_either_of_their_fields() -> None:
    pairs = [pb.HeaderValue(key="a", value="text"), pb.HeaderValue(key="b", raw_value=b"\xff")]
    message = pb.ProcessingRequest(request_headers=pb.HttpHeaders(headers=pb.HeaderMap(headers=pairs)))
    event, _ = wire.read(message.SerializeToString())
    assert event.pairs == (("a", "text"), ("b", b"\xff"))  # type: ignore[union-attr]


def test_a_routed_answer_is_made_once() -> None:
    replies = wire.Replies("x-inference-server")
    assert replies.encode(Routed("a", "rule")) is replies.encode(Routed("a", "rule"))
    assert replies.encode(Routed("b", "rule")) != replies.encode(Routed("a", "rule"))


@given(st.lists(st.binary(max_size=300), max_size=3), st.booleans(), st.sampled_from([None, "b"]))
def test_a_new_body_comes_with_its_length_and_in_one_frame_with_the_rest(
    pieces: list[bytes], encoded: bool, second: str | None
) -> None:
    replies = wire.Replies("x-engine", {"a": "Bearer key"})
    change = Change(tuple(map(memoryview, pieces)), ("gzip",) if encoded else ())
    plain = pb.ProcessingResponse.FromString(replies.encode(Routed("a", "rule", second)))
    changed = pb.ProcessingResponse.FromString(replies.encode(Routed("a", "rule", second, change)))
    whole = b"".join(pieces)
    common = changed.request_body.response
    assert (common.body_mutation.HasField("body"), common.body_mutation.body) == (True, whole)
    assert list(common.header_mutation.remove_headers) == ["content-encoding"] * encoded
    length = common.header_mutation.set_headers.pop()
    assert (length.header.key, length.header.raw_value) == ("content-length", str(len(whole)).encode())
    assert length.append_action == pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    common.ClearField("body_mutation")
    common.header_mutation.ClearField("remove_headers")
    assert changed == plain
