"""Standard streams that are closed or full: the exit code still tells, and one line where one can be written."""

import subprocess
from pathlib import Path

import pytest
from tests.adapters.cli.test_main import PROGRAM, environment

FULL = "snapmerge: standard output: No space left on device\n"
CLOSED = "snapmerge: standard output is closed\n"
CASES = [
    ("judge a.trace", ">/dev/full", 2, FULL),
    ("judge a.trace", ">&-", 2, CLOSED),
    ("judge a.trace", "2>&- >/dev/null", 0, ""),
    ("judge a.trace", "2>/dev/full >/dev/null", 0, ""),
    ("judge a.trace b.trace", ">/dev/null 2>/dev/full", 2, ""),
    ("judge --json a.trace", ">/dev/full 2>/dev/full", 2, ""),
    ("judge -", "<&-", 2, "snapmerge: <stdin>: can't be read: it is closed\n"),
    ("judge -", "<&- >&- 2>&-", 2, ""),
    ("replay --json b.trace", ">/dev/full", 2, "snapmerge: b.trace: can't be read: No such file or directory\n"),
    ("serve", "<&-", 2, "snapmerge: standard input is closed; requests are read from there\n"),
    ("serve", ">&-", 2, CLOSED),
    ("--help", ">/dev/full", 2, FULL),
    ("--version", ">&-", 2, CLOSED),
    ("frob", "2>/dev/full", 2, ""),
]


@pytest.mark.parametrize(("words", "streams", "code", "says"), CASES, ids=[f"{one[0]} {one[1]}" for one in CASES])
def test_a_stream_that_fails(words: str, streams: str, code: int, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.trace").write_text("disk base 8\n")
    command = ["sh", "-c", f'exec "$@" {words} {streams}', "sh", *PROGRAM]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, cwd=tmp_path,
        env={**environment(), "PYTHONUNBUFFERED": ""}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (code, "", says)


def test_help_that_can_not_be_written_at_once() -> None:
    command = ["sh", "-c", 'exec "$@" --help >/dev/full', "sh", *PROGRAM]
    env = {**environment(), "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, check=False)
    assert (done.returncode, done.stderr) == (2, FULL)
