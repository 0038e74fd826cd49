"""Plain data -> YAML and JSON text: the same data always gives the same bytes.

YAML is block style, in the order given, without anchors, and safe for readers of YAML 1.1 (kubectl) and 1.2 (Envoy)
alike: text that either would take for something else is quoted.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

_LOOKS_LIKE_MORE: Final = re.compile(
    r"[-+.]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?"  # 010, 1_000, 1e3, .5
    r"|0[xob][0-9a-fA-F_]+"
    r"|[-+]?\.(inf|nan)"
    r"|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"  # YAML 1.1's base 60: 22:30
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*"
    r"|y|n|yes|no|on|off|true|false|null|~",
    re.IGNORECASE,
)
"""Plain text that a YAML 1.1 or 1.2 reader takes for a number, a date, a boolean or null."""

_OTHER_BREAKS: Final = re.compile("[\r\x85\u2028\u2029]")
"""Line breaks that YAML readers fold; only an escape keeps them."""


_PRINTABLE: Final = re.compile("[ -~]*")
_LONGEST_KEY: Final = 100
"""Characters; libyaml and PyYAML differ about where a key is too long to stand before its colon."""
_WIDEST: Final = 2**31 - 1
"""libyaml counts in C's ``int``."""


class _Dumper(yaml.SafeDumper):
    """Writes any document."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


class _FastDumper(yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper):  # type: ignore[misc]  # one of two
    """Writes the same bytes six times as fast, in C, where :func:`_is_simple` holds."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if _OTHER_BREAKS.search(text):
        style = '"'
    elif "\n" in text:
        style = "|"
    elif _LOOKS_LIKE_MORE.fullmatch(text):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
_FastDumper.add_representer(str, _represent_text)


def to_yaml(documents: Iterable[Mapping[str, Any]]) -> str:
    """Write mappings as a YAML stream, ``---`` between them."""
    return "---\n".join(_document(dict(document)) for document in documents)


def _document(document: dict[str, Any]) -> str:
    fast = _is_simple(document)
    text: str = yaml.dump(
        document,
        Dumper=_FastDumper if fast else _Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=_WIDEST if fast else sys.maxsize,
    )
    return text


def _is_simple(data: Any) -> bool:
    """Whether libyaml writes ``data`` as PyYAML does: all text is printable ASCII in one line, no key empty or long."""
    match data:
        case str():
            return _PRINTABLE.fullmatch(data) is not None
        case dict():
            return all(0 < len(key) <= _LONGEST_KEY and _is_simple(key) for key in data) and all(
                map(_is_simple, data.values())
            )
        case list() | tuple():
            return all(map(_is_simple, data))
        case _:
            return True


def to_json(document: Mapping[str, Any]) -> str:
    """Write a mapping as indented JSON."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
