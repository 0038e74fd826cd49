"""Text from users, as errors may repeat it: what may be a secret is left out.

Keys get to places where they don't belong: pasted in place of a name, within a URL, as a query. Whoever reads the error
of a pipeline, or gets it by mail, need not be whoever may know them.
"""

from __future__ import annotations

import re
from typing import Final

UNSAID: Final = "what stands there (not shown: it may be a secret)"

_USER_INFO: Final = re.compile(r"(?:(?<=//)|(?<![^\s\"'=]))[^\s/?#\"'=]*@")
"""``user:password@``, where a URL or an address has it (RFC 3986, section 3.2.1)."""
_QUERY: Final = re.compile(r"\?[^\s\"']*=[^\s\"']*")
_KEY: Final = re.compile(r"(?i)\b(?:(?:bearer|basic)\s+[-\w.~+/]+=*|(?:sk|hf|pk|ghp|xox[a-z])[-_][-\w]{8,})")
"""How keys begin: an ``authorization`` header's value (RFC 9110, section 11.4), and well-known tokens."""


class Unsaid(str):
    """Text at a place that is made for a secret, so that no error repeats any of it."""

    __slots__ = ()


def veiled(text: str) -> str:
    """The text, with ``…`` in place of user and password, a query, and what begins as keys do."""
    for pattern, instead in ((_USER_INFO, "…@"), (_QUERY, "?…"), (_KEY, "…")):
        text = pattern.sub(instead, text)
    return text
