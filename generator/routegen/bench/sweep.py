"""A sweep: runs that differ in their load only, in one folder; what it holds, and how it is read.

A sweep folder holds::

    sweep.json       what is swept: one Sweep, written before the first request
    step-1, step-2…  a run folder for each step, as :mod:`routegen.bench.records` describes it

Every step is a run of its own, with blocks, an order that a coin gives and checks; so engines are compared at the same
load and time, and never across steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from routegen.common.problems import UserError

from .design import Run
from .records import Recorded, create, read

FORMAT: Final = 1
FILE: Final = "sweep.json"

Kind = Literal["concurrency", "rate"]
"""What grows: requests in flight (closed loop), or requests a second (open loop)."""


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """sweep.json."""

    format: int
    kind: Kind
    loads: tuple[float, ...]
    """Of the steps, rising."""


@dataclass(frozen=True, slots=True)
class Swept:
    """A sweep folder, read."""

    sweep: Sweep
    steps: tuple[Recorded, ...]
    """As many as there are loads, in their order."""


def folders(folder: Path, sweep: Sweep) -> tuple[Path, ...]:
    """Where the steps' run folders are."""
    return tuple(folder / f"step-{number}" for number in range(1, len(sweep.loads) + 1))


def is_sweep(folder: Path) -> bool:
    """Whether it is a sweep's folder, and not a run's."""
    return (folder / FILE).exists()


def make(folder: Path, kind: Kind, loads: tuple[float, ...], runs: tuple[Run, ...]) -> None:
    """Write the folder of a sweep and those of its steps.

    :raises UserError: it holds a run or a sweep already, or can't be written.
    """
    if is_sweep(folder) or (folder / "run.json").exists():
        raise UserError(f"{folder} holds a run already; continue it with --resume {folder}, or name another folder")
    found = Sweep(format=FORMAT, kind=kind, loads=loads)
    for where, run in zip(folders(folder, found), runs, strict=True):
        create(where, run)
    (folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")


def load(folder: Path) -> Sweep:
    """What is swept.

    :raises UserError: no sweep is there, or a later routegen wrote it.
    """
    source = folder / FILE
    try:
        found = _decode(source.read_bytes())
    except OSError as error:
        raise UserError(f"{folder} is not a sweep's folder: {source}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise UserError(f"{source}: {error}") from error
    if found.format > FORMAT:
        raise UserError(
            f"{source}: format {found.format} was written by a later routegen; this one reads up to {FORMAT}"
        )
    return found


def read_all(folder: Path) -> Swept:
    """The whole sweep, as far as it is measured.

    :raises UserError: as :func:`load`, and where a step's folder can't be read.
    """
    found = load(folder)
    return Swept(found, tuple(read(step) for step in folders(folder, found)))


_decode: Final = msgspec.json.Decoder(Sweep).decode
