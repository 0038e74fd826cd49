"""The kinds of values that ``routegen bench``'s options take."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

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


class Watched(click.ParamType[str]):
    """``NAMESPACE``, or ``NAMESPACE/LABELS``."""

    name = "NAMESPACE[/LABELS]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what names no namespace, and labels that aren't ``key=value``."""
        text = str(value)
        namespace, slash, labels = text.partition("/")
        if re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", namespace) is None:
            self.fail(f'"{text}" names no namespace; it takes NAMESPACE or NAMESPACE/LABELS', param, ctx)
        if slash and not all(re.fullmatch(r"[^=,\s]+=[^=,\s]*", label) for label in labels.split(",")):
            self.fail(f'"{labels}" are no labels; they are key=value, such as inference/app=vllm', param, ctx)
        return text


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


class Loads(NamedTuple):
    """What a sweep goes through; as text what the option takes."""

    kind: str
    values: tuple[float, ...]

    def __str__(self) -> str:
        return f"{self.kind}={','.join(f'{one:g}' for one in self.values)}"


class Steps(click.ParamType[Loads]):
    """``concurrency=1,4,16`` or ``rate=0.5,1,2``: what grows, and its values."""

    name = "KIND=N,N,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Loads:
        """Read the kind and at least two values above 0, each once, and sort them."""
        if isinstance(value, Loads):
            return value
        kind, equals, rest = str(value).partition("=")
        if kind not in {"concurrency", "rate"} or not equals:
            self.fail(f'"{value}" is neither concurrency=1,4,16 nor rate=0.5,1,2', param, ctx)
        try:
            loads = sorted({float(one) for one in rest.split(",")})
        except ValueError:
            self.fail(f'"{rest}" is not a list of numbers such as 1,4,16', param, ctx)
        if not all(0 < one < math.inf for one in loads) or len(loads) < 2:  # noqa: PLR2004 - one step is a run
            self.fail(f'"{rest}": give two loads at least, each above 0', param, ctx)
        if kind == "concurrency" and any(one != int(one) for one in loads):
            self.fail(f'"{rest}": requests at once are whole numbers', param, ctx)
        return Loads(kind, tuple(loads))
