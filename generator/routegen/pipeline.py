"""The whole program on one screen: file -> spec -> plan -> target -> documents -> text.

Everything happens in memory and nothing is written here: whoever calls has all of the text, or an error.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from pathlib import Path

from routegen import targets
from routegen.plan import Plan
from routegen.problems import UserError
from routegen.targets import Output, Rendered
from routegen.text import to_json, to_yaml

STDIN = "-"


class UnknownKindError(UserError):
    """A kind was asked for that the target doesn't make."""


def read_plan(source: str | Path, target: str | None = None) -> Plan:
    """Read a routes.yaml (``-``: standard input) and compile it.

    :param target: compile for this target in place of the file's own.
    :raises InputError: with all that is wrong in it.
    :raises UserError: there is no such file, or it can't be read.
    """
    from routegen.compile import compile_text  # noqa: PLC0415 - pydantic: not for `--help`

    if str(source) == STDIN:
        return compile_text(_decode(sys.stdin.buffer.read(), "<stdin>"), "<stdin>", target=target)
    try:
        data = Path(source).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{source}: no such file; `routegen init` writes one to start from") from None
    except OSError as error:
        raise UserError(f"{source}: {error.strerror}") from error
    return compile_text(_decode(data, str(source)), str(source), target=target)


def render(plan: Plan, only: Collection[str] = ()) -> Output:
    """Make the documents for the plan's target.

    :param only: keep just these kinds, in any case; empty: all of them.
    :raises UnknownKindError: the target makes no document of such a kind.
    :raises UserError: the plan has what the target can't do.
    """
    output = targets.render(plan)
    if not only:
        return output
    wanted = {kind.lower() for kind in only}
    known = {document.kind.lower(): document.kind for document in output.documents}
    if unknown := sorted(wanted - known.keys()):
        raise UnknownKindError(f"no document of kind {', '.join(unknown)}; this renders: {', '.join(known.values())}")
    return Output(tuple(doc for doc in output.documents if doc.kind.lower() in wanted), output.notices)


def to_text(documents: Iterable[Rendered]) -> str:
    """Write documents as one stream: YAML documents, or the JSON file where that is all there is."""
    documents = tuple(documents)
    if len(documents) == 1:
        return file_text(documents[0])
    return to_yaml(document.document for document in documents)


def file_text(document: Rendered) -> str:
    """Write one document as its file holds it."""
    return to_json(document.document) if document.filename.endswith(".json") else to_yaml([document.document])


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: not UTF-8 at byte {error.start}") from error
