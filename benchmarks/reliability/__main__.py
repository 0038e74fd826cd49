"""Run scenarios and say what holds: ``make reliability``, ``make reliability ARGS="uploads memory"``.

Exit code 1: a claim doesn't hold. Counts are the machine's business only in so far as it keeps up; the load average
before and after stands beside them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Final

import machine

from . import bombs, deaths, hanging, memory, routers, second_choices, sizes, uploads, workers, worst_clients
from .claims import Claim

SCENARIOS: Final[dict[str, Callable[[], Iterable[Claim]]]] = {
    "uploads": uploads.run,
    "memory": memory.run,
    "sizes": sizes.run,
    "hanging": hanging.run,
    "routers": routers.run,
    "workers": workers.run,
    "deaths": deaths.run,
    "second_choices": second_choices.run,
    "worst_clients": worst_clients.run,
    "bombs": bombs.run,
}


def main(names: list[str]) -> int:
    """Run the scenarios of these names, or all."""
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        print(f"there is no scenario {unknown[0]!r}; known: {', '.join(SCENARIOS)}", file=sys.stderr)
        return 2
    told = machine.describe()
    print(", ".join(f"{key} {value}" for key, value in told.items()))
    broken = 0
    for name in names or SCENARIOS:
        before = machine.load()
        print(f"\n{name}: {(sys.modules[SCENARIOS[name].__module__].__doc__ or '').splitlines()[0]}")
        for claim in SCENARIOS[name]():
            verdict = {True: "holds ", False: "BROKEN", None: "figure"}[claim.holds]
            print(f"  {verdict} {claim.what}: {claim.shown}", flush=True)
            broken += claim.holds is False
        print(f"  load average before {before[0]}, after {machine.load()[0]}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
