"""Starting, watching and stopping the measuring process."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from routegen import __version__
from routegen.common.problems import UserError

from . import records
from .design import Design, Finding, Run
from .layout import Layout
from .progress import ENOUGH, GO_ON, Event, Looking, decode


def new_run(
    design: Design,
    layout: Layout,
    api_key_env: str | None = None,
    audit: tuple[Finding, ...] | None = None,
) -> Run:
    """A run that starts now."""
    return Run(
        format=records.FORMAT,
        id=uuid.uuid4().hex[:12],
        started_at=datetime.now(UTC).isoformat(),
        version=__version__,
        design=design,
        arms=layout.arms,
        slots=layout.slots,
        comparisons=layout.comparisons,
        environment={
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cpus": str(os.cpu_count()),
            **{name: version(name) for name in ("aiohttp", "uvloop")},
        },
        api_key_env=api_key_env,
        audit=audit,
    )


def conduct(
    folder: Path,
    show: Callable[[Event], None],
    beside: Callable[[int], AbstractContextManager[object]] = nullcontext,
    decided: Callable[[], bool] = lambda: False,
) -> bool:
    """Measure what ``folder`` still lacks, in a process of its own; whether it ran to its end.

    :param beside: what goes on beside that process, whose id it is given.
    :param decided: asked at each planned look: whether that is the end.

    Ctrl-C stops it at once: the block at hand is lost, every complete one is on disk.

    :raises UserError: the measuring process says what stands in its way, or died.
    """
    child = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "routegen.bench.measure", str(folder)],
        stdin=subprocess.PIPE,  # closed when this process goes, which ends the child
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C comes here first
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    try:
        with beside(child.pid):
            for line in child.stdout:
                event = decode(line)
                show(event)
                if isinstance(event, Looking):
                    child.stdin.write(ENOUGH if decided() else GO_ON)
                    child.stdin.flush()
        code, complaint = child.wait(), child.stderr.read().decode(errors="replace").strip()
    except KeyboardInterrupt:
        return False
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
    if code:
        raise UserError(complaint.splitlines()[-1] if complaint else f"the measuring process ended with {code}")
    return True
