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


class _Dumper(yaml.SafeDumper):
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


def to_yaml(documents: Iterable[Mapping[str, Any]]) -> str:
    """Write mappings as a YAML stream, ``---`` between them."""
    return yaml.dump_all(
        (dict(document) for document in documents),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=sys.maxsize,
    )


def to_json(document: Mapping[str, Any]) -> str:
    """Write a mapping as indented JSON."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
