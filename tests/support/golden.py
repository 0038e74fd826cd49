"""Expected output as folders of files: compared byte for byte, rewritten with ``--update-golden``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest


def hold(folder: Path, files: Mapping[str, str], *, update: bool) -> None:
    """Fail unless ``folder`` holds exactly ``files`` (relative name -> text); with ``update``, make it so.

    A file too many is a failure as well: somebody could apply it.
    """
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
    wanted = {name: text.encode() for name, text in files.items()}
    if found == wanted:
        return
    if not update:
        pytest.fail(f"{folder} is not current; pytest with --update-golden rewrites it:\n{_difference(found, wanted)}")
    for name in found.keys() - wanted.keys():
        (folder / name).unlink()
    for name, data in wanted.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def _difference(found: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> str:
    """One line a file, with the first line that differs."""
    lines = [f"  {name}: missing" for name in wanted.keys() - found.keys()]
    lines += [f"  {name}: stale, nothing renders it" for name in found.keys() - wanted.keys()]
    for name in found.keys() & wanted.keys():
        if found[name] != wanted[name]:
            lines.append(f"  {name}: {_first_difference(found[name], wanted[name])}")
    return "\n".join(sorted(lines))


def _first_difference(found: bytes, wanted: bytes) -> str:
    old, new = found.decode().splitlines(), wanted.decode().splitlines()
    for number, (one, other) in enumerate(zip(old, new, strict=False), start=1):
        if one != other:
            return f"line {number} is {one!r}, rendered is {other!r}"
    return f"has {len(old)} lines, rendered are {len(new)}"
