"""What an engine's own source says of its command line, read without running it: no torch, no GPU, no import.

Both engines build their parsers in functions called ``add_cli_args``, from calls of ``add_argument`` and from the
fields of classes. A small interpreter follows exactly the Python that these functions use. What it can't follow becomes
:data:`UNKNOWN`, which never turns into a default; a flag that it can't read ends the program.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final


class _Unknown:
    """A value that only a running program knows."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()


@dataclass
class Option:
    """One ``add_argument``."""

    flags: list[str]
    takes: str
    """``none``, ``one``, ``many``, ``maybe`` (one or none)."""
    default: Any
    opposites: list[str] = field(default_factory=list)
    """The flags that switch it off."""


@dataclass
class Sources:
    """Classes and constants of the modules that the parser is built from."""

    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    constants: dict[str, ast.expr] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    guarded: list[ast.stmt] = field(default_factory=list)
    """What stands under ``if TYPE_CHECKING``."""

    def read(self, files: Iterable[Path]) -> Sources:
        """Add the modules in ``files``."""
        for file in files:
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                match node:
                    case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body):
                        self.guarded += body
                    case ast.ClassDef():
                        self.classes.setdefault(node.name, node)
                    case ast.FunctionDef():
                        self.functions.setdefault(node.name, node)
                    case ast.Assign(targets=[ast.Name(id=name)], value=value):
                        self.constants.setdefault(name, value)
                    case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                        self.constants.setdefault(name, value)
        return self

    def lineage(self, name: str) -> Iterator[ast.ClassDef]:
        """The class and its bases, the class first."""
        node = self.classes.get(name)
        if node is not None:
            yield node
            for base in node.bases:
                yield from self.lineage(last(base))

    def fields(self, name: str) -> dict[str, ast.AnnAssign]:
        """The annotated fields of a class, those of its bases first."""
        found: dict[str, ast.AnnAssign] = {}
        for node in reversed(list(self.lineage(name))):
            for statement in node.body:
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                    found[statement.target.id] = statement
        return found

    def assigned(self, name: str) -> dict[str, ast.expr]:
        """What a class assigns to plain names."""
        body = self.classes[name].body if name in self.classes else []
        return {last(one.targets[0]): one.value for one in body if isinstance(one, ast.Assign)}

    def method(self, name: str, method: str) -> list[ast.FunctionDef]:
        """A method in the class and in its bases, the class's own first."""
        nodes = [one for cls in self.lineage(name) for one in cls.body if isinstance(one, ast.FunctionDef)]
        return [node for node in nodes if node.name == method]

    def hints(self, node: ast.expr | None) -> Iterator[ast.expr]:
        """The members of a union, with the module's own names for types looked up."""
        match node:
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                yield from self.hints(left)
                yield from self.hints(right)
            case ast.Subscript(value=value, slice=inner) if last(value) in {"Union", "Optional", "Annotated", "A"}:
                members = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                for member in members[:1] if last(value) in {"Annotated", "A"} else members:
                    yield from self.hints(member)
                if last(value) == "Optional":
                    yield ast.Constant(None)
            case ast.Name(id=name) if name in self.constants and name not in self.classes:
                yield from self.hints(self.constants[name])
            case ast.Constant(value=str(text)):
                yield from self.hints(ast.parse(text, mode="eval").body)
            case ast.expr():
                yield node

    def value(self, node: ast.expr | None) -> Any:
        """A field's default: a literal, what ``Field`` or ``field`` is told, or a constant of the module."""
        match node:
            case None:
                return None
            case ast.Call(func=func, args=args, keywords=keywords) if last(func) in {"Field", "field"}:
                told = {one.arg: one.value for one in keywords}
                if "default" in told:
                    return self.value(told["default"])
                if "default_factory" in told:
                    factory = told["default_factory"]
                    made: Any = {"list": [], "dict": {}, "set": []}.get(last(factory), UNKNOWN)
                    return self.value(factory) if isinstance(factory, ast.Lambda) else made
                return self.value(args[0]) if args else UNKNOWN
            case ast.Name(id=name) if name in self.constants:
                return self.value(self.constants[name])
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in self.classes:
                owned = self.fields(name).get(attribute)
                return self.value(self.assigned(name).get(attribute, node.value) if owned is None else owned.value)
            case ast.Lambda(body=body):
                return self.value(body)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                both = (self.value(left), self.value(right))
                return both[0] * both[1] if all(isinstance(one, int) for one in both) else UNKNOWN
        try:
            return ast.literal_eval(node)
        except ValueError:
            return UNKNOWN


def last(node: ast.AST) -> str:
    """The last part of a dotted name."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Constant(value=value):
            return str(value)
        case ast.Subscript(value=value):
            return last(value)
    return ""


Kwargs = dict[str, Any]
_VALUELESS: Final = {"store_true", "store_false", "store_const", "count"}
_DEPRECATED: Final = {"DeprecatedAction", "DeprecatedStoreConstAction", "DeprecatedStoreTrueAction"}
"""SGLang's actions that take no value unless they are told to (srt/arg_groups/argparse_actions.py)."""


class Reader:
    """Follows ``add_cli_args`` and collects what is added."""

    def __init__(self, sources: Sources, of_class: Callable[[str], dict[str, Kwargs]]) -> None:
        self.sources = sources
        self.of_class = of_class
        self.options: list[Option] = []

    def run(self, body: Iterable[ast.stmt], names: dict[str, Any], cls: str) -> None:
        """Follow statements with these names, in a method of ``cls``."""
        for node in body:
            match node:
                case ast.Assign(targets=[target], value=value):
                    self._assign(target, self._eval(value, names, cls), names, cls)
                case ast.Delete(targets=[ast.Subscript(value=target, slice=key)]):
                    owner = self._eval(target, names, cls)
                    if isinstance(owner, dict):
                        owner.pop(self._eval(key, names, cls), None)
                case ast.Expr(value=value):
                    self._eval(value, names, cls)
                case ast.If(body=inner, orelse=other):
                    self.run([*inner, *other], names, cls)  # both: a flag that only sometimes exists is known
                case ast.For(target=ast.Tuple(elts=[ast.Name(id=key), ast.Name(id=value)])):
                    told = self._items(node.iter, names, cls)
                    for one in told:
                        self.run(node.body, names | {key: one, value: told[one]}, cls)

    def _assign(self, target: ast.expr, value: Any, names: dict[str, Any], cls: str) -> None:
        if isinstance(target, ast.Name):
            names[target.id] = value
        elif isinstance(target, ast.Subscript):
            owner = self._eval(target.value, names, cls)
            if isinstance(owner, dict):
                owner[self._eval(target.slice, names, cls)] = value

    def _items(self, node: ast.expr, names: dict[str, Any], cls: str) -> dict[str, Any]:
        """The mapping of ``mapping.items()``; an empty one where it can't be followed."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "items":
            return {}
        mapping = self._eval(node.func.value, names, cls)
        return mapping if isinstance(mapping, dict) else {}

    def _eval(self, node: ast.expr, names: dict[str, Any], cls: str) -> Any:
        match node:
            case ast.Name(id=name):
                return names.get(name, self.sources.value(node))
            case ast.Subscript(value=value, slice=key):
                owner = self._eval(value, names, cls)
                return owner.get(self._eval(key, names, cls), UNKNOWN) if isinstance(owner, dict) else UNKNOWN
            case ast.Dict(keys=keys, values=values):
                made: Kwargs = {}
                for key_, value in zip(keys, values, strict=True):
                    told = self._eval(value, names, cls)
                    made |= {self._eval(key_, names, cls): told} if key_ else told if isinstance(told, dict) else {}
                return made
            case ast.JoinedStr(values=parts):
                return "".join(str(self._eval(part, names, cls)) for part in parts)
            case ast.FormattedValue(value=value):
                return self._eval(value, names, cls)
            case ast.Call():
                return self._call(node, names, cls)
            case ast.Attribute(value=ast.Name(id="argparse"), attr=attribute):
                return attribute
        return self.sources.value(node)

    def _call(self, node: ast.Call, names: dict[str, Any], cls: str) -> Any:
        arguments = [self._eval(one, names, cls) for one in node.args if not isinstance(one, ast.Starred)]
        owner = self._eval(node.func.value, names, cls) if isinstance(node.func, ast.Attribute) else UNKNOWN
        match last(node.func):
            case "add_argument":
                extra = [self._eval(one.value, names, cls) for one in node.args if isinstance(one, ast.Starred)]
                flags = [*(flag for more in extra if isinstance(more, list) for flag in more), *arguments]
                self._add(flags, self._keywords(node, names, cls))
            case "get_kwargs":
                return self.of_class(cls if last(node.args[0]) == "cls" else last(node.args[0]))
            case "replace" if isinstance(owner, str):
                return owner.replace(*arguments)
            case "pop" if isinstance(owner, dict):
                return owner.pop(*arguments)
            case "_customize_cli_kwargs":
                return self._custom(node, arguments[0], cls)
            case "_declared_default":
                return names.get("defaults", {}).get(arguments[0], UNKNOWN)
            case "add_cli_args_from_dataclass":
                for kwargs in self.of_class(last(node.args[1])).values():
                    self._add(kwargs.pop("flags"), kwargs)
        return UNKNOWN

    def _keywords(self, node: ast.Call, names: dict[str, Any], cls: str) -> Kwargs:
        kwargs: Kwargs = {}
        for keyword in node.keywords:
            value: Any = last(keyword.value) if keyword.arg == "action" else self._eval(keyword.value, names, cls)
            if keyword.arg is None and not isinstance(value, dict):
                raise SystemExit(f"can't follow {ast.unparse(node)}")
            kwargs |= value if keyword.arg is None else {keyword.arg: value}
        return kwargs

    def _custom(self, node: ast.Call, kwargs: Any, cls: str) -> Any:
        """The class's own changes, or with ``super()`` those of its base."""
        base = isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call)
        found = self.sources.method(cls, "_customize_cli_kwargs")[1 if base else 0 :]
        if not found:
            return kwargs
        self.run(found[0].body, {"frontend_kwargs": kwargs}, cls)
        return kwargs

    def _add(self, flags: list[Any], kwargs: Kwargs) -> None:
        if not all(isinstance(flag, str) for flag in flags):
            raise SystemExit(f"can't read the flags {flags}")
        if not flags[0].startswith("-"):
            return  # a positional argument
        action, nargs = str(kwargs.get("action", "")), kwargs.get("nargs")
        default = None if kwargs.get("default") == "SUPPRESS" else kwargs.get("default")
        opposites: list[str] = []
        takes = {"+": "many", "*": "many", "?": "maybe", 0: "none", None: "one", 1: "one"}.get(nargs, "many")
        if action == "BooleanOptionalAction":
            takes = "none"
            opposites = [f"--no-{flag[2:]}" for flag in flags if flag.startswith("--")]
        elif action in _VALUELESS or (action in _DEPRECATED and "nargs" not in kwargs):
            takes = "none"
            default = kwargs.get("default", action == "store_false")
        self.options.append(Option(list(flags), takes, default, opposites))
