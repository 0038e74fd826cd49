"""What a run leaves on disk, and nothing else: the contract between measuring and reporting.

A run folder holds::

    run.json         the design, the arms, what is compared: one Run, written before the first request
    requests.jsonl   one Request a line, warm-up included
    blocks.jsonl     one Block a line, written when a block is complete
    resources.jsonl  one Sample a line: pods, nodes, GPUs, the engines' own metrics, this client

The JSONL files only grow. A machine that stops in the middle of a line costs that line: readers leave out a cut last
line, and a writer cuts it off before it goes on. Requests of a block that has no line in blocks.jsonl were interrupted
and are not part of any result (:meth:`Recorded.measured`).

Times: ``at``, ``scheduled``, ``sent``, ``started`` and ``ended`` are seconds of a monotonic clock since the run's first
session started (``Run.started_at`` is that moment in UTC); all other times of a request are seconds since its own
``sent``. Prompts, answers and credentials are never recorded.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from routegen.common.problems import UserError

from .design import Run

FORMAT: Final = 1
"""The folder's layout; a reader refuses a later one."""

WARMUP: Final = -1
"""The block number of warm-up requests."""

PROBE: Final = -2
"""The block number of requests whose answers are compared between arms, and not timed."""

ErrorKind = Literal[
    "connect",
    "timeout",
    "reset",
    "status",
    "engine",
    "truncated",
    "unfinished",
    "short",
    "invalid",
    "wrong_engine",
]
"""Why a request failed: no connection; no end in time; the connection broke in the middle; an HTTP status other than
200; an error inside the stream; a stream that ended without finish_reason; a finish_reason that doesn't mean success;
fewer tokens than asked for; an answer that is not what the API promises; the gateway's response header names another
backend than the one asked for."""


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request and what came back. Field ``prompt`` pairs the arms: same block, same prompt."""

    session: int
    """0 for the first start, one more with each ``--resume``."""
    block: int
    """From 0; :data:`WARMUP` for warm-up, :data:`PROBE` for a probe."""
    arm: str
    prompt: int
    scheduled: float
    """When it was due: by the arrival schedule, or when its worker's last answer ended (closed loop)."""
    sent: float
    """When it was handed to the HTTP client; ``sent - scheduled`` is waiting that the client caused."""
    status: int | None = None
    headers: float | None = None
    """The response's status line and headers had arrived."""
    first: float | None = None
    """The first text, reasoning included."""
    first_content: float | None = None
    """The first text that is not reasoning."""
    chunks: tuple[float, ...] = ()
    """When each event that carried text arrived; several at one time came in one read."""
    end: float | None = None
    """The answer was complete, or the error was noticed."""
    done_marker: bool = True
    """False where the stream ended well but without ``[DONE]``."""
    finish: str | None = None
    """The engine's finish_reason."""
    prompt_tokens: int | None = None
    """From usage, as the next two; ``None``: not reported."""
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    characters: int | None = None
    """Of the answer's text; ``None``: an earlier routegen measured it, and didn't count."""
    repeats: bool = False
    """The answer's second half is one short piece over and over."""
    marks: tuple[str, ...] = ()
    """Of a probe's answer: :func:`routegen.bench.answers.marks`, comparable within one session."""
    backend: str | None = None
    """The gateway's response header that names the backend, if there was one."""
    error: ErrorKind | None = None
    detail: str | None = None
    """The error in a few words of ours, never the engine's text."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One slot of a block as it was run."""

    arms: tuple[str, ...]
    started: float
    ended: float
    late: float | None = None
    """Mean seconds by which the client came late to what was due, and so to reading; ``None``: nobody watched."""


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A block that is complete; its parts stand in the order in which they were run."""

    session: int
    block: int
    parts: tuple[Part, ...]


class Sample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one source said at one time, or that it has nothing to say."""

    at: float
    source: Literal["client", "pod", "node", "gpu", "engine"]
    subject: str
    """The pod, node, GPU or engine; empty where the whole source is absent."""
    values: dict[str, float] = {}
    """Name with unit -> figure, such as ``cpu_cores``, ``memory_bytes``, ``gpu_utilization_percent``."""
    absent: str | None = None
    """Why there are no figures, in a sentence."""


Line = TypeVar("Line", Request, Block, Sample)

_FILES: Final = {Request: "requests.jsonl", Block: "blocks.jsonl", Sample: "resources.jsonl"}


class Clock:
    """The run's clock, for one process: monotonic while it lasts, set by the wall clock when it is made."""

    def __init__(self, started_at: str) -> None:
        elapsed = (datetime.now(UTC) - datetime.fromisoformat(started_at)).total_seconds()
        self._origin = time.perf_counter() - elapsed

    def now(self) -> float:
        """Seconds since the run's first session started."""
        return time.perf_counter() - self._origin


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run folder, read."""

    run: Run
    requests: tuple[Request, ...]
    blocks: tuple[Block, ...]
    samples: tuple[Sample, ...]

    def measured(self, arm: str | None = None) -> Iterator[Request]:
        """The requests that count: of complete blocks, in the session that completed them, failed ones included."""
        complete = {(block.session, block.block) for block in self.blocks}
        return (
            request
            for request in self.requests
            if (request.session, request.block) in complete and arm in {None, request.arm}
        )

    @property
    def done(self) -> frozenset[int]:
        """The numbers of the complete blocks."""
        return frozenset(block.block for block in self.blocks)

    @property
    def sessions(self) -> int:
        """How many sessions have left a request so far; the number of the next one."""
        return 1 + max((request.session for request in self.requests), default=-1)


def create(folder: Path, run: Run) -> None:
    """Make ``folder`` and write its run.json.

    :raises UserError: the folder holds a run already, or can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "run.json").exists():
            raise UserError(f"{folder} holds a run already; continue it with --resume {folder}, or name another folder")
        rewrite(folder, run)
    except OSError as error:
        raise UserError(f"{folder}: can't be made a run folder: {error.strerror}") from error


def rewrite(folder: Path, run: Run) -> None:
    """Replace run.json in one step (``--resume`` may ask for more blocks)."""
    target = folder / "run.json"
    draft = target.with_suffix(".json.new")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")
    draft.replace(target)


def append(folder: Path, lines: Iterable[Line]) -> None:
    """Add lines of one kind to their file, after cutting off a line that was left unfinished."""
    batch = list(lines)
    if not batch:
        return
    with (folder / _FILES[type(batch[0])]).open("ab+") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                file.seek(0)
                file.truncate(_whole(file.read()))
        file.write(msgspec.json.Encoder().encode_lines(batch))


def read(folder: Path) -> Recorded:
    """Everything in ``folder``, without blocks whose requests were lost.

    (A machine that stopped may have kept the later line and not the earlier.)

    :raises UserError: no run is there, a later routegen wrote it, or a line other than the last is broken.
    """
    source = folder / "run.json"
    try:
        text = source.read_bytes()
    except OSError as error:
        raise UserError(f"{folder} is not a run folder: {source}: {error.strerror}") from error
    try:
        found = _decode_format(text).format
        if found > FORMAT:
            raise UserError(f"{source}: format {found} was written by a later routegen; this one reads up to {FORMAT}")
        run = _decode_run(text)
    except msgspec.MsgspecError as error:
        raise UserError(f"{source}: {error}") from error
    requests = _lines(folder, Request)
    counted = Counter((request.session, request.block, request.arm) for request in requests)
    blocks = tuple(
        block
        for block in _lines(folder, Block)
        if all(
            counted[block.session, block.block, arm] >= run.design.requests for part in block.parts for arm in part.arms
        )
    )
    return Recorded(run, requests, blocks, _lines(folder, Sample))


class _Format(msgspec.Struct):
    format: int


_decode_format: Final = msgspec.json.Decoder(_Format).decode
_decode_run: Final = msgspec.json.Decoder(Run).decode


def _lines(folder: Path, kind: type[Line]) -> tuple[Line, ...]:
    """The file's lines, without a cut last one; none where there is no file."""
    path = folder / _FILES[kind]
    if not path.exists():
        return ()
    data = path.read_bytes()
    decoder = msgspec.json.Decoder(kind)
    found = []
    for number, line in enumerate(data[: _whole(data)].splitlines(), start=1):
        try:
            found.append(decoder.decode(line))
        except msgspec.MsgspecError as error:
            raise UserError(f"{path}:{number}: {error}") from error
    return tuple(found)


def _whole(data: bytes) -> int:
    """The length of ``data`` up to its last line break."""
    return data.rfind(b"\n") + 1
