import pytest

from snapmerge import (
    MAINLINE,
    Choices,
    Data,
    Operation,
    OperationError,
    Outcome,
    Reset,
    Rules,
    parse_operation,
    parse_trace,
)
from snapmerge_adapters import Memory
from snapmerge_specs import DEFECTS


def test_disks_have_no_more_sectors_than_is_said() -> None:
    memory = Memory()
    assert memory.capabilities.sectors_max == 1 << 20
    memory.apply(parse_operation("disk base 1048000"))
    with pytest.raises(OperationError, match="cow would make it 1048577 sectors of disks; at most 1048576"):
        memory.apply(parse_operation("disk cow 577"))
    memory.apply(parse_operation("disk cow 576"))
    memory.apply(parse_operation("reset"))
    memory.apply(parse_operation("disk base 1048576"))


READ_LATE = """
disk base 2
disk cow 8
write base 0 1 #1
create origin "0 2 snapshot-origin base"
create snap "0 2 snapshot base cow P 1"
start 1 read snap 0 1
write origin 0 1 #7
finish 1
"""


def _read_late(seed: int, rules: Rules) -> Outcome:
    """What a read of a snapshot gives that was begun before the origin was written."""
    memory = Memory(seed=seed, rules=rules)
    return [memory.apply(step.operation) for step in parse_trace(READ_LATE)][-1]


def test_schedules_that_are_rare_by_chance_are_drawn() -> None:
    careless = next(defect.rules for defect in DEFECTS if defect.name == "ignores readers")
    assert {_read_late(seed, MAINLINE) for seed in range(40)} == {Data((1,))}
    # The read must wait while the copy, its exception and the write end: the last of about ten to be begun.
    late = sum(_read_late(seed, careless) == Data((7,)) for seed in range(40))
    assert late >= 4


def _played(memory: Memory, operations: list[Operation]) -> list[tuple[Outcome, Choices]]:
    memory.apply(Reset())
    return [(memory.apply(operation), memory.choices) for operation in operations]


@pytest.mark.parametrize("seed", range(12))
def test_a_schedule_that_was_drawn_can_be_given(seed: int) -> None:
    operations = [step.operation for step in parse_trace(READ_LATE + "crash\nread cow 0 8\nread base 0 2")]
    drawn = _played(Memory(seed=seed), operations)
    memory = Memory(seed=seed + 1)
    memory.follow([choices for _, choices in drawn])
    assert _played(memory, operations) == drawn
    memory.follow([])
    assert _played(memory, operations) == _played(Memory(), operations)
    memory.follow(None)
    assert _played(memory, operations) == _played(Memory(seed=seed + 1), operations)


def test_what_can_not_be_chosen_is_chosen_canonically() -> None:
    operations = [step.operation for step in parse_trace(READ_LATE)]
    memory = Memory()
    memory.follow([((0, 99), (77, 1))] * len(operations))
    assert _played(memory, operations) == _played(Memory(), operations)
