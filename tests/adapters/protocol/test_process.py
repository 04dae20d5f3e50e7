import contextlib
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapmerge import (
    Answer,
    Count,
    Died,
    Done,
    Events,
    Hold,
    OperationError,
    Pending,
    Request,
    Requests,
    Reset,
)
from snapmerge_adapters import Process, Unavailable

GREETING = (
    'print(\'{"snapmerge": 1, "capabilities": {"operations": ["events", "reset"], "about": "toy"}}\', flush=True)'
)

Program = Callable[..., Process]


@pytest.fixture
def program() -> Iterator[Program]:
    """Runs a Python program that greets first; ``body`` is what it does then."""
    with ExitStack() as stack:

        def run(body: str, *, greeting: str = GREETING, timeout: float = 10.0) -> Process:
            text = f"import sys, os, json, time\n{greeting}\n{textwrap.dedent(body)}"
            process = Process([sys.executable, "-c", text], timeout=timeout, start_timeout=10.0)
            stack.callback(process.close)
            return process

        yield run


def test_it_asks_and_hears(program: Program) -> None:
    process = program(
        """
        for line in sys.stdin:
            request = json.loads(line)
            if "close" in request:
                break
            word = request["do"].split()[0]
            print(json.dumps({"saw": "7"} if word == "events" else {"illegal": "no"}), flush=True)
        """
    )
    assert process.capabilities.about == "toy"
    assert process.apply(Events("dev")) == Count(7)
    with pytest.raises(OperationError, match="no"):
        process.apply(Reset())
    process.close()
    process.close()


@pytest.mark.spec("CONTROL-11")
def test_a_program_may_have_disks_under_control(program: Program) -> None:
    process = program(
        """
        replies = {
            "hold": {"saw": "cow:flush ended:2"},
            "answer cow:flush error": {"illegal": "no such request"},
            "pending": {"saw": "gibberish"},
        }
        for line in sys.stdin:
            print(json.dumps(replies[json.loads(line)["do"]]), flush=True)
        """,
        greeting=GREETING.replace('"about"', '"features": ["controlled"], "about"'),
    )
    flush = Request("cow", "flush")
    assert process.control(Hold()) == Requests((flush,), (2,))
    with pytest.raises(OperationError, match="no such request"):
        process.control(Answer(flush, error=True))
    died = process.control(Pending())
    assert isinstance(died, Died)
    assert "not a request: 'gibberish'" in died.text


def test_a_program_without_disks_under_control_is_not_asked(program: Program) -> None:
    process = program("time.sleep(60)")
    with pytest.raises(OperationError, match="has no disks under control"):
        process.control(Hold())


def test_pieces_are_put_together(program: Program) -> None:
    process = program(
        r"""
        sys.stdin.readline()
        print('{"part": "{\\"saw\\": "}')
        print('{"last": "\\"8\\"}"}', flush=True)
        sys.stdin.readline()
        """
    )
    assert process.apply(Events("dev")) == Count(8)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("sys.stdin.readline(); print('so sad', file=sys.stderr); sys.exit(3)", "it ended with status 3\nso sad"),
        ("sys.stdin.readline(); os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("sys.stdin.readline(); os.kill(os.getpid(), 40)", "killed by signal 40"),
        ("sys.stdin.readline(); print('what?', flush=True); time.sleep(60)", "not a message: 'what?'"),
        ("sys.stdin.readline(); print('{}', flush=True); time.sleep(60)", "not a reply"),
        ('sys.stdin.readline(); print(\'{"saw": "gibberish here"}\', flush=True); time.sleep(60)', "not an outcome"),
        ("sys.stdin.close(); os.close(0); os.close(1); time.sleep(60)", "closed its output"),
    ],
)
def test_its_death_is_told(program: Program, body: str, word: str) -> None:
    process = program(body)
    seen = process.apply(Events("dev"))
    assert isinstance(seen, Died)
    assert seen.text.startswith("events dev: ")
    assert word in seen.text
    assert process.apply(Events("dev")) == seen


ONE_ANSWER = 'sys.stdin.readline(); print(\'{"saw": "ok"}\', flush=True)'


def test_a_reset_starts_what_has_died_anew(program: Program) -> None:
    process = program(ONE_ANSWER)
    for _ in range(2):
        assert process.apply(Reset()) == Done()
        assert isinstance(process.apply(Events("dev")), Died)


def test_a_reset_starts_what_was_closed_anew(program: Program) -> None:
    process = program(ONE_ANSWER)
    process.close()
    with pytest.raises(Unavailable, match=f"^{Path(sys.executable).name} was closed: reset starts it anew$"):
        process.apply(Events("dev"))
    assert process.apply(Reset()) == Done()


def test_what_was_closed_and_has_no_reset_is_over(program: Program) -> None:
    process = program(ONE_ANSWER, greeting=GREETING.replace(', "reset"', ""))
    process.close()
    with pytest.raises(Unavailable, match=r"was closed: make another Process$"):
        process.apply(Reset())


def test_it_is_closed_at_the_end_of_a_block() -> None:
    with Process([sys.executable, "-c", GREETING + "; input()"]) as process:
        assert process.capabilities.about == "toy"
    with pytest.raises(Unavailable, match="was closed"):
        process.apply(Events("dev"))


def test_its_own_word_of_death_is_kept(program: Program) -> None:
    process = program('sys.stdin.readline(); print(\'{"died": "panic"}\', flush=True); time.sleep(60)')
    assert process.apply(Events("dev")) == Died("panic")


def test_a_hang_is_bounded(program: Program) -> None:
    process = program("time.sleep(60)", timeout=0.2)
    before = time.monotonic()
    seen = process.apply(Events("dev"))
    assert isinstance(seen, Died)
    assert "hang: no answer within 0.2 s" in seen.text
    assert time.monotonic() - before < 5


def test_the_fields_of_a_greeting_have_no_order(program: Program) -> None:
    greeting = """print('{noise}\\n\\ufeff { "capabilities": {"about": "toy"}, "snapmerge" : 1 }', flush=True)"""
    assert program("sys.stdin.read()", greeting=greeting).capabilities.about == "toy"


def test_a_program_that_does_not_greet(program: Program) -> None:
    with pytest.raises(Unavailable, match="ended with status 1"):
        program("sys.exit(1)", greeting="")


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(Unavailable, match="can't be run"):
        Process(["no-such-program"])


def test_its_children_end_with_it(program: Program, tmp_path: Path) -> None:
    note = tmp_path / "child"
    process = program(
        f"""
        child = os.fork()
        if child == 0:
            time.sleep(60)
        open({str(note)!r}, "w").write(str(child))
        print('{{"saw": "1"}}', flush=True)
        sys.stdin.read()
        """
    )
    process.apply(Events("dev"))
    child = Path("/proc", note.read_text(), "stat")
    process.close()
    _wait_until_gone(child.parent.name)


def test_its_environment_and_folder(tmp_path: Path) -> None:
    greeting = GREETING.replace('"toy"', "\"' + os.environ['WHO'] + os.getcwd() + '\"")
    command = [sys.executable, "-c", f"import os, sys\n{greeting}\nsys.stdin.read()"]
    process = Process(command, env={"WHO": "me", "PATH": os.environ["PATH"]}, cwd=tmp_path)
    process.close()
    assert process.capabilities.about == f"me{tmp_path}"


HOSTILE = {
    "it stops reading": ("time.sleep(60)", "hang: no answer within 0.5 s"),
    "it stops reading and floods its output": (
        "while True: print('[' * 60000, flush=True)",
        "said more than its answer|not a message|hang|a line of more than",
    ),
    "it sends pieces without end": ("""while True: print('{"part": "' + 'x' * 60000 + '"}')""", "hang|in pieces"),
    "it sends empty pieces without end": ("""while True: print('{"part": ""}')""", "hang|in pieces"),
    "it sends a line without end": ("while True: sys.stdout.write('x' * 1000000)", "hang|a line of more than"),
    "it floods its standard error": ("while True: sys.stderr.write('x' * 1000000)", "hang"),
    "it answers twice in one message": ("""print('{"saw": "7", "died": "no"}')""", "it has saw and died"),
    "it repeats a field": ("""print('{"saw": "7", "saw": "8"}')""", "two fields 'saw'"),
    "it is no text": ("sys.stdout.buffer.write(b'\\xff\\xfe{}\\n')", "not a message"),
    "it answers with a number": ("""print('{"saw": 7}')""", "saw should be a string: 7"),
    "it nests": ("print('{\"saw\": ' + '[' * 100000)", "not a message"),
    "a message interrupts its pieces": ("""print('{"part": "{"}\\n{"saw": "7"}')""", "between the pieces"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_dies_in_time(name: str, program: Program) -> None:
    body, word = HOSTILE[name]
    read = "" if "stops reading" in name else "sys.stdin.readline()"
    process = program(f"{read}\n{body}\nsys.stdout.flush()\ntime.sleep(60)", timeout=0.5)
    before = time.monotonic()
    # The device's name is longer than a pipe holds.
    seen = process.apply(Events("d" * 3_000_000 if "stops reading" in name else "dev"))
    assert isinstance(seen, Died)
    assert re.search(word, seen.text), seen.text
    assert time.monotonic() - before < 8
    assert len(seen.text) < 30_000
    assert seen.text.replace("\n", "").isprintable()


def test_an_answer_too_many_is_no_answer_to_the_next_question(program: Program) -> None:
    process = program(
        """
        for line in sys.stdin:
            os.write(1, b'{"saw": "7"}\\n{"saw": "8"}\\n')
        """
    )
    assert process.apply(Events("dev")) == Count(7)
    seen = process.apply(Events("dev"))
    assert isinstance(seen, Died)
    assert "it has said more than its answer" in seen.text


def test_what_it_says_is_bounded_and_escaped(program: Program) -> None:
    process = program(
        r"""
        sys.stdin.readline()
        sys.stderr.write("\x1b[31mred\x1b[0m\r\u202e\n" + "x" * 5000)
        sys.stderr.flush()
        print(json.dumps({"illegal": "\x1b]0;title\x07" + "y" * 5000}), flush=True)
        sys.stdin.readline()
        print(json.dumps({"died": "\x1b[2J" + "line\n" * 500}), flush=True)
        """
    )
    with pytest.raises(OperationError) as caught:
        process.apply(Reset())
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1100
    seen = process.apply(Reset())
    assert isinstance(seen, Died)
    lines = seen.text.split("\n")
    assert len(lines) == 60
    assert lines[0] == r"\x1b[2Jline"
    assert "... (441 more lines)" in lines


RUNAWAY = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        open({note!r}, "w").write(str(os.getpid()))
        time.sleep(60)
    os._exit(0)
os.wait()
while not os.path.exists({note!r}) or not open({note!r}).read():
    pass
"""


def _wait_until_gone(pid: str) -> None:
    stat = Path("/proc", pid, "stat")
    deadline = time.monotonic() + 8
    with contextlib.suppress(OSError):
        while stat.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline, "a child outlived its program"


@pytest.mark.parametrize("end", ["close", "death", "exit", "kill"])
def test_children_in_sessions_of_their_own_end_with_it(end: str, program: Program, tmp_path: Path) -> None:
    note = tmp_path / "child"
    body = RUNAWAY.format(note=str(note))
    if end == "kill":  # of whoever runs the program
        text = f"{GREETING}\n{body}\nimport sys; sys.stdin.read()"
        script = f"""
import sys
from snapmerge_adapters import Process
Process([sys.executable, "-c", {text!r}])
print(flush=True)
sys.stdin.read()
"""
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        owner = subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1, env=env)
        with owner:
            assert owner.stdout is not None
            owner.stdout.readline()
            while not note.exists() or not note.read_text():
                assert owner.poll() is None
            owner.kill()
    else:
        last = "os._exit(3)" if end == "exit" else "print('{}', flush=True)" if end == "death" else "pass"
        answer = 'print(\'{"saw": "1"}\', flush=True)' if end == "close" else last
        process = program(f"{body}\nsys.stdin.readline()\n{answer}\nsys.stdin.read()")
        process.apply(Events("dev"))
        if end == "close":
            process.close()
    _wait_until_gone(note.read_text())


@given(st.lists(st.sampled_from([
    b"\n", b"{}", b'{"saw": "ok"}\n', b'{"part": "{\\"saw\\": \\""}\n', b'{"last": "ok\\"}"}\n', b'{"illegal": "no"}\n',
    b'{"died": "x"}\n', b'{"saw": null}\n', b"\xff", b"\0", b"[[", b'"', b'{"saw": "ok", "died": ""}\n', b"1e999\n",
    b'{"saw": "\\ud800"}\n', b'{"snapmerge": 1}\n',
]), max_size=6))  # fmt: skip
@settings(max_examples=40)
def test_whatever_it_says_there_is_an_outcome(pieces: list[bytes]) -> None:
    text = f"{GREETING}\nimport sys, os\nsys.stdin.readline()\nos.write(1, {b''.join(pieces)!r})"
    process = Process([sys.executable, "-I", "-S", "-c", text], timeout=10.0)
    try:
        for _ in range(3):
            with contextlib.suppress(OperationError):
                assert process.apply(Reset()) is not None
    finally:
        process.close()
