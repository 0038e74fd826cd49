"""The kinds of values that ``routegen bench``'s options take."""

from __future__ import annotations

import re
from typing import Any

import click


class Assignments(click.ParamType[tuple[str, str]]):
    """``NAME=VALUE``."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Split at the first ``=``."""
        if isinstance(value, tuple):
            return value[0], value[1]
        name, equals, rest = str(value).partition("=")
        if not (name and equals and rest):
            self.fail(f'"{value}" is not NAME=VALUE', param, ctx)
        return name, rest


class VariableName(click.ParamType[str]):
    """The name of an environment variable, for what must not stand in a command line."""

    name = "VARIABLE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what can't be a name, without repeating it."""
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(value)) is None:
            self.fail("it takes the name of an environment variable (letters, digits and _), not the key", param, ctx)
        return str(value)


class Share(click.ParamType[float]):
    """``3%`` or ``0.03``."""

    name = "SHARE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a share between 0 and 1."""
        text = str(value)
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            self.fail(f'"{text}" is neither a percentage (3%) nor a share (0.03)', param, ctx)
        if not 0 < share < 1:
            self.fail(f"{text} is not between 0 and 100 %", param, ctx)
        return share
