"""Log lines: JSON for machines, text for people, and never an exception's own words."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from routegen_router.logs import JsonFormatter, TextFormatter, configure


def record(message: str, fields: dict[str, object] | None = None, *, failing: bool = False) -> logging.LogRecord:
    made = logging.LogRecord("routegen.test", logging.WARNING, "file.py", 1, message, None, None)
    made.created = 1700000000.25
    if fields is not None:
        made.fields = fields
    if failing:
        try:
            int("my secret prompt")
        except ValueError:
            made.exc_info = sys.exc_info()
    return made


def test_json_lines_have_what_happened_and_its_fields() -> None:
    assert json.loads(JsonFormatter().format(record("it happened", {"backend": "ü", "count": 1}))) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "logger": "routegen.test",
        "message": "it happened",
        "backend": "ü",
        "count": 1,
    }


def test_text_lines_quote_what_could_be_mistaken() -> None:
    fields: dict[str, object] = {
        "a": "plain",
        "b": "two words",
        "c": "line\nbreak",
        "d": "",
        "e": None,
        "f": [1],
        "g": "x=1",
    }
    assert TextFormatter().format(record("it happened", fields)) == (
        '2023-11-14T22:13:20.250Z warning it happened a=plain b="two words" c="line\\nbreak" d="" e=null f=[1] g="x=1"'
    )


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_exceptions_are_told_by_type_and_place_alone(formatter: logging.Formatter) -> None:
    line = formatter.format(record("it failed", failing=True))
    assert "ValueError" in line
    assert "test_logs.py" in line
    assert "secret" not in line
    assert "\n" not in line


def test_the_level_holds_for_our_loggers_and_libraries_are_quieter(capsys: pytest.CaptureFixture[str]) -> None:
    handlers, level = logging.root.handlers[:], logging.root.level
    try:
        configure("info", "text")
        logging.getLogger("routegen.test").info("ours")
        logging.getLogger("routegen.test").debug("ours, too fine")
        logging.getLogger("library").info("theirs")
        logging.getLogger("library").warning("theirs, important")
        configure("warning", "text")
        logging.getLogger("routegen.test").info("ours, switched off")
    finally:
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
        logging.getLogger("routegen").setLevel(logging.NOTSET)
    told = capsys.readouterr().err.splitlines()
    assert [line.split(maxsplit=2)[2] for line in told] == ["ours", "theirs, important"]


@pytest.mark.parametrize(
    "where",
    [
        "raise ValueError(secret)",
        "raise ExceptionGroup(secret, [ValueError(secret)])",
        "threading.Thread(target=int, args=[secret]).start()",
    ],
)
def test_what_nobody_catches_is_a_line_too(where: str) -> None:
    program = f"""\
import threading
from routegen_router import logs
secret = "my secret prompt"
logs.configure("info", "json")
logs.tell_uncaught()
{where}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    line = json.loads(done.stderr)
    assert (line["level"], line["exception"]) == ("critical", "ValueError")
    assert "secret" not in done.stderr
    assert done.returncode == (1 if where.startswith("raise") else 0)
