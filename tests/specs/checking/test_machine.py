"""The Hypothesis machine, run on the model: it agrees with itself, and a mistake is shrunk and told as by a check."""

import ast
import gc
import re
import sys
import unittest
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from snapmerge import Capabilities, Operation, OperationError, Outcome, Write, operation_word, parse_operation
from snapmerge_adapters import Memory, Process
from snapmerge_specs import DEFECTS, DivergenceError, LockstepMachine, VerdictError, assert_agrees


class Agreeing(LockstepMachine):
    implementation = staticmethod(Memory)


class Forgetful(Memory):
    """Has disks only, and loses what a write has beyond its fortieth sector."""

    applied = 0

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, operations=frozenset({"disk", "write", "read", "flush", "reset"}))

    def apply(self, operation: Operation) -> Outcome:
        Forgetful.applied += 1
        if isinstance(operation, Write) and operation.count > 40:
            return super().apply(Write(operation.where, operation.sector, type(operation.count)(40), operation.tag))
        return super().apply(operation)


class Bad(LockstepMachine):
    implementation = staticmethod(Forgetful)


REPORT = """\
DIVERGED from the model; the shortest trace that was found:

disk base 41 -> ok
write base 0 41 #1 -> ok
read base 40 1 -> #0

allowed   #41
seen      #0
breaks    PROMISE-1: a disk does not hold what was written to it
replay    snapmerge_specs.assert_agrees('disk base 41\\nwrite base 0 41 #1\\nread base 40 1', Bad.implementation)
"""


def test_the_model_agrees_with_its_oracle() -> None:
    few = settings(Agreeing.TestCase.settings, max_examples=20, stateful_step_count=15)
    run_state_machine_as_test(Agreeing, settings=few)


def test_a_mistake_is_shrunk_and_told_as_by_a_check(capsys: pytest.CaptureFixture[str]) -> None:
    Forgetful.applied = 0
    with pytest.raises(DivergenceError) as caught:
        run_state_machine_as_test(Bad, settings=settings(Bad.TestCase.settings, derandomize=True, database=None))
    assert re.sub(r"\bcow[0-9]\b", "base", str(caught.value)) == REPORT  # on whichever disk it was found
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert capsys.readouterr().out == ""  # Hypothesis adds nothing
    assert Forgetful.applied < 1_000  # what shrinks does so in some hundred tries of a few operations


WAITS = """\
disk base 16
disk cow 48
create origin "0 16 snapshot-origin base"
create snap "0 16 snapshot base cow P 4"
write base 0 16 #1
write origin 0 4 #101
read snap 0 4"""


class Drawn(LockstepMachine):
    """Lets origin writes not wait: the schedule says when that shows."""

    implementation = staticmethod(
        partial(Memory, seed=2, rules=next(defect.rules for defect in DEFECTS if defect.name == "never waits"))
    )


def test_a_schedule_that_was_drawn_is_shrunk_and_told() -> None:
    machine = Drawn()
    *before, last = map(parse_operation, WAITS.splitlines())
    for operation in before:
        machine.scenario.lockstep.do(operation)
    with pytest.raises(VerdictError) as met:
        machine.scenario.lockstep.do(last)
    machine._disagreed(met.value)
    with pytest.raises(DivergenceError) as caught:
        machine._tell()
    replay = str(caught.value).splitlines()[-1]
    assert ast.literal_eval(replay.partition("schedule=")[2].removesuffix(")")) == [(), (), (), (), (), ((0, 1),)]


def test_the_replay_line_is_a_regression_test() -> None:
    trace = "disk base 41\nwrite base 0 41 #1\nread base 40 1"
    with pytest.raises(DivergenceError, match="allowed   #41\nseen      #0"):
        assert_agrees(trace, Forgetful())
    assert_agrees(trace, Memory())


DIES = """\
import json, os, sys
disks = 0
print(json.dumps({"snapmerge": 1, "capabilities": {"operations": WORDS}}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if "close" in request:
        break
    word = request["do"].split()[0]
    if DEADLY:
        sys.exit("no more")
    disks = 0 if word == "reset" else disks + (word == "disk")
    print('{"saw": "ok"}', flush=True)
"""


def _dying(tmp_path: Path, deadly: str, *words: str) -> Callable[[], Process]:
    """A program with ``disk`` and these words that dies when it is asked for what is deadly."""
    path = tmp_path / "dies.py"
    path.write_text(DIES.replace("WORDS", repr(["disk", "flush", *words])).replace("DEADLY", deadly))
    return partial(Process, [sys.executable, "-I", "-S", str(path)])


def _failure(kind: type[LockstepMachine]) -> str:
    """What the test case says when it fails, and only that; all programs that it has started have ended."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(kind.TestCase)(result)
    gc.collect()  # a program that still runs is a ResourceWarning, which is an error here
    [(_, text)] = [*result.failures, *result.errors]
    return text


@pytest.mark.parametrize("shared", [False, True], ids=["made when needed", "always the same object"])
@pytest.mark.parametrize(
    ("deadly", "words", "trace"),
    [
        ('word == "flush"', ["reset"], r"disk \w+ 1 -> ok\nflush \w+ -> died"),
        ('word == "flush"', [], r"disk \w+ 1 -> ok\nflush \w+ -> died"),
        ('word == "reset" and disks > 1', ["reset"], r"disk \w+ 1 -> ok\ndisk \w+ 1 -> ok\nreset -> died"),
        ('word == "reset"', ["reset"], r"reset -> died"),
    ],
)
def test_a_program_that_dies_is_told_as_by_a_check(
    tmp_path: Path, deadly: str, words: list[str], trace: str, *, shared: bool
) -> None:
    make = _dying(tmp_path, deadly, *words)
    with make() as program:

        class Dying(LockstepMachine):
            implementation = staticmethod((lambda: program) if shared else make)

        text = _failure(Dying)
    if shared and not words:
        assert "TypeError: an implementation without reset is made anew for each scenario, not given again" in text
        return
    assert re.search(rf"\n\n{trace}\n\nallowed   ok\nseen      died\n          .*\n          no more\n", text), text
    assert re.search(r"replay    snapmerge_specs.assert_agrees\('.*', Dying.implementation\)\n", text)
    assert "Flaky" not in text


@pytest.mark.parametrize(
    ("refused", "says"),
    [
        ({"disk", "write", "read", "flush"}, r"nothing was checked: \d+ operations refused; the first: disk .*: no"),
        ({"write", "read", "flush"}, r"nothing was checked: \d+ operations refused; the first: \w+ .*: no"),
        ({"read"}, None),
    ],
)
def test_one_that_refuses_everything_has_not_passed(refused: set[str], says: str | None) -> None:
    class Refusing(Forgetful):
        def apply(self, operation: Operation) -> Outcome:
            if operation_word(operation) in refused:
                raise OperationError("no")
            return Memory.apply(self, operation)

    class Refused(LockstepMachine):
        implementation = staticmethod(Refusing)

    Refused.TestCase.settings = settings(Refused.TestCase.settings, max_examples=5, database=None)
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Refused.TestCase)(result)
    assert result.testsRun == 1
    texts = [text for _, text in (*result.failures, *result.errors)]
    assert len(texts) == (says is not None)
    assert says is None or re.search(says, texts[0])


def test_one_that_has_too_little_has_not_passed() -> None:
    class Little(Memory):
        @property
        def capabilities(self) -> Capabilities:
            return replace(super().capabilities, operations=frozenset({"disk", "reset"}))

    class TooLittle(LockstepMachine):
        implementation = staticmethod(Little)

    TooLittle.TestCase.settings = settings(TooLittle.TestCase.settings, max_examples=5, database=None)
    assert "nothing was checked: the capabilities of the implementation name too little" in _failure(TooLittle)


def test_what_happens_once_is_told_all_the_same(tmp_path: Path) -> None:
    lock = tmp_path / "met"
    deadly = f'word == "flush" and not os.path.exists({str(lock)!r}) and not open({str(lock)!r}, "w").close()'

    class Once(LockstepMachine):
        implementation = staticmethod(_dying(tmp_path, deadly, "reset"))

    text = _failure(Once)
    assert "flush" in text
    assert "seen      died" in text
    assert "Flaky" not in text


def test_a_regression_test_closes_what_it_makes(tmp_path: Path) -> None:
    with pytest.raises(DivergenceError, match="seen      died"):
        assert_agrees("disk base 1\nflush base", _dying(tmp_path, 'word == "flush"'))
    with pytest.raises(DivergenceError, match="reset -> died"):
        assert_agrees("disk base 1\nflush base", _dying(tmp_path, 'word == "reset"', "reset"))
    assert_agrees("disk base 1\nflush base", _dying(tmp_path, "False"))
    gc.collect()
