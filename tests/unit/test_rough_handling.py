"""Rough handling of the command line: each mishap is one sentence and the right exit code, never a traceback."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from routegen import pipeline

ROUTEGEN = f"{sys.executable} -m routegen"
PTY = f"{sys.executable} -c 'import pty, sys; pty.spawn([sys.executable, *sys.argv[1:]])'"
"""In front of Python's arguments: run it in a terminal of its own."""
MINE = "apiVersion: routegen/v1alpha1\nkind: InferenceRoutes\n"


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run one line of bash; ``routegen`` in it is ours."""
    script = f'routegen() {{ {ROUTEGEN} "$@"; }}; {line}'
    return subprocess.run(["bash", "-c", script], cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("routegen validate -f - <&-", 1, "<stdin>: is empty; `routegen init` writes one to start from"),
        ("routegen schema > /dev/full", 1, "routegen: standard output: No space left on device"),
        ("routegen schema >&-", 1, "routegen: standard output is closed"),
        ("routegen init - <&- >&-", 1, "routegen: standard output is closed"),
        ("routegen lint --fail-on never >&-", 1, "routegen: standard output is closed"),
        ("routegen --help >&-", 1, "routegen: standard output is closed"),
        ("routegen validate -f .", 1, "routegen: .: is a folder; name the file, such as ./routes.yaml"),
        ("routegen validate -f routes.yaml/more", 1, "routegen: routes.yaml/more: can't be read: Not a directory"),
        ("routegen validate -f latin-1.yaml", 1, "latin-1.yaml:3: is not UTF-8 (byte 0xfc); save it as UTF-8"),
        ("routegen validate -f /dev/zero", 1, "routegen: /dev/zero: is larger than 1 MiB; is it a routes.yaml?"),
        (
            "routegen render --output-dir routes.yaml",
            1,
            "routegen: routes.yaml is not a folder; --output-dir takes one",
        ),
        ("routegen render --output-dir ''", 2, "--output-dir takes a folder, not an empty text"),
        (
            "routegen init routes.yaml/more",
            1,
            "routegen: routes.yaml/more can't be written: routes.yaml is not a folder",
        ),
        (
            "routegen explain --body latin-1.yaml",
            2,
            "--body latin-1.yaml would be the body itself; --body @latin-1.yaml reads the file",
        ),
        (
            "routegen up --engine a=http://127.0.0.1:1 --engine a=http://127.0.0.1:2",
            2,
            "Invalid value for '--engine': a is given twice; a backend's engine has one address",
        ),
        (
            "routegen up --port 10000 --admin-port 10000",
            2,
            "--port and --admin-port both name the port 10000; clients and Envoy's admin interface need one each",
        ),
        (
            "routegen router --config routes.yaml --listen 127.0.0.1:0",
            2,
            "--config is the router's own file: routegen render --target envoy --only router-config > router.json",
        ),
        (
            "routegen validate routes.yaml",
            2,
            "Got unexpected extra argument (routes.yaml). A routes.yaml is given with -f",
        ),
        (
            "routegen explain '{}'",
            2,
            "Got unexpected extra argument ({}). A routes.yaml is given with -f. A request's body is given with --body",
        ),
        ("routegen schema x", 2, "Got unexpected extra argument (x)"),
        ("routegen render --only ,", 2, "--only takes kinds of document, not an empty text"),
        ("routegen explain --path v1/models", 2, "--path begins with /, such as /v1/models"),
    ],
)
def test_a_mishap_is_one_sentence_and_an_exit_code(line: str, code: int, sentence: str, tmp_path: Path) -> None:
    assert shell("routegen init", tmp_path).returncode == 0
    (tmp_path / "latin-1.yaml").write_bytes((MINE + "metadata: {name: für-alle}\n").encode("latin-1"))
    done = shell(line, tmp_path)
    said = done.stderr.strip().splitlines()
    assert (done.returncode, said[-1].removeprefix("Error: ")) == (code, sentence)
    assert len(said) == (1 if code == 1 else 4), done.stderr


@pytest.mark.parametrize(
    "verb", ["validate", "plugins", "render", "explain --no-poll", "lint", "schema", "test", "init -", "--help"]
)
def test_a_reader_who_has_enough_is_no_error(verb: str, tmp_path: Path) -> None:
    assert shell("routegen init", tmp_path).returncode == 0
    done = shell(f"set -o pipefail; (sleep 0.2; routegen {verb}) | true", tmp_path)
    assert (done.returncode, problems(done.stderr)) == (0, [])


def test_a_locale_without_our_characters_changes_no_document_and_stops_nobody(tmp_path: Path) -> None:
    starter = (Path(pipeline.__file__).parent / "starter" / "routes.yaml").read_text(encoding="utf-8")
    assert not starter.isascii()
    for encoding in ("latin-1", "ascii"):
        piped = shell(f"PYTHONIOENCODING={encoding} routegen init -", tmp_path)
        assert (piped.returncode, piped.stdout) == (0, starter), piped.stderr
    shown = shell(f"PYTHONIOENCODING=latin-1 {PTY} -m routegen init -", tmp_path)
    assert shown.stdout.replace("\r", "") == starter.encode("latin-1", "replace").decode("latin-1")


@pytest.mark.parametrize("verb", ["validate", "render", "lint", "explain --no-poll", "test cases.yaml"])
def test_ctrl_c_is_no_answer(verb: str, tmp_path: Path) -> None:
    """130, as shells have it: 1 would be a finding or a case that failed."""
    command = [sys.executable, "-m", "routegen", *verb.split(), "-f", "-"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b"#" * (1 << 17))  # more than a pipe holds: once it is written, the verb is reading
        process.stdin.flush()
        time.sleep(0.2)  # a signal just before read() is entered is seen when it returns
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
        assert process.stdout is not None
        assert process.stderr is not None
        said = (process.stdout.read(), process.stderr.read().strip())
    assert (process.returncode, said) == (130, (b"", b"routegen: interrupted"))


def test_a_mock_engine_on_a_port_that_cannot_be_had_is_a_sentence(tmp_path: Path) -> None:
    program = f"{sys.executable} -m routegen.mock_engine"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        busy = shell(f"{program} --port {number}", tmp_path)
    assert busy.returncode == 1
    assert busy.stderr == (
        f"python -m routegen.mock_engine: can't listen on 127.0.0.1:{number}: Address already in use; "
        "choose another --port\n"
    )
    none = shell(f"{program} --port 99999", tmp_path)
    assert none.returncode == 2
    assert none.stderr.endswith("error: argument --port: invalid port value: '99999'\n")


def test_a_large_file_is_refused_before_it_is_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_bytes(b"#" * (pipeline.MAX_BYTES + 1))
    assert "is larger than" in shell("routegen validate", tmp_path).stderr
    file.write_bytes(b"#" * pipeline.MAX_BYTES)
    assert "is empty" in shell("routegen validate", tmp_path).stderr


def problems(stderr: str) -> list[str]:
    """What was said that is not a note."""
    return [line for line in stderr.splitlines() if ": note: " not in line]


def test_init_makes_the_folder_that_its_file_goes_to(tmp_path: Path) -> None:
    done = shell("routegen init team-a/routes.yaml && routegen validate -f team-a/routes.yaml", tmp_path)
    assert (done.returncode, problems(done.stderr)) == (0, [])


def test_init_writes_to_standard_output_for_a_dash(tmp_path: Path) -> None:
    done = shell("set -o pipefail; routegen init - | routegen validate -f -", tmp_path)
    assert (done.returncode, problems(done.stderr)) == (0, [])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_full_of_other_files_is_not_listed_to_the_end_nor_searched_below(tmp_path: Path) -> None:
    assert shell("routegen init", tmp_path).returncode == 0
    for number in range(20):
        (tmp_path / f"{number:02}.yaml").write_text("")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "deep.yaml").write_text("")
    said = shell("routegen render --output-dir .", tmp_path).stderr
    assert ". holds 22 more, left alone: 00.yaml, 01.yaml, 02.yaml, 03.yaml, 04.yaml, …\n" in said


def test_ctrl_c_while_modules_are_loaded_ends_the_program_without_a_traceback(tmp_path: Path) -> None:
    """The signal comes while click, which everything needs, is imported."""
    (tmp_path / "click.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(30)\n")
    # A test that runs in the background inherits that the signal is ignored.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heard}; import sys; sys.path.insert(0, {str(tmp_path)!r}); from routegen.__main__ import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        time.sleep(0.05)  # into the sleep
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (-signal.SIGINT, "")
