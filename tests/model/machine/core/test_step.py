import pytest
from tests.model._play import Bench, setup

import snapmerge as sm

ILLEGAL: list[sm.Event] = [
    sm.Finished(sm.WorkId("99")),
    sm.AddDisk("base", 8),
    sm.AddDisk("snap", 8),
    sm.AddDisk("new", 0),
    sm.CreateDevice(1, "base"),
    sm.SubmitBio(1, sm.Bio(sm.Op.READ, "nobody", 0, 1)),
    sm.SubmitBio(1, sm.Bio(sm.Op.READ, "base", 0, 1)),
    sm.SubmitBio(1, sm.Bio(sm.Op.READ, "snap", 32, 1)),
    sm.SubmitBio(1, sm.Bio(sm.Op.READ, "snap", 31, 2)),
    sm.SubmitBio(1, sm.Bio(sm.Op.READ, "snap", -1, 1)),
    sm.SubmitBio(1, sm.Bio(sm.Op.READ, "snap", 0, 0)),
]


@pytest.mark.spec("DEV-4")
@pytest.mark.parametrize("event", ILLEGAL, ids=str)
def test_what_can_not_happen_is_the_drivers_fault_and_changes_nothing(event: sm.Event) -> None:
    bench = Bench(setup())
    bench.start("write snap 0 1 #1")
    stack = bench.world.stack
    with pytest.raises(sm.EventError):
        sm.step(stack, event)
    with pytest.raises(sm.EventError):
        sm.deliver(bench.world, event)
    assert bench.world.stack == stack


@pytest.mark.spec("DEV-4")
def test_an_effect_finishes_once() -> None:
    bench = Bench(setup())
    key = bench.start("read snap 0 1")
    (flight,) = bench.world.flights
    stack, effects = sm.step(bench.world.stack, sm.Finished(flight.effect.id))
    assert effects == (sm.EndBio(key, None),)
    with pytest.raises(sm.EventError):
        sm.step(stack, sm.Finished(flight.effect.id))


@pytest.mark.spec("DEV-4")
def test_a_line_that_is_no_table_is_the_callers_fault() -> None:
    stack = Bench(setup()).world.stack
    with pytest.raises(sm.OperationError):
        sm.step(stack, sm.LoadTable(1, "snap", "snapshot base cow"))


@pytest.mark.spec("WORLD-2")
def test_a_step_is_a_function() -> None:
    bench = Bench(setup())
    event = sm.SubmitBio(0, sm.Bio(sm.Op.WRITE, "snap", 0, 8))
    assert sm.step(bench.world.stack, event) == sm.step(bench.world.stack, event)


def test_a_full_snapshot_says_so_in_the_log() -> None:
    bench = Bench(setup(cow=16))
    _, effects = sm.step(bench.world.stack, sm.SubmitBio(0, sm.Bio(sm.Op.WRITE, "snap", 0, 8)))
    assert effects[0] == sm.Log("snapshots: Invalidating snapshot: Unable to allocate exception.")
