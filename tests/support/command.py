"""The command ``routegen``, as a process of its own."""

from __future__ import annotations

import sys
from typing import Final

ROUTEGEN: Final = (sys.executable, "-m", "routegen")
"""What to run; without a search for its script."""
