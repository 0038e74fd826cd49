"""The whole program on one screen: file -> spec -> plan -> target -> documents -> text.

Everything happens in memory and nothing is written here: whoever calls has all of the text, or an error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Container, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from routegen import targets
from routegen.common.files import unreadable
from routegen.common.problems import InputError, Problem, Remark, UserError
from routegen.common.text import to_json, to_yaml
from routegen.common.words import did_you_mean
from routegen.plan import Plan
from routegen.targets import Output, Rendered

STDIN = "-"
MAX_BYTES: Final = 1 << 20
"""A larger routes.yaml is refused: what is made of it has to fit into a ConfigMap, which holds 1 MiB."""


class UnknownKindError(UserError):
    """A kind was asked for that the target doesn't make."""


def read_plan(
    source: str | Path,
    target: str | None = None,
    notices: list[Problem] | None = None,
    *,
    deployed: bool = True,
    examine: Callable[[Plan], Iterable[Remark]] = lambda _plan: (),
) -> Plan:
    """Read a routes.yaml (``-``: standard input) and compile it.

    :param target: compile for this target in place of the file's own.
    :param notices: collects what is no mistake and worth knowing, by line.
    :param deployed: ``False``: the plan is used on this machine, so what the target says of it is no matter.
    :param examine: what else there is to say of the plan.
    :raises InputError: with all that is wrong in it.
    :raises UserError: there is no such file, or it can't be read.
    """
    from routegen.compile import compile_text  # noqa: PLC0415 - pydantic: not for `--help`

    text, name = read_text(source)
    return compile_text(text, name, target=target, notices=notices, deployed=deployed, examine=examine)


def read_text(source: str | Path) -> tuple[str, str]:
    """The text of a routes.yaml (``-``: standard input), and what to call it in problems.

    :raises InputError: it isn't UTF-8.
    :raises UserError: there is no such file, or it can't be read.
    """
    name = "<stdin>" if str(source) == STDIN else str(source)
    return _decode(_read(source, name), name), name


def render(plan: Plan, only: Collection[str] = ()) -> Output:
    """Make the documents for the plan's target.

    :param only: keep just these kinds, in any case; empty: all of them.
    :raises UnknownKindError: the target makes no document of such a kind.
    """
    output = targets.find(plan.gateway.target).render(plan)
    if not only:
        return output
    known = {document.kind.lower(): document.kind for document in output.documents}
    wanted = {_singular(kind.lower(), known): kind for kind in only}
    for unknown in sorted(wanted.keys() - known.keys()):
        raise UnknownKindError(
            f"no document of kind {wanted[unknown]}; {did_you_mean(unknown, known.values())}"
            f"this renders: {', '.join(known.values())}"
        )
    return Output(tuple(doc for doc in output.documents if doc.kind.lower() in wanted))


def _singular(kind: str, known: Container[str]) -> str:
    """A kind in the plural, as kubectl takes it too, in the singular; others as they are."""
    for ending, instead in (("ies", "y"), ("es", ""), ("s", "")):
        if kind not in known and (found := kind.removesuffix(ending) + instead) in known and kind.endswith(ending):
            return found
    return kind


def to_text(documents: Iterable[Rendered], form: str = "yaml") -> str:
    """Write documents as one stream: YAML documents, or the JSON file where that is all there is.

    :param form: ``json``: one JSON object, of several documents a ``List``, as kubectl reads and prints it.
    """
    documents = tuple(documents)
    if form == "json" and len(documents) != 1:
        return to_json({"apiVersion": "v1", "kind": "List", "items": [one.document for one in documents]})
    if len(documents) == 1:
        return to_json(documents[0].document) if form == "json" else file_text(documents[0])
    return to_yaml(document.document for document in documents)


def file_text(document: Rendered) -> str:
    """Write one document as its file holds it."""
    return to_json(document.document) if document.filename.endswith(".json") else to_yaml([document.document])


def _read(source: str | Path, name: str) -> bytes:
    try:
        with nullcontext(sys.stdin.buffer) if str(source) == STDIN else Path(source).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        missing = "`routegen init` writes one to start from"
        raise unreadable(source, error, missing, f"name the file, such as {source}/routes.yaml") from error
    if len(data) > MAX_BYTES:
        raise UserError(f"{name}: is larger than {MAX_BYTES >> 20} MiB; is it a routes.yaml?")
    return data


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"is not UTF-8 (byte 0x{data[error.start]:02x}); save it as UTF-8"
        raise InputError([Problem(name, line, "", what)]) from error
