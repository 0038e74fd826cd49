"""Threads may be the first to read something, several at once; that must not end the process.

msgspec finds out about a type when it first meets it, and isn't safe against two threads that do so at the same time.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import routegen_router

SOURCES = sorted(Path(routegen_router.__file__).parent.glob("*.py"))
LOADING = {"__init__", "_decoder", "_survives"}
"""Called by one thread: while a configuration is loaded, or in the test of somebody's rule."""
FORKS = 80
"""New processes whose threads race, each once: before there were decoders at module level, 2 to 9 in 100 died."""
RACE = """
import os, sys, threading
from routegen_router.ask import read_list
from routegen_router.body import BodyReader
from routegen_router.config import Config, load, dump, reads
from routegen_router.rules import Lookup
from routegen_router.request import Source
from routegen_router.status import read_status

config = Config(
    name="n", routing_header="h", paths=("/p",), max_body_bytes=1, max_inflight_bytes=1, backends=(),
    rules=(Lookup(name="a", source=Source(body=("engine",))), Lookup(name="b", source=Source(body=("x", "y")))),
)
reader, written = BodyReader(reads(config.rules)), dump(config)
READINGS = {
    "models": lambda: read_list(b'{"data": [{"id": "m", "created": 1, "owned_by": "vllm"}]}'),
    "body": lambda: reader.read(b'{"engine": "a", "x": {"y": 1.5}, "engine": null}'),
    "status": lambda: read_status(b'{"complete": true, "backends": []}'),
    "config": lambda: load(written),
}

def read():
    try:
        READINGS[sys.argv[2]]()
    except Exception:
        pass  # how it ends doesn't matter here, but that it ends in an answer

sys.setswitchinterval(1e-6)
died = 0
for _ in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        threads = [threading.Thread(target=read) for _ in range(16)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        os._exit(0)
    died += os.WIFSIGNALED(os.waitpid(child, 0)[1])
print(died)
"""


@pytest.mark.parametrize("reading", ["models", "body", "status", "config"])
def test_threads_that_are_the_first_to_read_do_not_end_the_process(reading: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RACE, str(FORKS), reading], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_decoder_of_the_router_is_made_where_a_thread_could_be_the_first(source: Path) -> None:
    """At module level, or where the event loop loads a configuration.

    (ruff refuses ``msgspec.json.decode`` and ``msgspec.convert`` everywhere; pyproject.toml says so.)
    """
    late = [
        f"{source.name}:{call.lineno}"
        for function in ast.walk(ast.parse(source.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        and getattr(function, "name", "") not in LOADING
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("Decoder")
    ]
    assert not late
