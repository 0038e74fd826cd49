"""Models that an init container downloads, before the engine starts, to where the engine then looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from routegen.audit.engine import Engine
from routegen.audit.environment import expand, read_environment
from routegen.audit.reading import items, mapping
from routegen.audit.shell import Word, commands
from routegen.common.positions import Path

_PROGRAMS = {"hf", "huggingface-cli"}


@dataclass(frozen=True, slots=True)
class Download:
    """One ``hf download <model> --local-dir <directory>``."""

    container: Path
    """Where the init container stands in the manifest."""
    model: str
    directory: str
    revision: str
    """Empty where the main branch is taken."""


def downloads(engine: Engine) -> Iterator[Download]:
    """What the init containers of the engine's pod download with Hugging Face's command line."""
    for index, entry in enumerate(items(engine.pod_get("initContainers"))):
        container, path = mapping(entry), (*engine.pod, "initContainers", index)
        environment = read_environment(container, engine.manifest.namespace, ())
        texts = [*items(container.get("command")), *items(container.get("args"))]
        words = tuple(expand(str(text), index, environment.words) for index, text in enumerate(texts))
        for run in commands(words, environment.words):
            found = _download(path, run.words)
            if found is not None and not run.conditional:
                yield found


def _download(container: Path, words: tuple[Word, ...]) -> Download | None:
    texts = [word.text for word in words]
    if len(texts) < 3 or texts[0].rpartition("/")[2] not in _PROGRAMS or texts[1] != "download":  # noqa: PLR2004 - shape
        return None
    if any(word.unknown for word in words):
        return None
    options: dict[str, str] = {}
    plain: list[str] = []
    rest = iter(texts[2:])
    for text in rest:
        name, equals, value = text.partition("=")
        if name in {"--local-dir", "--revision"}:
            options[name] = value if equals else next(rest, "")
        elif not text.startswith("-"):
            plain.append(text)
    if not plain or "--local-dir" not in options:
        return None
    return Download(container, plain[0], options["--local-dir"], options.get("--revision", ""))
