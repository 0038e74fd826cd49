"""``python -m monitoring record [FAULT …]`` writes the recordings that tests/monitoring judges the alerts by.

``python -m monitoring check`` asks a real Prometheus every query of the dashboard.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from .check import check
from .faults import FAULTS
from .record import ROOT, record

RECORDINGS: Final = ROOT / "tests" / "monitoring" / "recordings"


def main(arguments: list[str]) -> int:
    """Record the faults of these names, or all."""
    match arguments:
        case ["record", *wanted]:
            for name in wanted or FAULTS:
                print(asyncio.run(record(name, FAULTS[name], RECORDINGS)).relative_to(ROOT), flush=True)
            return 0
        case ["check"]:
            return int(asyncio.run(check()) > 0)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
