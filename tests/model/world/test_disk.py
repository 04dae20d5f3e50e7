import pytest
from immutables import Map

from snapmerge.world.disk import Disk


@pytest.mark.spec("WORLD-4")
def test_a_flush_makes_durable_what_its_mark_holds_and_leaves_the_rest_cached() -> None:
    disk = Disk(4).write(0, [1, 2])
    mark = disk.cached
    disk = disk.write(1, [3, 4]).flush(mark)
    assert disk.durable == Map({0: 1, 1: 2})
    assert disk.cached == Map({1: (3,), 2: (4,)})
    assert disk.read(0, 4) == (1, 3, 4, 0)


@pytest.mark.spec("WORLD-5")
def test_a_power_cut_leaves_any_content_since_the_last_durable_one() -> None:
    disk = Disk(2).write(0, [1], durable=True).write(0, [2]).write(0, [3]).write(0, [2])
    assert disk.candidates(0) == (2, 3, 1)
    assert disk.candidates(0, in_flight=(9,)) == (9, 2, 3, 1)
    assert disk.candidates(1) == (0,)


@pytest.mark.spec("WORLD-9")
def test_a_write_with_fua_leaves_no_choice() -> None:
    disk = Disk(1).write(0, [1]).write(0, [2], durable=True)
    assert disk.candidates(0) == (2,)
    assert disk.cached == Map()


@pytest.mark.spec("WORLD-8")
def test_a_fault_touches_its_sectors_and_a_flush_touches_all() -> None:
    disk = Disk(8, faults=(("write", 2, 2), ("flush", 7, 1)))
    assert [disk.fails("write", sector, 2) for sector in (0, 1, 3, 4)] == [False, True, True, False]
    assert not disk.fails("read", 2, 2)
    assert disk.fails("flush", 0, 0)
    assert disk.write(0, range(1, 9)).read(0, 8) == (1, 2, 0, 0, 5, 6, 7, 8)
