"""Lets betterproto2 work out once a class what it otherwise works out for every message.

betterproto2 0.9.1 evaluates a class's type hints for each message that it turns into plain data, and builds a pydantic
validator for each one that it checks; four fifths of rendering 400 backends were spent on that. Both depend on the
class alone. Until the library keeps them itself, :func:`install` has it do so. A test holds what comes out equal,
and fails as soon as the library's own code has changed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

import betterproto2
import pydantic_core

KNOWN: Final = "0.9.1"
"""The only version that is touched: another may do this itself, or differently."""


def install() -> None:
    """Change betterproto2's messages, where its version is the known one; a second call does nothing."""
    message: Any = betterproto2.Message
    if betterproto2.__version__ != KNOWN or message._validate is _validate:  # noqa: SLF001 - what this module is for
        return
    hints: Callable[..., dict[str, type]] = functools.cache(message._type_hints.__func__)  # noqa: SLF001
    message._type_hints = classmethod(hints)  # noqa: SLF001
    message._validate = _validate  # noqa: SLF001


@functools.cache
def _validator(kind: type[Any]) -> pydantic_core.SchemaValidator:
    return pydantic_core.SchemaValidator(kind.__pydantic_core_schema__)


def _validate(self: betterproto2.Message) -> None:
    """What betterproto2's method of this name does, with the validator of the class."""
    fields = self.__dict__.copy()
    del fields["_unknown_fields"]
    _validator(type(self)).validate_python(fields)
