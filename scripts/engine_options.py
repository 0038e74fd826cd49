"""Make the tables of options and defaults that the audit reads, from the engines' own wheels.

    python scripts/engine_options.py                       # of each engine, the newest of the last two minor lines
    python scripts/engine_options.py vllm vllm==0.26.0     # of one engine, and this version too
    python scripts/engine_options.py --wheels DIRECTORY …  # keep the wheels there (vLLM's have 300 MB each)

Wheels come from the package index through pip and are only read: nothing of them is installed, imported or run.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

from engine_sources import UNKNOWN, Kwargs, Option, Reader, Sources, last

TABLES: Final = Path(__file__).parents[1] / "generator" / "routegen" / "audit" / "engines"
Version = tuple[int, ...]
_PARTS: Final = {
    "vllm": (
        "vllm/envs.py", "vllm/config/*.py", "vllm/engine/arg_utils.py", "vllm/entrypoints/*cli_args.py",
        "vllm/utils/argparse_utils.py",
    ),
    "sglang": ("sglang/srt/server_args.py", "sglang/srt/environ.py", "sglang/srt/arg_groups/*.py"),
}  # fmt: skip
"""The modules that say what the command line and the environment are, by engine."""


def main() -> None:
    """Download, read, write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", metavar="ENGINE[==VERSION]", default=["vllm", "sglang"])
    parser.add_argument("--wheels", type=Path, metavar="DIRECTORY")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        wheels = told.wheels or Path(scratch)
        for engine in dict.fromkeys(one.partition("==")[0] for one in told.engines):
            versions = {}
            asked = [one for one in told.engines if one.partition("==")[0] == engine]
            for wheel in [wheel for one in asked for wheel in _wheels(one, wheels)]:
                version = wheel.name.split("-")[1]
                versions[version] = _read(engine, wheel)
                print(f"{engine} {version}: {len(versions[version][0])} options, {len(versions[version][1])} variables")
            ordered = dict(sorted(versions.items(), key=lambda one: _version(one[0])))
            (TABLES / f"{engine}.options.json").write_text(_table(engine, ordered), encoding="utf-8")


def _wheels(asked: str, directory: Path) -> list[Path]:
    """The wheel of one version; of an engine without a version the newest of each of the last two minor lines."""
    newest = _download(asked, directory)
    if "==" in asked:
        return [newest]
    major, minor, *_ = _version(newest.name.split("-")[1])
    return [newest, _download(f"{asked}<{major}.{minor}", directory)]


def _download(asked: str, directory: Path) -> Path:
    name, _, version = asked.partition("==")
    for wheel in directory.glob(f"{name}-{version}-*.whl") if version else ():
        return wheel
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*command, "--dest", scratch, asked], check=True)
        [wheel] = Path(scratch).glob("*.whl")
        directory.mkdir(parents=True, exist_ok=True)
        kept = directory / wheel.name
        kept.write_bytes(wheel.read_bytes())
    return kept


def _version(text: str) -> Version:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def _read(engine: str, wheel: Path) -> tuple[list[Option], dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if any(fnmatch(name, part) for part in _PARTS[engine])]
        archive.extractall(scratch, names)
        files = [Path(scratch) / name for name in names]
        return _ENGINES[engine](Sources().read(files))


def _vllm(sources: Sources) -> tuple[list[Option], dict[str, Any]]:
    """``vllm serve``: ``make_arg_parser`` of the front end, which takes ``FrontendArgs`` and ``AsyncEngineArgs`` in."""
    reader = Reader(sources, lambda cls: {name: _vllm_field(sources, one) for name, one in sources.fields(cls).items()})
    reader.run(sources.functions["make_arg_parser"].body, {}, "")
    for cls in ("FrontendArgs", "EngineArgs", "AsyncEngineArgs"):
        method = next(one for one in sources.method(cls, "add_cli_args"))
        reader.run(method.body, {}, cls)
    if "EnableDisableAction" in sources.classes:
        for option in reader.options:
            flags = [flag for flag in option.flags if option.opposites and flag.startswith(("--enable-", "--disable-"))]
            swaps = {"--enable-": "--disable-", "--disable-": "--enable-"}
            option.opposites += [
                swaps[(head := f"--{flag.split('-')[2]}-")] + flag.removeprefix(head) for flag in flags
            ]
    hints = ast.Module([node for node in sources.guarded if isinstance(node, ast.AnnAssign)], [])
    variables = {last(node.target): sources.value(node.value) for node in hints.body if isinstance(node, ast.AnnAssign)}
    keys = sources.constants["environment_variables"]
    assert isinstance(keys, ast.Dict)
    return reader.options, {name: variables.get(name, UNKNOWN) for name in (last(key) for key in keys.keys if key)}


def _vllm_field(sources: Sources, field: ast.AnnAssign) -> Kwargs:
    """What vLLM's ``get_kwargs`` makes of a field (vllm/engine/arg_utils.py)."""
    names = [last(hint) for hint in sources.hints(field.annotation)]
    kwargs: Kwargs = {"default": sources.value(field.value)}
    structured = any(name in sources.classes and sources.fields(name) for name in names)
    if structured:
        return kwargs
    if set(names) == {"bool", "str", "None"}:
        return kwargs | {"nargs": "?"}
    if "bool" in names:
        return kwargs | {"action": "BooleanOptionalAction"}
    if "Literal" not in names and {"list", "tuple", "set", "List"} & set(names):
        return kwargs | {"nargs": "+"}
    return kwargs


def _sglang(sources: Sources) -> tuple[list[Option], dict[str, Any]]:
    """``sglang.launch_server``: ``ServerArgs.add_cli_args``, and the fields of the classes that it is made of."""
    classes = [name for name in sources.classes if "_NS_PATH" in sources.assigned(name)] or ["ServerArgs"]
    fields = {name: one for cls in classes for name, one in sources.fields(cls).items()}
    defaults = {name: sources.value(one.value) for name, one in fields.items()}
    made = ((name, _sglang_field(sources, name, one)) for name, one in fields.items())
    known = {name: kwargs for name, kwargs in made if kwargs is not None}
    reader = Reader(sources, lambda _: {name: dict(kwargs) for name, kwargs in known.items()})
    [method] = sources.method("ServerArgs", "add_cli_args")
    reader.run(method.body, {"defaults": defaults}, "ServerArgs")
    variables = {}
    for name, call in sources.assigned("Envs").items():
        if isinstance(call, ast.Call):
            variables[name] = sources.value(call.args[0]) if call.args else UNKNOWN
    return reader.options, variables


def _sglang_field(sources: Sources, name: str, field: ast.AnnAssign) -> Kwargs | None:
    """What SGLang's ``add_cli_args_from_dataclass`` makes of a field (srt/arg_groups/arg_utils.py)."""
    annotation = field.annotation
    if not isinstance(annotation, ast.Subscript) or last(annotation.value) not in {"A", "Annotated"}:
        return None
    assert isinstance(annotation.slice, ast.Tuple)
    kind, *notes = annotation.slice.elts
    arg = next((note for note in notes if isinstance(note, ast.Call) and last(note.func) == "Arg"), None)
    if arg is None and not any(isinstance(note, ast.Constant | ast.JoinedStr | ast.BinOp) for note in notes):
        return None
    told = {one.arg: one.value for one in arg.keywords} if arg else {}
    if "no_cli" in told and sources.value(told["no_cli"]):
        return None
    cli = sources.value(told["cli_name"]) if "cli_name" in told else f"--{name.replace('_', '-')}"
    kwargs: Kwargs = {
        "flags": [cli, *(sources.value(told.get("aliases")) or [])],
        "default": sources.value(field.value),
    }
    more = sources.value(told["action_kwargs"]) if "action_kwargs" in told else {}
    kwargs |= more if isinstance(more, dict) else {}
    if "action" in told:
        return kwargs | {"action": last(told["action"])}
    names = [last(hint) for hint in sources.hints(kind)]
    if "bool" in names and "Literal" not in names and len([one for one in names if one != "None"]) == 1:
        return kwargs | {"action": "store_true"}
    if {"List", "list"} & set(names) and "type_parser" not in told:
        return kwargs | {"nargs": sources.value(told["nargs"]) if "nargs" in told else "+"}
    return kwargs | ({"nargs": sources.value(told["nargs"])} if "nargs" in told else {})


_ENGINES: Final[dict[str, Callable[[Sources], tuple[list[Option], dict[str, Any]]]]] = {
    "vllm": _vllm,
    "sglang": _sglang,
}


def _table(engine: str, versions: dict[str, tuple[list[Option], dict[str, Any]]]) -> str:
    """All versions in one table, an option a line."""
    options: list[dict[str, Option]] = []
    variables: dict[str, dict[str, Any]] = {}
    for version, (found, names) in reversed(versions.items()):
        for option in found:
            same = (one for one in options if set(option.flags) & {flag for own in one.values() for flag in own.flags})
            before = next(same, None)
            options += [{version: option}] if before is None else []
            if before is not None:
                before[version] = option
        for name, default in names.items():
            variables.setdefault(name, {})[version] = default
    rows = {next(iter(one.values())).flags[0]: _row(one, list(versions)) for one in options}
    lines = [f"{json.dumps(flag)}: {json.dumps(row)}" for flag, row in sorted(rows.items())]
    names_ = []
    for name, by_version in sorted(variables.items()):
        ordered = {version: by_version[version] for version in versions if version in by_version}
        names_.append(f"{json.dumps(name)}: {json.dumps(dict(_defaults(ordered, list(versions))))}")
    head = f'"engine": {json.dumps(engine)},\n"versions": {json.dumps(list(versions))},\n'
    return (
        "{\n" + head + '"options": {\n' + ",\n".join(lines) + '\n},\n"variables": {\n' + ",\n".join(names_) + "\n}\n}\n"
    )


def _row(by_version: dict[str, Option], versions: list[str]) -> dict[str, Any]:
    """``by_version`` begins with the newest."""
    newest, *_ = by_version.values()
    row: dict[str, Any] = {"takes": newest.takes}
    also = dict.fromkeys(flag for one in by_version.values() for flag in one.flags if flag != newest.flags[0])
    off = dict.fromkeys(flag for one in by_version.values() for flag in one.opposites)
    row |= {"also": list(also)} if also else {}
    row |= {"off": list(off)} if off else {}
    defaults = {version: by_version[version].default for version in versions if version in by_version}
    return row | dict(_defaults(defaults, versions))


def _defaults(by_version: dict[str, Any], versions: list[str]) -> Iterator[tuple[str, Any]]:
    """The versions that have it, where not all do; and the default, by version where it isn't the same in all."""
    if list(by_version) != versions:
        yield "in", list(by_version)
    known = {version: _plain(value) for version, value in by_version.items() if value is not UNKNOWN}
    if len(known) == len(by_version) and len({json.dumps(value) for value in known.values()}) == 1:
        yield "default", next(iter(known.values()))
    elif known:
        yield "defaults", known


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, set | frozenset) else list(value) if isinstance(value, tuple) else value


if __name__ == "__main__":
    main()
