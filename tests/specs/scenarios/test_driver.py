import pytest

import snapmerge as sm
from snapmerge_adapters import Memory
from snapmerge_specs import Lockstep
from snapmerge_specs.scenarios.driver import Predicted

SHRINKS = """
disk base 16
create dev "0 16 linear base 0"
suspend dev
load dev "{table}"
start 1 discard dev 0 {count}
resume dev
"""


RACES = """
disk base 16
create lower "0 16 linear base 0"
create dev "0 16 linear lower 0"
suspend lower
start 1 write dev 0 1 #1
load dev "0 16 linear lower 0"
resume dev
{asked}
"""


def driven(text: str) -> Predicted:
    """A driver that has done the operations of a trace as far as it does them."""
    driver = Predicted(Lockstep(Memory()))
    for step in sm.parse_trace(text):
        if isinstance(step.operation, sm.Start):
            driver.start(step.operation.operation)
        elif not isinstance(step.operation, sm.Finish):
            driver.do(step.operation)
    return driver


@pytest.mark.parametrize(
    ("table", "count", "resumed"),
    [("0 8 linear base 0", 8, True), ("0 8 linear base 0", 9, False), ("0 16 zero", 8, False)],
)
def test_a_discard_that_the_block_layer_cuts_or_that_kernels_differ_in_is_not_let_in(
    table: str, count: int, resumed: bool
) -> None:
    assert (driven(SHRINKS.format(table=table, count=count)).suspended == []) == resumed


@pytest.mark.parametrize("asked", ["suspend dev", 'load dev "0 16 zero"\nresume dev'])
def test_a_device_that_a_resume_suspends_is_asked_for_nothing_beside_it(asked: str) -> None:
    driver = driven(RACES.format(asked=asked))
    assert [request.device for request in driver.stack.requests] == ["dev"]
    assert driver.devices == ["dev", "lower"]


@pytest.mark.parametrize(("target", "flushed"), [("zero", 1), ("error", 0)])
def test_what_kernels_differ_in_is_not_flushed(target: str, flushed: int) -> None:
    driver = driven(f'disk base 16\ncreate dev "0 16 {target}"\nsuspend dev\nflush dev\n')
    assert sum(isinstance(step.operation, sm.Flush) for step in driver.lockstep.steps) == flushed


def test_a_device_whose_merge_is_waited_for_is_not_removed() -> None:
    driver = driven(
        """
        disk base 8
        disk cow 16
        create lower "0 8 linear base 0"
        create origin "0 8 snapshot-origin lower"
        create snap "0 8 snapshot lower cow P 1"
        write snap 0 1 #1
        suspend origin
        suspend snap
        load origin "0 8 snapshot-merge lower cow P 1"
        suspend lower
        resume origin
        start 1 settle origin
        start 2 remove origin
        """
    )
    begun = [step.operation for step in driver.lockstep.steps if isinstance(step.operation, sm.Start)]
    assert begun == [sm.Start(1, sm.Settle("origin"))]


def test_what_a_device_was_asked_is_waited_for_before_it_is_asked_for_more() -> None:
    text = 'disk base 8\ncreate dev "0 8 linear base 0"\nstart 1 suspend dev\nstart 2 resume dev\nresume dev'
    done = [sm.print_operation(step.operation) for step in driven(text).lockstep.steps]
    assert done[2:] == ["start 1 suspend dev", "finish 1", "start 2 resume dev", "finish 2", "resume dev"]


LOCKED = """
disk base 16
disk cow 16
disk other 64
create lower "0 16 linear cow 0"
create snap "0 16 snapshot base lower P 4"
create origin "0 16 snapshot-origin base"
suspend lower
start 1 write snap 0 4 #1
start 2 write snap 4 4 #11
{third}
create more "0 16 snapshot base other P 4"
suspend origin
resume lower
"""


@pytest.mark.parametrize(("third", "created"), [("start 3 write snap 8 4 #21", False), ("", True)])
def test_tables_of_snapshots_are_left_alone_while_one_cannot_be_invalidated(third: str, created: bool) -> None:
    driver = driven(LOCKED.format(third=third))
    assert ("more" in driver.devices, driver.suspended == ["origin"]) == (created, created)
