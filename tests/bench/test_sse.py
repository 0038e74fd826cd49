"""Server-sent events: the same events however the bytes are cut."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from routegen.bench.sse import Event, Reader, decode

STREAM = (
    b": a comment\n\n"
    b'data: {"one": 1}\n\n'
    b'data:{"two": 2}\r\n\r\n'
    b"event: named\nid: 7\ndata: first\ndata: second\n\n"
    b"data: carriage\r\r"
    b"\n\n\n"
    b"data\n\n"
    b"event:error\n\n"
    b"data: [DONE]\n\n"
)
EVENTS = [
    Event(b'{"one": 1}'),
    Event(b'{"two": 2}'),
    Event(b"first\nsecond", b"named"),
    Event(b"carriage"),
    Event(b""),
    Event(b"", b"error"),
    Event(b"[DONE]"),
]


def read(*pieces: bytes) -> list[Event]:
    reader = Reader()
    return [event for piece in pieces for event in reader.feed(piece)] + reader.close()


def test_a_stream_in_one_piece_gives_its_events() -> None:
    assert read(STREAM) == EVENTS


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=30))
def test_cuts_anywhere_change_nothing(cuts: list[int]) -> None:
    ends = sorted({0, *cuts, len(STREAM)})
    assert read(*(STREAM[start:end] for start, end in itertools.pairwise(ends))) == EVENTS


def test_an_event_is_there_with_the_piece_that_completes_it() -> None:
    reader = Reader()
    assert reader.feed(b"data: a\n") == []
    assert reader.feed(b"\ndata: b\n\ndata: c") == [Event(b"a"), Event(b"b")]
    assert reader.close() == [Event(b"c")]
    assert reader.close() == []


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(noise: bytes) -> None:
    assert read(b"data: a\n\n" + noise)[0] == Event(b"a")


def test_chunks_of_both_endpoints_and_both_reasoning_fields_are_understood() -> None:
    assert decode(b'{"choices": [{"text": "a"}]}').content == "a"
    assert decode(b'{"choices": [{"delta": {"content": "a"}}]}').content == "a"
    for field in (b"reasoning", b"reasoning_content"):
        chunk = decode(b'{"choices": [{"delta": {"%s": "a", "content": null}}]}' % field)
        assert (chunk.content, chunk.reasoning) == ("", "a")
    assert decode(b'{"choices": [{"delta": {}, "finish_reason": "length"}]}').finish == "length"
    assert decode(b'{"id": "x", "choices": [], "usage": {"prompt_tokens": 3}}').usage is not None


def test_tool_calls_and_refusals_are_text() -> None:
    call = b'{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]}}]}'
    assert decode(call).content == "f{}"
    assert decode(b'{"choices": [{"delta": {"function_call": {"arguments": "{}"}}}]}').content == "{}"
    assert decode(b'{"choices": [{"delta": {"refusal": "no", "tool_calls": null}}]}').content == "no"
