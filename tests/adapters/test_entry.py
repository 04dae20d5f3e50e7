"""What fails before the command has begun: one line, and never 1, which is a divergence."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.adapters.cli.test_main import PROGRAM, environment

import snapmerge_adapters
from snapmerge_adapters import entry as _entry

CLI = "snapmerge_adapters.cli.main"


class Failing:
    """Makes the import of one module fail."""

    def __init__(self, name: str, error: BaseException) -> None:
        self.name, self.error = name, error

    def find_spec(self, name: str, *_: object) -> None:
        if name == self.name:
            raise self.error


ERRORS = [
    (ImportError("No module named 'immutables'"), 2, "can't start: No module named 'immutables'"),
    (OSError(24, "Too many open files", "a.py"), 2, "can't start: a.py: Too many open files"),
    (OSError("odd"), 2, "can't start: odd"),
    (MemoryError(), 2, "can't start: there is not enough memory"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (KeyboardInterrupt(15), 143, "ended by SIGTERM"),
    (ValueError("odd"), 2, "ValueError: odd; this is a defect of snapmerge itself"),
]


@pytest.mark.parametrize(("error", "code", "says"), ERRORS, ids=[repr(error) for error, *_ in ERRORS])
def test_what_fails_while_it_is_imported(
    error: BaseException, code: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, CLI, raising=False)

    monkeypatch.setattr(sys, "meta_path", [Failing(CLI, error), *sys.meta_path])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert _entry.main() == code
    assert capsys.readouterr() == ("", f"snapmerge: {says}\n")


@pytest.mark.parametrize("arguments", [["--version"], ["judge", "-"], ["check", "--runs", "1"]])
def test_a_working_directory_that_is_gone(arguments: list[str], tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    command = ["sh", "-c", 'mkdir "$0" && cd "$0" && rmdir "$0" && exec "$@"', str(gone), *PROGRAM, *arguments]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=60, env=environment(), check=False)
    says = "snapmerge: can't start: the working directory: No such file or directory; change to one that is there\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", says)


def test_an_interrupt_while_it_is_imported() -> None:
    code = (
        "import sys, signal\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'snapmerge_specs': signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from snapmerge_adapters.entry import main\n"
        "sys.exit(main())\n"
    )
    command = [sys.executable, "-c", code, "check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment(), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "snapmerge: interrupted\n")


def test_too_few_file_descriptors() -> None:
    code = (
        "import os, resource, sys\n"
        "from snapmerge_adapters.entry import main\n"
        "os.dup(0)\n"  # 3; a module would be read through 4
        "resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))\n"
        "sys.exit(main())\n"
    )
    command = [sys.executable, "-c", code, "check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment(), check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("snapmerge: can't start: ")
    assert done.stderr.endswith(".py: Too many open files\n")


@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full"])
def test_a_standard_error_that_takes_nothing(stream: str, tmp_path: Path) -> None:
    gone = f'mkdir "$0" && cd "$0" && rmdir "$0" && exec "$@" --version {stream}'
    command = ["sh", "-c", gone, str(tmp_path / "gone"), *PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment(), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


def test_what_the_package_has_is_imported_when_it_is_asked_for() -> None:
    for name in snapmerge_adapters.__all__:
        assert getattr(snapmerge_adapters, name).__name__.casefold() == name.casefold()
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        snapmerge_adapters.nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_the_command_begins_without_hypothesis() -> None:
    code = "import sys, snapmerge_adapters.cli.main; sys.exit('hypothesis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, env=environment(), check=False).returncode == 0
