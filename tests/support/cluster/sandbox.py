"""The machine that a test cluster runs on: a network, names and processes of its own.

``make test-cluster`` starts pytest with ``unshare``, as root of new user, network, mount and process namespaces. So
every address is ours, nothing listens outside, no rights are needed, and when pytest ends everything ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

INSIDE: Final = "ROUTEGEN_CLUSTER"
"""The variable that names the gateway to test; set inside the namespaces only."""

NETWORK: Final = "10.99.0.0/16"
"""All of it is this machine's. Not 127.0.0.0/8: EndpointSlices and Backends refuse loopback."""

PATIENCE: Final = 120.0
"""Seconds that anything may take on a busy machine."""


def wait_for(ready: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait until ``ready`` gives something true; errors of the network are "not yet"."""
    ends = time.monotonic() + patience
    while True:
        try:
            if ready():
                return
        except OSError:
            pass
        assert time.monotonic() < ends, f"waited {patience:g} s for {what}"
        time.sleep(0.1)


class Sandbox:
    """Its folder, its addresses, its names, its processes."""

    def __init__(self, folder: Path) -> None:
        if INSIDE not in os.environ:
            pytest.skip("a cluster needs namespaces of its own: `make test-cluster` makes them")
        self.folder = folder
        self._hosts = folder / "hosts"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._next = 1
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "address", "add", NETWORK.replace(".0.0/", ".0.1/"), "dev", "lo")
        self._hosts.write_text("127.0.0.1 localhost\n", encoding="utf-8")
        _run("mount", "--bind", str(self._hosts), "/etc/hosts")
        _run("mount", "--bind", os.devnull, "/etc/resolv.conf")

    def address(self) -> str:
        """An address that nobody has had yet."""
        self._next += 1
        return f"10.99.{self._next // 250}.{self._next % 250 + 1}"

    def name(self, host: str, address: str) -> None:
        """Let ``host`` resolve to ``address``, as the cluster's DNS would."""
        with self._hosts.open("a", encoding="utf-8") as file:
            file.write(f"{address} {host}\n")

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Start a process; its output goes to ``name``.log."""
        self.stop(name)
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
            )

    def pid(self, name: str) -> int:
        """A running process's id."""
        return self._processes[name].pid

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM, *, patience: float = 10) -> None:
        """End a process, if it runs: by a signal, and after ``patience`` seconds by force."""
        if process := self._processes.pop(name, None):
            process.send_signal(how)
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def signal(self, name: str, how: signal.Signals) -> None:
        """Send a signal to a process, which may live on."""
        self._processes[name].send_signal(how)

    def said(self, name: str) -> str:
        """The end of its log."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-4000:]

    def wait(self, name: str, ready: Callable[[], object]) -> None:
        """Wait until a process is ready; it must not have ended."""

        def alive_and_ready() -> object:
            assert self._processes[name].poll() is None, f"{name} ended: {self.said(name)}"
            return ready()

        wait_for(alive_and_ready, f"{name} to be ready")

    def close(self) -> None:
        """End all processes, the last one first."""
        for name in reversed(list(self._processes)):
            self.stop(name)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
