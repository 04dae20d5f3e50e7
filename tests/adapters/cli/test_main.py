import io
import json
import os
import signal
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest

from snapmerge_adapters.cli.main import main
from snapmerge_adapters.cli.parser import SHELLS

COMMANDS = ("check", "replay", "judge", "script", "kernels", "serve", "completion")
PROGRAM = [sys.executable, "-c", "import sys; from snapmerge_adapters.entry import main; sys.exit(main())"]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def run(*arguments: str, text: str = "") -> "subprocess.CompletedProcess[str]":
    command = [*PROGRAM, *arguments]
    return subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=60, env=environment(), check=False
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_and_exit_codes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"\n  snapmerge {command}" in out or f"| snapmerge {command}" in out
    assert "exit codes:" in out


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n    {command}" in out for command in COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("snapmerge ")


BAD: list[tuple[list[str], str]] = [
    ([], "required"),
    (["frob"], "invalid choice: 'frob'"),
    (["check", "--runs", "0"], "not a number from 1"),
    (["check", "--runs", "many"], "'many'"),
    (["check", "--runs", "9" * 5000], "not a number from 1"),
    (["check", "--seed", "-1"], "--seed"),
    (["check", "--adapter", "magic"], "invalid choice: 'magic'"),
    (["check", "--"], "there is no command"),
    (["check", "--adapter", "file", "--", "true"], "both --adapter file and a command"),
    (["judge"], "TRACE"),
    (["judge", "x", "--", "true"], "judge takes no command after --"),
    (["replay", "/nonexistent/trace"], "/nonexistent/trace: can't be read: No such file"),
    (["script", "/nonexistent/trace"], "/nonexistent/trace: can't be read: No such file"),
    (["check", "--adapter", "devicemapper"], "--disk"),
    (["check", "--kernel", "x"], "--kernel is not for --adapter file; it is for --adapter guest"),
    (["serve", "--adapter", "memory", "--directory", "x"], "--directory is not for --adapter memory"),
    (["check", "--", "/nonexistent/program"], "/nonexistent/program can't be run"),
    (["check", "--adapter", "guest", "--kernel", "/nonexistent/linux"], "/nonexistent/linux is no program"),
    (["serve", "--directory", "/dev/null/x"], "/dev/null/x"),
    (["serve", "--directory", ""], "--directory has no name"),
    (["check", "--adapter", "guest", "--kernel", "cat"], "is no user-mode Linux: it calls itself 'cat "),
    (["completion", "csh"], "invalid choice: 'csh'"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(words)[:40] for words, _ in BAD])
def test_bad_input_is_one_line_and_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    def check(make: "object", **_: object) -> None:
        assert callable(make)
        make()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("snapmerge_adapters.cli.check.check", check)
        assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("snapmerge")
    assert message in err


@pytest.mark.parametrize("arguments", [["check", "--runs", "x" * 9999], ["x\ny" * 9999], ["findings", "x" * 9999]])
def test_an_argument_is_not_repeated_at_length(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert len(err) < 600


def test_an_error_is_an_object_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--json", "/nonexistent/trace"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["error"].startswith("/nonexistent/trace: ")
    assert err.count("\n") == 1


def ended_with(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    def fail(_options: Namespace) -> int:
        raise error

    code = main(["kernels"], {"kernels": fail})
    return code, capsys.readouterr().err


def test_an_interrupt_is_one_line_and_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended_with(KeyboardInterrupt(), capsys) == (130, "snapmerge: interrupted\n")


def test_a_defect_is_no_divergence(capsys: pytest.CaptureFixture[str]) -> None:
    code, err = ended_with(ZeroDivisionError("odd"), capsys)
    assert code == 2
    assert "ZeroDivisionError: odd" in err
    assert "defect of snapmerge itself" in err


def test_a_system_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    error = OSError(28, "No space left on device", "/some/image")
    assert ended_with(error, capsys) == (2, "snapmerge: /some/image: No space left on device\n")


def test_too_little_memory_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended_with(MemoryError(), capsys) == (2, "snapmerge: there is not enough memory for this\n")


def test_a_termination_ends_from_inside(capsys: pytest.CaptureFixture[str]) -> None:
    closed = []

    def hang(_options: Namespace) -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            closed.append(True)
        return 0

    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        assert main(["kernels"], {"kernels": hang}) == 143
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)
    assert closed == [True]
    assert capsys.readouterr().err == "snapmerge: ended by SIGTERM\n"


def test_serve_answers_the_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    requests = b'{"do": "disk base 8"}\n{"do": "read base 0 8"}\n{"do": "resume x"}\n{"close": true}\n'
    said = io.BytesIO()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(requests)))
    monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=said))
    assert main(["serve"]) == 0
    hello, *replies = map(json.loads, said.getvalue().splitlines())
    assert "snapshot-merge" in hello["capabilities"]["targets"]
    assert replies == [{"saw": "ok"}, {"saw": "#0x8"}, {"saw": "error ENXIO"}]


def test_serve_keeps_images_in_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for request, reply in (("disk base 8", "ok"), ("read base 0 8", "#0x8")):
        said = io.BytesIO()
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(f'{{"do": "{request}"}}\n'.encode())))
        monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=said))
        assert main(["serve", "--directory", str(tmp_path)]) == 0
        assert json.loads(said.getvalue().splitlines()[-1]) == {"saw": reply}


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_knows_commands_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert all(command in out for command in COMMANDS)
    assert "schedule-seed" in out
    assert "misaligned-discard" in out  # the id of a finding


def test_bash_accepts_its_completion(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "completion"
    script.write_text(capsys.readouterr().out)
    assert subprocess.run(["bash", "-n", script], check=False, timeout=30).returncode == 0


# --- through a process of its own --------------------------------------------------------------------------------


def test_the_program_judges_standard_input() -> None:
    done = run("judge", "-", text="disk base 8\nread base 0 8 -> #0x7 #1\n")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        "<stdin>: diverged at line 2: read base 0 8: allowed #0x8, seen #0x7 #1",
        (
            "    promise broken at line 2: a disk does not hold what was written to it (PROMISE-1): "
            "read base 0 8: sector 7 holds #1, and may hold #0"
        ),
    ]


def test_the_program_replays_on_itself_as_a_command(tmp_path: Path) -> None:
    trace = tmp_path / "a.trace"
    trace.write_text("disk base 8\nread base 0 8 -> #0x8\n")
    done = run("replay", str(trace), "--", *PROGRAM, "serve", "--adapter", "memory")
    assert (done.returncode, done.stderr) == (0, "")
    assert "the model in memory agrees with the model in all 2 steps" in done.stdout


def test_the_program_copes_with_any_name_and_locale(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/a\xff\xc3\xa9.trace")
    Path(name).write_text("disk base 8\n")
    env = {**environment(), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*PROGRAM, "judge", name], capture_output=True, timeout=60, env=env, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(b"\\udcff\\xe9.trace: ok\n")


def test_an_interrupted_program_leaves_nothing(tmp_path: Path) -> None:
    env = {**environment(), "TMPDIR": str(tmp_path)}
    child = subprocess.Popen(
        [*PROGRAM, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith(b'{"snapmerge"')
        assert list(tmp_path.iterdir()) != []
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=30)
    assert (child.returncode, err) == (130, b"snapmerge: interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_program_that_is_ended_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    env = {**environment(), "TMPDIR": str(tmp_path)}
    child = subprocess.Popen(
        [*PROGRAM, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith(b'{"snapmerge"')
        assert list(tmp_path.iterdir()) != []
        child.send_signal(number)
        _, err = child.communicate(timeout=30)
    assert (child.returncode, err) == (128 + number, f"snapmerge: ended by {number.name}\n".encode())
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_is_no_error(tmp_path: Path) -> None:
    trace = tmp_path / "a.trace"
    trace.write_text("disk base 8\n" + "read base 0 8\n" * 4000)
    child = subprocess.Popen(
        [*PROGRAM, "replay", str(trace)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    with child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 128 + signal.SIGPIPE


def test_arguments_that_can_not_be_parsed_are_said_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", "--runs", "x"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["command"] == "check"
    assert json.loads(out)["error"].startswith("argument --runs: not a number")
    assert err == f"snapmerge check: {json.loads(out)['error']}\n"
    assert main(["check", "--runs", "x", "--", "--json"]) == 2
    assert capsys.readouterr().out == ""
