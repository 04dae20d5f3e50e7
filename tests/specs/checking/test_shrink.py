"""Shrinking leaves out what is not needed, makes numbers smaller, and keeps to what it may cost."""

from collections.abc import Callable
from itertools import count as counting

import pytest
from hypothesis import given
from hypothesis import strategies as st

import snapmerge as sm
from snapmerge import (
    Finish,
    Operation,
    OperationError,
    Session,
    Step,
    operate,
    parse_trace,
    print_operation,
)
from snapmerge_adapters import Memory
from snapmerge_specs import DEFECTS, Lockstep, ScheduledStep, choices_of, follow, shrink
from snapmerge_specs.checking.replay import again, shrunk
from snapmerge_specs.lockstep.report import DivergenceReport

Steps = tuple[Step, ...]

MERGE = """
disk base 256
disk cow 600
disk spare 64
write base 0 256 #1
create origin "0 256 snapshot-origin base"
create snap "0 256 snapshot base cow P 64"
write snap 64 130 #90001
flush snap
suspend origin noflush
suspend snap
load origin "0 256 snapshot-merge base cow P 64"
resume origin
settle origin
start 7 read origin 0 200
finish 7
"""


def _steps(text: str) -> Steps:
    return tuple(parse_trace(text))


def _lines(steps: Steps) -> list[str]:
    return [print_operation(step.operation) for step in steps]


def _all_done(steps: Steps) -> bool:
    """Whether the model does it all, and none of it fails."""
    session = Session.new()
    for step in steps:
        try:
            result, session = operate(session, step.operation)
        except OperationError:
            return False
        if not isinstance(result, sm.Done | sm.Raw):
            return False
    return True


def _if_merged(steps: Steps) -> Steps | None:
    """Whether a snapshot is written and merged, and the origin read after that."""
    operations = [step.operation for step in steps]
    merges = any(isinstance(o, sm.Load) and "snapshot-merge" in o.table for o in operations)
    writes = any(isinstance(o, sm.Write) and o.where == "snap" for o in operations)
    reads = isinstance(operations[-1], sm.Read) if operations else False
    return steps if merges and writes and reads and _all_done(steps) else None


@given(st.sets(st.integers(1, 40), min_size=1, max_size=4))
def test_exactly_what_is_needed_is_left(needed: set[int]) -> None:
    def still_fails(steps: Steps) -> Steps | None:
        return steps if needed <= {s.operation.key for s in steps if isinstance(s.operation, Finish)} else None

    trace = tuple(Step(Finish(number), sm.Count(0)) for number in range(1, 41))
    shrunk = shrink(trace, still_fails)
    assert shrunk == tuple(Step(Finish(number), sm.Count(0)) for number in sorted(needed))


def test_numbers_that_depend_on_each_other_become_smaller_together() -> None:
    trace = _steps(MERGE.replace("start 7 read", "read").replace("finish 7\n", ""))
    assert _lines(shrink(trace, _if_merged)) == [
        "disk base 1",
        "disk cow 3",
        'create origin "0 1 snapshot-origin base"',
        'create snap "0 1 snapshot base cow P 1"',
        "write snap 0 1 #1",
        'load origin "0 1 snapshot-merge base cow P 1"',
        "read origin 0 1",
    ]


@pytest.mark.parametrize(
    ("trace", "needs", "shrunk"),
    [
        ("disk a 900\nwrite a 70 500 #3000", lambda o: o.count >= 33, ["disk a 33", "write a 0 33 #1"]),
        ("disk a 900\nwrite a 70 500 #3000", lambda o: o.sector >= 5, ["disk a 6", "write a 5 1 #1"]),
        ("disk a 900\nwrite a 70 500 #3000", lambda o: o.sector + o.count > 99, ["disk a 100", "write a 99 1 #1"]),
        ("disk a 900\nwrite a 70 500 #3000", lambda o: o.tag > 40, ["disk a 1", "write a 0 1 #41"]),
    ],
)
def test_a_number_is_as_small_as_it_can_be(trace: str, needs: Callable[[sm.Write], bool], shrunk: list[str]) -> None:
    def still_fails(steps: Steps) -> Steps | None:
        last = steps[-1].operation if steps else None
        return steps if isinstance(last, sm.Write) and needs(last) and _all_done(steps) else None

    assert _lines(shrink(_steps(trace), still_fails)) == shrunk


def test_what_need_not_be_started_is_done_at_once() -> None:
    def still_fails(steps: Steps) -> Steps | None:
        return steps if any("snap" in print_operation(step.operation) for step in steps) else None

    assert _lines(shrink(_steps("start 12 flush snap\nfinish 12"), still_fails)) == ["flush snap"]


def test_what_was_seen_stays_with_what_is_left() -> None:
    trace = _steps('disk a 8 -> ok\nread a 0 8 -> #0x8\nstatus d -> "0 8 linear"')
    last: Callable[[Steps], Steps | None] = lambda steps: steps if steps[-1:] == trace[-1:] else None  # noqa: E731
    assert shrink(trace, last) == trace[-1:]


def test_tries_are_bounded() -> None:
    calls: list[int] = []

    def still_fails(steps: Steps) -> Steps | None:
        calls.append(len(steps))
        return None

    trace = tuple(Step(Finish(number), sm.Count(0)) for number in range(30))
    assert shrink(trace, still_fails, tries=7) == trace
    assert len(calls) == 7


def test_time_is_bounded_by_the_clock_that_is_given() -> None:
    clock, heard = counting(), list[tuple[int, int]]()
    trace = tuple(Step(Finish(number), sm.Count(0)) for number in range(30))
    shrunk = shrink(trace, lambda steps: steps, over=lambda: next(clock) >= 2, progress=lambda *now: heard.append(now))
    assert heard == [(1, 15), (2, 0)]
    assert shrunk == ()


def test_the_same_trace_shrinks_the_same_way() -> None:
    tried: list[list[str]] = []

    def still_fails(steps: Steps) -> Steps | None:
        tried.append(_lines(steps))
        return _if_merged(steps)

    one, at = shrink(_steps(MERGE), still_fails), len(tried)
    assert shrink(_steps(MERGE), still_fails) == one
    assert tried[:at] == tried[at:]
    assert len({tuple(lines) for lines in tried[:at]}) == at  # and nothing is tried twice


def test_a_number_in_a_table_of_several_lines_is_found() -> None:
    def still_fails(steps: Steps) -> Steps | None:
        tables = [s.operation.table for s in steps if isinstance(s.operation, sm.Create)]
        two = any(table is not None and table.count("linear") == 2 for table in tables)
        return steps if two and _all_done(steps) else None

    trace = _steps('disk a 500\ncreate d "0 64 linear a 100; 64 64 linear a 300"')
    assert _lines(shrink(trace, still_fails)) == ["disk a 1", 'create d "0 1 linear a 0; 1 1 linear a 0"']


def test_operations_without_numbers_are_left_as_they_are() -> None:
    whole: tuple[Operation, ...] = tuple(
        step.operation
        for step in parse_trace('create d\nload d "0 1 error"\nresume d\nmessage d "x 1"\nstatus d\nreset')
    )
    assert shrink(tuple(map(Step, whole)), lambda steps: steps if len(steps) == 6 else None) == tuple(map(Step, whole))


# --- traces of seeded defects ---------------------------------------------------------------------------------------

LONG = """
disk base 256
disk cow0 600
disk cow1 600
write base 0 256 #1
create origin "0 256 snapshot-origin base"
suspend origin noflush
create snap0 "0 256 snapshot base cow0 P 16"
create snap1 "0 256 snapshot base cow1 P 16"
resume origin
write origin 160 16 #10001
flush origin
write snap0 64 100 #20001
metadata cow0
status snap0
read snap1 0 256
status snap1
table snap1
suspend origin
suspend snap0
load origin "0 256 snapshot-merge base cow0 P 16"
resume origin
settle origin
status origin
events origin
read origin 0 256
"""


@pytest.mark.parametrize(
    ("name", "shrunk_to"),
    [
        (
            "asks first only",
            [
                "disk base 1",
                "disk cow0 2",
                "disk cow1 2",
                'create origin "0 1 snapshot-origin base"',
                'create snap0 "0 1 snapshot base cow0 P 1"',
                'create snap1 "0 1 snapshot base cow1 P 1"',
                "write origin 0 1 #1",
                "read snap1 0 1",
            ],
        ),
        (
            "forgets records",
            [
                "disk base 1",
                "disk cow0 3",
                'create origin "0 1 snapshot-origin base"',
                'create snap0 "0 1 snapshot base cow0 P 1"',
                "write origin 0 1 #1",
                "metadata cow0",
            ],
        ),
        (
            "leaks",
            [
                "disk base 1",
                "disk cow0 3",
                'create origin "0 1 snapshot-origin base"',
                'create snap0 "0 1 snapshot base cow0 P 1"',
                "write origin 0 1 #1",
                "suspend snap0",
                'load origin "0 1 snapshot-merge base cow0 P 1"',
                "resume origin",
                "settle origin",
            ],
        ),
    ],
)
def test_a_long_trace_of_a_defect_becomes_minimal(name: str, shrunk_to: list[str]) -> None:
    rules = next(defect.rules for defect in DEFECTS if defect.name == name)

    def replayed(steps: Steps) -> DivergenceReport | None:
        return again(steps, Lockstep(Memory(rules=rules)), lambda: None)

    first = replayed(_steps(LONG))
    assert first is not None
    assert _lines(shrunk(first, replayed).trace) == shrunk_to


# --- schedules -----------------------------------------------------------------------------------------------------

_PLACES = st.tuples(st.integers(0, 5), st.integers(0, 3))


@given(st.sets(_PLACES, max_size=4), st.sets(_PLACES, max_size=12))
def test_exactly_the_choices_that_are_needed_are_left(needed: set[tuple[int, int]], more: set[tuple[int, int]]) -> None:
    """Of six operations, all needed, each with some choices."""

    def chosen(steps: Steps) -> set[tuple[int, int]]:
        return {(at, number) for at, step in enumerate(steps) for number, _ in choices_of(step)}

    def still_fails(steps: Steps) -> Steps | None:
        return steps if len(steps) == 6 and needed <= chosen(steps) else None

    every = sorted(needed | more)
    trace = tuple(ScheduledStep(Finish(1), None, tuple((n, 1) for at, n in every if at == step)) for step in range(6))
    assert chosen(shrink(trace, still_fails)) == needed


def test_what_becomes_smaller_keeps_its_choices() -> None:
    def still_fails(steps: Steps) -> Steps | None:
        return steps if [choices_of(step) for step in steps] == [((0, 1),)] else None

    trace = (ScheduledStep(sm.parse_operation("disk a 900"), None, ((0, 1),)),)
    assert shrink(trace, still_fails) == (ScheduledStep(sm.parse_operation("disk a 1"), None, ((0, 1),)),)


READ_LATE = """
disk base 32
disk cow0 64
write base 0 32 #1
create origin "0 32 snapshot-origin base"
create snap0 "0 32 snapshot base cow0 P 8"
write origin 16 4 #50
read snap0 0 32
start 1 read snap0 0 8
write origin 0 8 #70
finish 1
"""


def test_a_schedule_that_was_drawn_becomes_the_canonical_one_but_for_what_is_needed() -> None:
    rules = next(defect.rules for defect in DEFECTS if defect.name == "ignores readers")
    every = (Memory(seed=seed, rules=rules) for seed in range(40))
    memory = next(one for one in every if again(_steps(READ_LATE), Lockstep(one), lambda: None) is not None)

    def replayed(steps: Steps) -> DivergenceReport | None:
        follow(memory, steps)
        return again(steps, Lockstep(memory), lambda: None)

    first = again(_steps(READ_LATE), Lockstep(memory), lambda: None)
    assert first is not None
    assert sum(len(choices_of(step)) for step in first.trace) >= 8
    trace = shrunk(first, replayed).trace
    assert _lines(trace) == [
        "disk base 1",
        "disk cow0 3",
        'create origin "0 1 snapshot-origin base"',
        'create snap0 "0 1 snapshot base cow0 P 1"',
        "start 1 read snap0 0 1",
        "write origin 0 1 #1",
        "finish 1",
    ]
    late = ((0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1))  # the read waits until the write has ended
    assert [choices_of(step) for step in trace] == [(), (), (), (), (), late, ()]
    follow(memory, trace)
    assert again(trace, Lockstep(memory), lambda: None) is not None
