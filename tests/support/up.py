"""``routegen up`` as a user runs it: a process with a terminal's worth of output, and signals."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.command import ROUTEGEN

TWO_ENGINES = Path(__file__).parents[2] / "examples" / "two-engines" / "routes.yaml"
PATIENCE = 60.0
"""Seconds; on an idle machine nothing here takes more than three."""


@dataclass
class Up:
    """One running ``routegen up``; its temporary files are in a folder of their own."""

    process: subprocess.Popen[str]
    temporary: Path
    lines: list[str] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def read(self) -> None:
        """Take its output until it ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self.lines.append("(end)")
            self._news.notify_all()

    @property
    def text(self) -> str:
        """All that it printed."""
        return "\n".join(self.lines)

    def says(self, pattern: str, after: int = 0) -> re.Match[str]:
        """Wait for a line that matches.

        :param after: how many lines not to look at.
        """
        end = time.monotonic() + PATIENCE
        with self._news:
            while True:
                found = [match for line in self.lines[after:] if (match := re.search(pattern, line))]
                if found:
                    return found[0]
                if "(end)" in self.lines or not self._news.wait(end - time.monotonic()):
                    raise AssertionError(f"no line matches {pattern!r}:\n{self.text}")

    def ready(self) -> str:
        """Wait until it is ready; ``host:port`` of the gateway."""
        self.says("^Ready")
        return self.says(r"^http://(\S+) ")[1]

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def processes(self, program: str = "") -> list[int]:
        """The processes that were started for it, by the folder in their command lines."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                command = entry.read_bytes().decode(errors="replace")
                if str(self.temporary) in command and program in command:
                    found.append(int(entry.parent.name))
        return found

    def left_behind(self) -> list[object]:
        """Processes and files that are still there."""
        return [*self.processes(), *self.temporary.iterdir()]


@contextlib.contextmanager
def up(*options: str, env: dict[str, str] | None = None, session: bool = False) -> Iterator[Up]:
    """Start ``routegen up`` on free ports; whatever happens, nothing of it survives the block.

    :param session: in a process group of its own, as a terminal's foreground job is.
    """
    temporary = Path(tempfile.mkdtemp(prefix="up-"))  # short: a Unix socket's path has 107 bytes
    process = subprocess.Popen(
        [*ROUTEGEN, "up", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=session,
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1", **(env or {})},
    )
    running = Up(process, temporary)
    reader = threading.Thread(target=running.read)
    reader.start()
    try:
        yield running
    finally:
        process.kill()
        process.wait()
        for pid in running.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        reader.join()
        assert process.stdout is not None
        process.stdout.close()
        shutil.rmtree(temporary, ignore_errors=True)


def request(
    gateway: str, body: object = None, *, path: str = "/v1/chat/completions", headers: Sequence[tuple[str, str]] = ()
) -> tuple[int, dict[str, str], Any]:
    """Send a POST with a JSON body, or a GET without one; status, headers and JSON of the answer."""
    connection = http.client.HTTPConnection(gateway, timeout=PATIENCE)
    try:
        data = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, data, dict(headers))
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, json.load(response)
    finally:
        connection.close()
