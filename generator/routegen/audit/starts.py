"""What a container starts: an engine, something beside it, or something that can't be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from routegen.audit.arguments import CommandLine, find_engine
from routegen.audit.engine import image_version, is_image_of, split_image
from routegen.audit.engines import EngineKind, Version, kinds, others
from routegen.audit.environment import Environment, expand
from routegen.audit.options import Parsed, parse
from routegen.audit.reading import items
from routegen.audit.shell import Run, Word, commands


def command_line(container: Mapping[str, Any], environment: Environment) -> CommandLine:
    """What the container's command says; its kind is ``None`` where no engine is started."""
    runs = _runs(container, environment)
    starts = [(run, found) for run in runs if (found := find_engine(run.words)) is not None]
    image = str(container.get("image", ""))
    if starts:
        run, (kind, first) = starts[0]
        certain = len(starts) == 1 and not run.conditional
        return _started(kind, run, first, image_version(kind, image), certain=certain)
    if what_else(container, environment):
        return CommandLine(None)
    name = split_image(image)[0].rpartition("/")[2]
    for kind in kinds().values():
        if name in kind.entrypoint_images and not container.get("command"):
            return _started(kind, Run(_words(container, environment), {}), 0, image_version(kind, image), certain=True)
        if is_image_of(kind, image):
            return CommandLine(kind, Parsed(rest_unknown="the command that starts the engine can't be read"))
    return CommandLine(None)


def what_else(container: Mapping[str, Any], environment: Environment) -> str:
    """What the container runs where that is known to be no engine, such as ``a router``; else empty."""
    found = [_other(run.words) for run in _runs(container, environment) if run.words]
    found = [one for one in found if one != "no server"] or found
    return found[-1] if found and all(found) else ""


def _other(words: tuple[Word, ...]) -> str:
    texts = [word.text for word in words if not word.unknown]
    if not texts or words[0].unknown:
        return ""
    program = PurePosixPath(texts[0]).name
    if program.startswith("python") or program in {"uvicorn", "uv", "torchrun"}:
        rest = [text for text in texts[1:] if not text.startswith("-") and text != "run"]
        program = PurePosixPath(rest[0]).name if rest else program
    candidates = (program, " ".join([program, *texts[1:2]]))
    for what, patterns in others().items():
        if any(fnmatchcase(one.lower(), pattern) for one in candidates for pattern in patterns):
            return what
    return "no server" if program in _SHELL_WORDS else ""


_SHELL_WORDS = {
    "cd",
    "echo",
    "exit",
    "export",
    "mkdir",
    "set",
    "trap",
    "wait",
    "ulimit",
    "cp",
    "ln",
    "chmod",
    "pip",
    "apt-get",
}
"""What start scripts do on the way."""


def _runs(container: Mapping[str, Any], environment: Environment) -> Sequence[Run]:
    return commands(_words(container, environment), environment.words)


def _words(container: Mapping[str, Any], environment: Environment) -> tuple[Word, ...]:
    texts = [*items(container.get("command")), *items(container.get("args"))]
    return tuple(expand(str(text), index, environment.words) for index, text in enumerate(texts))


def _started(kind: EngineKind, run: Run, first: int, version: Version | None, *, certain: bool) -> CommandLine:
    told = parse(kind, run.words[first:], version)
    if not certain:
        return CommandLine(kind, Parsed(rest_unknown="the start script decides between commands when it runs"))
    if "config_file" in told.given:
        given = told.given["config_file"]
        note = f"a file has more options: {given.value or given.unknown}"
        told = replace(told, rest_unknown=told.rest_unknown or note)
    return CommandLine(kind, told, tuple(word.text for word in run.words[:first]), run.variables)
