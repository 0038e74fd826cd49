r"""Forms (``multipart/form-data``): the fields that rules read, wherever they stand beside files of any size.

Audio and images come as forms: the model is a part of some bytes, before or behind a file of many megabytes. The parts'
boundaries are searched for in the message as it is, slice by slice, and nothing is copied but the values that are read.

Like JSON, a form is read strictly where two readers could understand it differently; files are the engine's business.
Sources: RFC 7578 (multipart/form-data), RFC 2046, section 5.1 (multipart's grammar), RFC 2183 and RFC 2045, section 5.1
(headers' parameters), RFC 5987 (``name*``). Where the grammar leaves it open what a boundary is, python-multipart's
reading counts, which vLLM and SGLang use: a line that only begins like a boundary is a piece of the part. A boundary
with blanks behind it is one by the grammar and to python-multipart 0.0.34, and none to its 0.0.20, so it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from typing import Final, NamedTuple

from .places import Place
from .refusals import BodyError, duplicate_field, invalid_form, invalid_type
from .request import Bytes

TYPE: Final = "multipart/form-data"
SLICE: Final = 256 * 1024
"""Bytes that are searched at a time."""
MOST_PARTS: Final = 1000
"""As many files, and as many fields, are what Starlette takes, on which vLLM and SGLang are built."""
MOST_HEADERS: Final = 8 * 1024
"""Bytes of one part's headers."""
MOST_SAID: Final = 16
"""A part's headers, and a header's parameters. Honest parts have four of them at most; to read all that fits into the
headers of a thousand parts would take seconds."""
MOST_ALIKE: Final = 1000
"""Lines that begin like a boundary, go on with what may follow one, and are none. No file has them by chance."""

_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
"""RFC 2046, section 5.1.1."""
_LINE_END: Final = re.compile(rb"[ \t]{0,256}(\r\n|\Z)")
"""What follows a boundary: padding, and the end of the line or of the body."""
_A_FEW: Final = 50
"""Parts that are read before others get their turn."""
_BLANK: Final = re.compile(rb"\r\n\r\n")
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n\0]*)")
_KIND: Final = re.compile(r"[^\s;\"]*")
_PARAMETER: Final = re.compile(r'[ \t]*;[ \t]*(?:([^\s;="]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*)))?')
_ESCAPED: Final = re.compile(r"\\(.)")
_LONGEST: Final = 256
"""Characters of a boundary as it is quoted: more than two for each."""
_END: Final = re.compile(r"[ \t]*\Z")
_UTF_8: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_AS_IT_IS: Final = frozenset({"7bit", "8bit", "binary"})
"""Values of ``content-transfer-encoding`` that change nothing (RFC 2045, section 6.2)."""
_CHARSET: Final = "_charset_"
"""A field that says in which encoding the others are (RFC 7578, section 4.6)."""


class Form(NamedTuple):
    """What a form says, as far as rules ask."""

    values: Mapping[str, str]
    places: Mapping[str, Place]


def boundary(content_type: str) -> str | None:
    """The boundary that the header says; ``None`` where it isn't a form's, empty where none can be used."""
    kind, parameters = _parse(content_type)
    if kind != TYPE:
        return None
    found = [value for name, value in parameters or () if name == "boundary"]
    charsets = {value.lower() for name, value in parameters or () if name == "charset"}
    return found[0] if len(found) == 1 and _BOUNDARY.fullmatch(found[0]) and charsets <= _UTF_8 else ""


def read(raw: Bytes, boundary: str, names: frozenset[str]) -> Form:
    """Find the fields of these names in one go; errors as :func:`scan`'s."""
    scanning = scan(raw, boundary, names)
    while True:
        try:
            next(scanning)
        except StopIteration as ended:
            form: Form = ended.value
            return form


def scan(raw: Bytes, boundary: str, names: frozenset[str]) -> Generator[None, None, Form]:
    """Find the fields of these names; gives others their turn after every :data:`SLICE` bytes.

    :param boundary: as :func:`boundary` has it.
    :raises BodyError: ``invalid_form``, ``duplicate_field``, or ``invalid_type`` for a file where a field should be.
    """
    if not boundary:
        raise BodyError(invalid_form("its content-type must have one boundary, and no other charset than UTF-8"))
    view, found = memoryview(raw), _Found(names)
    delimiters = _Delimiters(view, boundary)
    here = yield from delimiters.first()
    parts = 0
    while not here.closes:
        parts += 1
        if parts > MOST_PARTS:
            raise BodyError(invalid_form(f"it has more than {MOST_PARTS} parts"))
        if parts % _A_FEW == 0:
            yield
        there = yield from delimiters.next(here.stop)
        found.add(view, here, there)
        here = there
    return found.form()


class _Delimiter(NamedTuple):
    """A line that parts two parts, or ends the last."""

    content_ends: int
    """The end of what stands before it: the line break in front is its own."""
    start: int
    """Its dashes."""
    stop: int
    """Behind its line break."""
    closes: bool


class _Delimiters:
    def __init__(self, view: memoryview, boundary: str) -> None:
        self._view = view
        self._dashed = b"--" + boundary.encode()
        self._pattern = re.compile(re.escape(b"\r\n" + self._dashed) + rb"(?=[ \t\r-])")
        self._alike = 0

    def first(self) -> Generator[None, None, _Delimiter]:
        """The first one, behind a preamble that nobody reads, or at the very beginning."""
        if bytes(self._view[: len(self._dashed)]) == self._dashed:
            here = self._delimiter(0, len(self._dashed))
            if here is not None:
                return here
        return (yield from self.next(0))

    def next(self, at: int) -> Generator[None, None, _Delimiter]:
        """The next one from ``at`` on, where a line break that ends a line before may begin it."""
        at = max(at - 2, 0)
        while at < len(self._view):
            ends = at + SLICE
            match = self._pattern.search(self._view, at, ends + len(self._dashed) + 3)
            if match is None:
                at = ends
            else:
                found = self._delimiter(match.start() + 2, match.end())
                if found is not None:
                    return found
                at = match.start() + 2
                self._alike += 1
                if self._alike > MOST_ALIKE:
                    raise BodyError(invalid_form("too much in it looks like its boundary"))
            if at >= ends:
                yield
        raise BodyError(invalid_form("it ends before its closing boundary"))

    def _delimiter(self, start: int, at: int) -> _Delimiter | None:
        """What stands at ``start`` and continues at ``at`` behind the boundary; ``None``: a piece of a part."""
        before = max(start - 2, 0)
        closes = bytes(self._view[at : at + 2]) == b"--"
        line = _LINE_END.match(self._view, at + 2 * closes)
        if line is None:
            if closes:
                raise BodyError(invalid_form("something follows its closing boundary on the same line"))
            return None
        if not closes and not line[1]:
            return None  # the body ends in it
        if not closes and line.start() != line.start(1):
            raise BodyError(invalid_form("there is a blank behind a boundary"))
        return _Delimiter(before, start, line.end(), closes)


class _Found:
    def __init__(self, names: frozenset[str]) -> None:
        self._names = {name.encode(): name for name in (*names, _CHARSET)}
        self._values: dict[str, str] = {}
        self._places: dict[str, Place] = {}

    def add(self, view: memoryview, here: _Delimiter, there: _Delimiter) -> None:
        """Read the part between two delimiters, as far as it is asked for."""
        blank = _BLANK.search(view, here.stop, min(here.stop + MOST_HEADERS, there.content_ends))
        if blank is None:
            raise BodyError(invalid_form(f"a part has no headers, or more than {MOST_HEADERS} bytes of them"))
        headers = _headers(bytes(view[here.stop : blank.start()]))
        raw_name, is_file = _disposition(headers.get(b"content-disposition", b""))
        name = self._names.get(raw_name)
        if name is None:
            return
        if name in self._values:
            raise BodyError(duplicate_field((name,)))
        if is_file:
            raise BodyError(invalid_type((name,)))
        place = Place(here.start, blank.end(), there.content_ends, there.start)
        self._values[name] = _text(name, headers, bytes(view[place.value : place.end]))
        self._places[name] = place

    def form(self) -> Form:
        """What was found."""
        charset = self._values.pop(_CHARSET, "utf-8")
        self._places.pop(_CHARSET, None)
        if self._values and charset.lower() not in _UTF_8:
            raise BodyError(invalid_form("its fields must be UTF-8"))
        return Form(self._values, self._places)


def _headers(block: bytes) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    lines = block.split(b"\r\n", MOST_SAID)
    if len(lines) > MOST_SAID:
        raise BodyError(invalid_form(f"a part has more than {MOST_SAID} headers"))
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise BodyError(invalid_form("a part's headers are no headers"))
        name = match[1].lower()
        if name in headers:
            raise BodyError(invalid_form(f"a part has two headers {name.decode()}"))
        headers[name] = match[2].strip(b" \t")
    return headers


def _disposition(header: bytes) -> tuple[bytes, bool]:
    """A part's name, and whether it is a file."""
    kind, parameters = _parse(header.decode("latin-1"))
    names = [value for name, value in parameters or () if name == "name"]
    given = {name for name, _ in parameters or ()}
    if kind != "form-data" or len(names) != 1 or "name*" in given or "\\" in names[0]:
        raise BodyError(invalid_form("a part's content-disposition must be form-data with one plain name"))
    return names[0].encode("latin-1"), not given.isdisjoint({"filename", "filename*"})


def _text(name: str, headers: Mapping[bytes, bytes], value: bytes) -> str:
    """A field's value, which must be UTF-8 and not be encoded any further."""
    _, parameters = _parse(headers.get(b"content-type", b"text/plain").decode("latin-1"))
    charsets = {value.lower() for parameter, value in parameters or () if parameter == "charset"}
    encoding = headers.get(b"content-transfer-encoding", b"binary").decode("latin-1").lower()
    try:
        if parameters is not None and charsets <= _UTF_8 and encoding in _AS_IT_IS:
            return value.decode()
    except UnicodeDecodeError:
        pass
    raise BodyError(invalid_form(f'the field "{name}" must be UTF-8, as it is'))


def _parse(header: str) -> tuple[str, list[tuple[str, str]] | None]:
    """A header's value and its parameters, names in lower case; ``None`` where they can't be told apart."""
    kind = _KIND.match(header)
    assert kind is not None  # it matches nothing, too
    return kind[0].lower(), _parameters(header, kind.end())


def _parameters(header: str, at: int) -> list[tuple[str, str]] | None:
    found: list[tuple[str, str]] = []
    for _ in range(MOST_SAID):
        if _END.match(header, at):
            return found
        match = _PARAMETER.match(header, at)
        if match is None:
            return None
        if match[1] is not None:
            name = match[1].lower()
            plain = match[3] if match[2] is None else match[2]
            if name == "boundary" and len(plain) <= _LONGEST:
                plain = _ESCAPED.sub(r"\1", plain)
            found.append((name, plain))
        at = match.end()
    return found if _END.match(header, at) else None
