"""Files: written so that a reader sees the old one or the new one, never half of one; and why one can't be read."""

from __future__ import annotations

import os
from pathlib import Path

from routegen.common.problems import UserError


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` to ``path``, making its folder; the file appears by a rename.

    :raises UserError: it can't be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path}: can't be written: {error.strerror}") from error
    finally:
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)


def unreadable(path: Path | str, error: OSError, missing: str, folder: str = "name a file") -> UserError:
    """Why a file that the user named can't be read, and what would be right.

    :param missing: what to do where there is no such file.
    :param folder: what to do where it is a folder.
    """
    match error:
        case FileNotFoundError():
            return UserError(f"{path}: no such file; {missing}")
        case IsADirectoryError():
            return UserError(f"{path}: is a folder; {folder}")
    return UserError(f"{path}: can't be read: {error.strerror}")
