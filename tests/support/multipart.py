"""Forms, made byte by byte, so that they may be as odd as a client's."""

from __future__ import annotations

from collections.abc import Iterable

BOUNDARY = "b0undary"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def part(disposition: str, value: bytes, *headers: str) -> bytes:
    """A part: the parameters of its content-disposition, its value, further headers."""
    lines = [f"Content-Disposition: form-data; {disposition}", *headers]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + value


def field(name: str, value: str) -> bytes:
    """A plain field."""
    return part(f'name="{name}"', value.encode())


def file(content: bytes, name: str = "file") -> bytes:
    """A file."""
    return part(f'name="{name}"; filename="a.wav"', content, "Content-Type: audio/wav")


def form(*parts: bytes, boundary: str = BOUNDARY, preamble: bytes = b"", epilogue: bytes = b"") -> bytes:
    """A whole form."""
    pieces: Iterable[bytes] = (b"--%b\r\n%b\r\n" % (boundary.encode(), one) for one in parts)
    return preamble + b"".join(pieces) + b"--%b--\r\n" % boundary.encode() + epilogue
