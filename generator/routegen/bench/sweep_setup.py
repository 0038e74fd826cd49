"""From the command's options to a sweep's folder that is ready to be measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from secrets import randbelow
from typing import Any, Final

from . import setup, sweep
from .conduct import new_run
from .design import Arm, Design, Finding
from .looks import LEAST_BLOCKS
from .metrics import STEADY
from .sweep import Kind
from .values import UsageError

_EXCLUDED: Final = {
    "concurrency": "the sweep says how many at once",
    "rate": "the sweep says how many a second",
    "plan": "plan a run at one of its loads",
    "until_decided": "every step has the same number of blocks",
    "max_blocks": "every step has the same number of blocks",
}
"""What doesn't go with --sweep, and why."""

_SECONDS: Final = 10
"""Open loop: a part lasts so long at least, unless --requests says otherwise."""


def start(options: Mapping[str, Any], audit: tuple[Finding, ...] | None = None) -> Path:
    """Make the folder of a new sweep.

    :param options: as :func:`routegen.bench.setup.start` has them; ``sweep`` is the kind and the loads.
    :raises UsageError: the options contradict each other.
    :raises UserError: an engine doesn't answer, or nothing can be compared.
    """
    kind, loads = options["sweep"]
    found, arms = check(options)
    layout = setup.asked(arms, found[0], options)
    folder = setup.folder_of(options)
    runs = tuple(new_run(design, layout, options["api_key_env"], audit) for design in found)
    sweep.make(folder, kind, loads, runs)
    return folder


def check(options: Mapping[str, Any]) -> tuple[list[Design], list[Arm]]:
    """Each step's design, and the arms: all that can be said before the engines are asked.

    :raises UsageError: the options contradict each other.
    :raises UserError: nothing can be compared.
    """
    kind, loads = options["sweep"]
    found = designs(options)
    _, arms = setup.check({**options, **_step(options, kind, loads[0], found[0].seed)})
    return found, arms


def designs(options: Mapping[str, Any]) -> list[Design]:
    """Each step's design.

    All steps together err as often as one run alone would: each has its share (Bonferroni). Each has a seed of its own,
    so that no prompt of one step is known from another.

    :raises UsageError: the options contradict each other.
    """
    kind, loads = options["sweep"]
    for name, why in _EXCLUDED.items():
        if options[name]:
            raise UsageError(f"--{name.replace('_', '-')} does not go with --sweep: {why}")
    if options["arrivals"] == "trace" or (options["prompts"] is not None and options["cache"] == "as-is"):
        once = "--arrivals trace" if options["arrivals"] == "trace" else "--cache as-is with --prompts"
        raise UsageError(f"{once} does not go with --sweep: it sends each prompt once, and a sweep has several steps")
    seed = randbelow(2**31 - len(loads)) if options["seed"] is None else options["seed"]
    return [
        setup.design_of(
            {**options, **_step(options, kind, load, seed + number)},
            confidence=1 - (1 - setup.CONFIDENCE) / len(loads),
        )
        for number, load in enumerate(loads)
    ]


def _step(options: Mapping[str, Any], kind: Kind, load: float, seed: int) -> dict[str, Any]:
    """One step's options: enough requests for a steady state, and blocks for a verdict."""
    if kind == "concurrency":
        at_once, rate, requests = int(load), None, STEADY * int(load)
    else:
        at_once, rate, requests = None, load, math.ceil(_SECONDS * load)
    return {
        "concurrency": at_once,
        "rate": rate,
        "requests": options["requests"] or max(requests, setup.LEAST_REQUESTS),
        "blocks": options["blocks"] or LEAST_BLOCKS,
        "seed": seed,
    }


def resume(folder: Path, options: Mapping[str, Any]) -> Path:
    """Prepare a sweep to be continued, as far as it isn't measured.

    :raises UsageError: more blocks are asked for; a sweep's size is fixed.
    """
    for name in ("blocks", "until_decided", "max_blocks"):
        if options[name]:
            raise UsageError(f"--{name.replace('_', '-')} does not go with --resume of a sweep: its size is fixed")
    sweep.load(folder)
    return folder
