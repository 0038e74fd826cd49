"""What CI systems read: text within GitHub's workflow commands, and within XML for JUnit reports."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0, section 2.2, doesn't allow in a document."""


def github(command: str, text: str, **properties: str) -> str:
    """A workflow command that annotates a file; ``command`` is error, warning or notice.

    Escaped as the Actions toolkit does (packages/core, command.ts).
    """
    stated = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{command} {stated}::{_data(text)}"


def github_plain(text: str) -> str:
    """One line of the log, whatever is in the text: a line break could begin another command."""
    return " ".join(text.split())


def xml_attribute(text: str) -> str:
    """Text as an attribute, in its quotes."""
    return quoteattr(_FORBIDDEN.sub("\ufffd", text))


def xml_text(text: str) -> str:
    """Text within an element."""
    return escape(_FORBIDDEN.sub("\ufffd", text))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
