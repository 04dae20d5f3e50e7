"""The Hypothesis machine, run on the model: it agrees with itself, and a mistake is shrunk and told as by a check."""

import ast
import re
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from snapmerge import Capabilities, Operation, Outcome, Write, parse_operation
from snapmerge_adapters import Memory
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
replay    snapmerge_specs.assert_agrees('disk base 41\\nwrite base 0 41 #1\\nread base 40 1', Bad.implementation())
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
