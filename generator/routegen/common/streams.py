"""The standard streams where their reader has gone, or where the caller has closed them."""

from __future__ import annotations

import os
import select


def leave_unread() -> bool:
    """Whether standard output is a pipe that nobody reads any more (``| head -1``); it leads to nowhere from then on.

    Else what is still buffered would fail once more at the very end.
    """
    poll = select.poll()
    for number in (1, 2):  # 2>&1
        poll.register(number, 0)
    gone = [number for number, event in poll.poll(0) if event & (select.POLLERR | select.POLLHUP)]
    for number in gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    return bool(gone)
