import pytest
from tests.model._play import Bench, play, setup

import snapmerge as sm
from snapmerge.machine.snapshot.state import Merge, SnapshotTarget
from snapmerge.machine.snapshot.status import snapshot_status
from snapmerge.records import replace


def status(*, valid: bool = True, failed: bool = False, overflowed: bool = False) -> str:
    found = play(setup()).world.stack.targets[0]
    assert isinstance(found, SnapshotTarget)
    merge = Merge(failed=True) if failed else None
    return snapshot_status(replace(found, merge=merge, valid=valid, overflowed=overflowed), 104)


@pytest.mark.spec("SNAP-16")
def test_the_status_is_the_first_that_holds() -> None:
    assert status() == "16/104 16"
    assert status(overflowed=True) == "Overflow"
    assert status(overflowed=True, failed=True) == "Merge failed"
    assert status(overflowed=True, failed=True, valid=False) == "Invalid"


@pytest.mark.spec("STORE-20")
def test_a_status_counts_exceptions_in_the_making() -> None:
    bench = Bench(setup())
    bench.start("write snap 0 8 #1")
    bench.start("write origin 8 8 #1")
    assert sm.status_line(bench.world.stack, sm.MAINLINE, "snap") == "0 32 snapshot 32/104 16"


@pytest.mark.spec("SNAP-17")
@pytest.mark.parametrize(
    ("args", "printed"),
    [
        ("p 8", "P 8"),
        ("pox 8 0", "PO 8"),
        ("n 8 1 DISCARD_ZEROES_COW", "N 8 1 discard_zeroes_cow"),
        ("P 0", "P 32"),
        ("P 8 2 discard_passdown_origin discard_zeroes_cow", "P 8 2 discard_zeroes_cow discard_passdown_origin"),
    ],
)
def test_a_table_is_printed_with_what_is_in_use(args: str, printed: str) -> None:
    play(setup(args) + f'table snap -> "0 32 snapshot base cow {printed}"\ntable origin -> "0 32 snapshot-origin base"')


def test_several_targets_are_one_line_each() -> None:
    play(
        """
disk base 32
disk cow 64
create dev "0 8 linear base 24; 8 8 snapshot base cow N 8"
table dev -> "0 8 linear base 24; 8 8 snapshot base cow N 8"
status dev -> "0 8 linear; 8 8 snapshot 0/64 0"
"""
    )


def test_a_store_on_a_device_has_that_devices_size() -> None:
    play(
        """
disk base 32
disk d 64
create cow "0 48 linear d 0"
create snap "0 32 snapshot base cow P 8"
status snap -> "0 32 snapshot 16/48 16"
"""
    )


_LOCKED = """\
disk base 16
disk cow 16
create lower "0 16 linear cow 0"
create snap "0 16 snapshot base lower P 4"
start 1 write snap 0 4 #1
start 2 write snap 4 4 #11
suspend lower
"""


@pytest.mark.spec("SNAP-20")
def test_a_status_waits_while_the_snapshot_is_being_invalidated() -> None:
    held = play(
        _LOCKED + "start 3 write snap 8 4 #21\nstart 4 status snap -> ok\nfinish 4 -> blocked\nevents snap -> 0"
    )
    play('table snap -> "0 16 snapshot base lower P 4"\nresume lower\nfinish 4 -> "0 16 snapshot Invalid"', held)
    with pytest.raises(sm.WouldBlock):
        play("status snap", held)


@pytest.mark.spec("SNAP-20")
def test_the_oracle_says_that_a_status_would_wait() -> None:
    oracle = sm.Oracle()
    for step in sm.parse_trace(_LOCKED):
        oracle.observe(step.operation, sm.Done())
    oracle.check(sm.Status("snap"))
    oracle.observe(sm.parse_operation("start 3 write snap 8 4 #21"), sm.Done())
    with pytest.raises(sm.WouldBlock):
        oracle.check(sm.Status("snap"))
