"""YAML files as plain values that remember where each came from.

YAML 1.2's core schema for scalars (``no`` and ``on`` are strings, ``010`` is the number ten, only ``true`` and
``false`` are booleans: YAML 1.2.2, section 10.3.2) and no duplicate keys (section 3.2.1.1). PyYAML reads the
syntax; what it would guess by YAML 1.1's rules is decided here.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import yaml

from routegen.common.problems import Problem

Path = tuple[str | int, ...]
"""Keys and list indices from the top of a document."""

_SCALARS = (
    ("null", re.compile(r"^(?:~|null|Null|NULL|)$")),
    ("bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")),
    ("int", re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$")),
    (
        "float",
        re.compile(
            r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
    ),
)
_LEADING_ZERO = re.compile(r"^[-+]?0[0-9]")
_BOOLEANS = {"true": True, "false": False}
_TAG = "tag:yaml.org,2002:"
_CONTAINERS = frozenset({_TAG + "map", _TAG + "seq"})
_MAX_NODES = 200_000
"""More than this after aliases are followed is an attack (a "billion laughs") or a mistake."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with YAML 1.2's core schema in place of YAML 1.1's guesses."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own class attribute, replaced whole


for _name, _pattern in _SCALARS:
    _Loader.add_implicit_resolver(_TAG + _name, _pattern, None)


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its value, and the line (from 1) of every path in it."""

    file: str
    value: Any
    lines: Mapping[Path, int]
    first_line: int
    partial: AbstractSet[Path] = frozenset()
    """The mappings of which ``value`` lacks an entry, because its key can't be used or stands there twice."""

    def line(self, path: Path) -> int:
        """The line of ``path``, or of its nearest ancestor that exists."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, self.first_line)

    def problem(self, path: Path, message: str) -> Problem:
        """A problem at ``path`` of this document."""
        return Problem(self.file, self.line(path), render_path(path), message)


def render_path(path: Path) -> str:
    """``("spec", "rules", 2, "split")`` as ``$.spec.rules[2].split``."""
    text = "$"
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z_][\w-]*", part):
            text += f".{part}"
        else:
            text += f"[{part!r}]"
    return text


def lies_below(path: str, other: str) -> bool:
    """Whether one rendered path is inside what the other one points to."""
    return path.startswith((f"{other}.", f"{other}["))


def read_documents(
    text: str, file: str, *, leading_zeros: bool = True, merge_keys: bool = False, secretive: str | None = None
) -> tuple[list[Document], list[Problem]]:
    """Every document in ``text``, and what is wrong with it.

    Syntax errors end the reading: what came before them is still returned. Documents that are empty are left out.

    :param leading_zeros: whether ``010`` passes as the number ten, as YAML 1.2 reads it; YAML 1.1 reads eight.
    :param merge_keys: whether ``<<`` takes in another mapping's keys, as YAML 1.1 (and so kubectl) reads it.
    :param secretive: the key of mappings of which problems repeat nothing.
    """
    documents: list[Document] = []
    problems: list[Problem] = []
    try:
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            assert node is not None  # check_node() said so
            builder = _Builder(file, problems, leading_zeros=leading_zeros, merge_keys=merge_keys, secretive=secretive)
            value = builder.build(node, ())
            if value is not None:
                documents.append(Document(file, value, builder.lines, node.start_mark.line + 1, builder.partial))
    except yaml.MarkedYAMLError as error:
        line, message = _syntax(error)
        problems.append(Problem(file, line, "", message))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problems.append(Problem(file, line, "", f"the character U+{error.character:04X} is not allowed in YAML"))
    except RecursionError:
        problems.append(Problem(file, 0, "", "is nested too deeply"))
    return documents, problems


def _is_merge(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value == "<<" and node.style is None


class _Builder:
    """Turns a node tree into values, noting lines and problems."""

    def __init__(
        self, file: str, problems: list[Problem], *, leading_zeros: bool, merge_keys: bool, secretive: str | None
    ) -> None:
        self.file, self.problems = file, problems
        self.leading_zeros, self.merge_keys, self.secretive = leading_zeros, merge_keys, secretive
        self.lines: dict[Path, int] = {}
        self.partial: set[Path] = set()
        self._open: set[int] = set()

    def build(self, node: yaml.Node, path: Path) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if len(self.lines) > _MAX_NODES:
            raise yaml.MarkedYAMLError(
                problem="is too large, or repeats itself through aliases", problem_mark=node.start_mark
            )
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            self._wrong(node, path, "contains itself through an alias; write it out")
            return None
        if node.tag not in _CONTAINERS:
            self._wrong(node, path, f'the tag "{node.tag}" is not supported; write plain YAML')
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.build(child, (*path, index)) for index, child in enumerate(node.value)]
            return dict(self._pairs(node, path))
        finally:
            self._open.discard(id(node))

    def _pairs(
        self, node: yaml.Node, path: Path, taken: AbstractSet[Hashable] = frozenset()
    ) -> Iterator[tuple[str, Any]]:
        """The mapping's keys and values; those in ``taken`` stand already in the mapping that merges this one."""
        seen: dict[Hashable, int] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if self.merge_keys and _is_merge(key_node):
                merged += value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                continue
            key = self._key(key_node, path)
            if key is None:
                self.partial.add(path)
            if key is None or key in taken:
                continue
            line = key_node.start_mark.line + 1
            if key in seen:
                self._wrong(key_node, (*path, key), f'the key "{key}" stands here and on line {seen[key]}; keep one')
                self.partial.add(path)
                continue
            seen[key] = line
            self.lines[(*path, key)] = line
            yield key, self.build(value_node, (*path, key))
        for source in merged:
            for key, value in self._merged(source, path, taken | seen.keys()):
                seen[key] = source.start_mark.line + 1
                yield key, value

    def _merged(self, source: yaml.Node, path: Path, taken: AbstractSet[Hashable]) -> Iterator[tuple[str, Any]]:
        if not isinstance(source, yaml.MappingNode) or id(source) in self._open:
            self._wrong(source, path, 'the merge key ("<<") takes a mapping, or a list of them, from elsewhere')
            return
        self._open.add(id(source))
        try:
            yield from self._pairs(source, path, taken)
        finally:
            self._open.discard(id(source))

    def _key(self, node: yaml.Node, path: Path) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self._wrong(node, path, "a key must be plain text")
            return None
        if _is_merge(node):
            self._wrong(node, path, 'merge keys ("<<") are not part of YAML 1.2; write the keys out')
            return None
        return self._text(node, path)

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text, kind = self._text(node, path), node.tag.removeprefix(_TAG)
        if text is None:
            return None
        try:
            match kind:
                case "str" | "timestamp" | "value":
                    return text
                case "null":
                    return None
                case "bool":
                    return _BOOLEANS[text.lower()]
                case "int":
                    if not self.leading_zeros and _LEADING_ZERO.match(text):
                        self._wrong(
                            node,
                            path,
                            f'{text} could mean two numbers; write it without leading zeros, or "{text}" for text',
                        )
                        return None
                    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
                case "float":
                    return float(
                        text.replace(".inf", "inf")
                        .replace(".Inf", "inf")
                        .replace(".INF", "inf")
                        .lower()
                        .replace(".nan", "nan")
                    )
                case "binary":
                    return text
        except (KeyError, ValueError):
            self._wrong(node, path, f'"{text}" is not a YAML {kind}')
            return None
        self._wrong(node, path, f'the tag "{node.tag}" is not supported; write plain YAML')
        return None

    def _text(self, node: yaml.ScalarNode, path: Path) -> str | None:
        """A scalar's text; the halves of an escaped surrogate pair (as JSON writes them) are one character."""
        try:
            return str(node.value).encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            self._wrong(node, path, "holds half of a surrogate pair, which is not text")
            return None

    def _wrong(self, node: yaml.Node, path: Path, message: str) -> None:
        if self.secretive in path:
            path = path[: path.index(self.secretive) + 1]
            message = "isn't plain YAML, or has one key twice (not shown: it may be a secret)"
        self.problems.append(Problem(self.file, node.start_mark.line + 1, render_path(path), message))


def _syntax(error: yaml.MarkedYAMLError) -> tuple[int, str]:
    """The line, and what PyYAML says, for people."""
    problem, mark = error.problem or "is not valid YAML", error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    if "\\t" in problem:
        return line, "a tab can't be used for indentation in YAML; use spaces"
    if "found undefined alias" in problem:
        return line, "this alias has no anchor of its name above it; text that begins with * needs quotes"
    if ("<stream end>" in problem or "end of stream" in problem) and error.context_mark:
        return error.context_mark.line + 1, "the bracket, brace or quote that opens here is never closed"
    context = f" {error.context}" if error.context else ""
    return line, f"is not valid YAML: {problem}{context}"
