import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from snapmerge import Count, Died, Events, OperationError, Reset
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
    assert process.apply(Reset()) == seen


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
    deadline = time.monotonic() + 5
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline, "the child outlived its program"


def test_its_environment_and_folder(tmp_path: Path) -> None:
    greeting = GREETING.replace('"toy"', "\"' + os.environ['WHO'] + os.getcwd() + '\"")
    command = [sys.executable, "-c", f"import os, sys\n{greeting}\nsys.stdin.read()"]
    process = Process(command, env={"WHO": "me", "PATH": os.environ["PATH"]}, cwd=tmp_path)
    process.close()
    assert process.capabilities.about == f"me{tmp_path}"
