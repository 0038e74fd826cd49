"""What a stream decides by the headers alone, and the bytes that it reserves."""

from __future__ import annotations

import pytest

from routegen_router.messages import Answer, Continue, Headers, Routed
from support.streams import LIMIT, body, code, document, headers, stream


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (headers(ended=True, length="0"), (400, "invalid_json")),
        (headers(ended=True, length=None), (400, "invalid_json")),
        (headers(length=str(LIMIT + 1)), (413, "request_too_large")),
        (headers(length="9" * 50), (413, "request_too_large")),
        (headers(("content-encoding", "compress")), (415, "unsupported_content_encoding")),
        (headers(("content-encoding", "Identity, LZW")), (415, "unsupported_content_encoding")),
        (headers(("content-encoding", "gzip"), ("content-encoding", "pack")), (415, "unsupported_content_encoding")),
        (headers(("content-encoding", "gzip,gzip,gzip,gzip")), (415, "unsupported_content_encoding")),
        (headers(length="0" * 30 + str(LIMIT + 1)), (413, "request_too_large")),
        (headers(("x-engine", "sglang"), ("x-engine", "sglang")), (400, "duplicate_field")),
        (headers(("x-tenant", "a"), ("x-tenant", "b")), (400, "duplicate_field")),
        (headers(("x-session", "a"), ("x-other", "b"), ("x-session", "b")), (400, "duplicate_field")),
    ],
)
def test_some_requests_are_refused_before_their_body(asked: Headers, expected: tuple[int, str]) -> None:
    assert code(stream().on_headers(asked)) == expected


def test_a_repeated_header_is_named() -> None:
    reply = stream().on_headers(headers(("x-engine", "a"), ("x-engine", "b")))
    assert document(reply)["error"]["param"] == "x-engine"


@pytest.mark.parametrize(
    "extra",
    [
        (),
        (("content-encoding", "identity"),),
        (("content-encoding", " Identity ,identity"),),
        (("content-encoding", ""),),
        (("content-encoding", "GZip"), ("content-encoding", "zstd")),
        (("accept", "a"), ("accept", "b")),
    ],
)
def test_other_requests_are_asked_for_their_body(extra: tuple[tuple[str, str], ...]) -> None:
    assert stream().on_headers(headers(*extra)) == Continue(100)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"sglang", Routed("sglang", "header")),
        ("sglang", Routed("sglang", "header")),
        ("modèle".encode(), "unknown_value"),
        (b"mod\xe8le", "unknown_value"),
        (b"", "unknown_value"),
    ],
)
def test_a_headers_value_may_be_bytes_or_text(value: str | bytes, expected: Routed | str) -> None:
    one = stream()
    one.on_headers(headers(("x-engine", value)))
    reply = one.on_body(body("{}"))
    assert (reply.code if isinstance(reply, Answer) else reply) == expected
    if isinstance(reply, Answer) and value:
        assert "modèle" in document(reply)["error"]["message"]


def test_a_condition_reads_headers() -> None:
    one = stream()
    one.on_headers(headers(("x-tenant", b"gold-7")))
    assert one.on_body(body('{"model":"llama"}')) == Routed("sglang", "gold")


# Bytes in flight.


@pytest.mark.parametrize(
    ("length", "size"),
    [
        ("100", 100),
        ("0", 0),
        (str(LIMIT), LIMIT),
        ("0" * 30 + "100", 100),
        ("0" * 30, 0),
        (None, LIMIT),
        ("abc", LIMIT),
        ("-5", LIMIT),
        ("1.5", LIMIT),
        ("٣", LIMIT),
    ],
)
def test_room_is_asked_for_the_declared_size_or_the_largest_where_none_is_declared(
    length: str | None, size: int
) -> None:
    assert stream().on_headers(headers(length=length)) == Continue(size)
