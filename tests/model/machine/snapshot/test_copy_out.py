import itertools

import pytest
from tests.model._play import Bench, play, setup

import snapmerge as sm

FIRST_COMMIT = ("flush cow", "write cow 8 8 fua")
"""The flush and the write of area 0, chunks of 8 sectors."""


def records(world: sm.World) -> tuple[tuple[int, int], ...]:
    """The records that are durable on ``cow``."""
    disk = world.disks["cow"]

    def read(sector: int, count: int) -> bytes:
        held = (disk.durable.get(at, 0) for at in range(sector, sector + count))
        return sm.data_bytes(s for s in held if not isinstance(s, sm.Unknown))

    return sm.read_store(read, disk.size).records


@pytest.mark.spec("STORE-3")
@pytest.mark.spec("STORE-4")
def test_an_exception_is_copied_flushed_recorded_and_only_then_written_to() -> None:
    bench = Bench(setup())
    write = bench.start("write snap 1 2 #1")
    seen = []
    while bench.world.flights:
        seen += bench.flights
        assert bench.ended(write) is None
        bench.finish(bench.flights[0])
    assert seen == [
        "read base 0 8",
        "write cow 16 8",
        "flush cow; write cow 8 8 fua",
        "write cow 8 8 fua",
        "write cow 17 2",
    ]
    assert bench.ended(write) == "ok"


@pytest.mark.spec("EXC-10")
@pytest.mark.spec("STORE-4")
def test_a_write_that_fills_its_chunk_is_the_copy() -> None:
    bench = Bench(setup())
    write = bench.start("write snap 8 8 #1")
    assert bench.flights == ["write cow 16 8"]
    bench.finish("write cow 16 8", "flush cow")
    assert bench.ended(write) is None
    bench.finish("write cow 8 8 fua")
    assert bench.flights == []
    assert bench.ended(write) == "ok"
    assert records(bench.world) == ((1, 2),)


@pytest.mark.spec("EXC-10")
def test_a_write_that_fills_its_chunk_waits_for_a_copy_that_was_started_before() -> None:
    bench = Bench(setup())
    bench.start("write origin 8 1 #1")
    write = bench.start("write snap 8 8 #20")
    assert bench.flights == ["read base 8 8"]
    bench.settle()
    assert bench.ended(write) == "ok"
    bench.play("read snap 8 8 -> #20+8\nread base 8 2 -> #1 #1009")


@pytest.mark.spec("EXC-8")
def test_many_bios_wait_for_one_copy() -> None:
    bench = Bench(setup())
    keys = [bench.start(line) for line in ("write snap 0 1 #1", "write origin 1 1 #2", "write snap 2 2 #3")]
    assert bench.flights == ["read base 0 8"]
    bench.settle()
    assert [bench.ended(key) for key in keys] == ["ok"] * 3
    bench.play("read snap 0 8 -> #1 #1001 #3+2 #1004+4\nread base 0 3 -> #1000 #2 #1002")
    bench.play("metadata cow -> store valid=1 version=1 chunk_size=8 0>2")


@pytest.mark.spec("EXC-9")
@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_copies_end_in_any_order_and_are_recorded_in_that_of_their_allocation(order: tuple[int, ...]) -> None:
    bench = Bench(setup())
    keys = [bench.start(f"write snap {sector} 8 #1") for sector in (24, 0, 8)]
    for at in order:
        bench.finish(f"write cow {16 + 8 * at} 8")
    bench.settle()
    assert records(bench.world) == ((3, 2), (0, 3), (1, 4))
    assert [bench.ended(key) for key in keys] == ["ok"] * 3


@pytest.mark.spec("EXC-9")
def test_a_copy_that_is_done_waits_for_the_one_allocated_before() -> None:
    bench = Bench(setup())
    bench.start("write snap 0 8 #1")
    second = bench.start("write snap 8 8 #20")
    bench.finish("write cow 24 8")
    assert bench.flights == ["write cow 16 8"]
    assert bench.ended(second) is None
    bench.play("read cow 24 1 -> #20")


@pytest.mark.spec("STORE-18")
def test_one_write_of_the_area_commits_all_that_was_in_the_making() -> None:
    bench = Bench(setup())
    bench.start("write snap 0 8 #1")
    bench.start("write snap 8 8 #1")
    bench.finish("write cow 16 8")
    assert bench.flights == ["write cow 24 8"]  # one is recorded, the other still comes
    bench.finish("write cow 24 8", *FIRST_COMMIT)
    assert bench.flights == []
    assert records(bench.world) == ((0, 2), (1, 3))


@pytest.mark.spec("STORE-18")
@pytest.mark.spec("STORE-19")
def test_a_full_area_is_written_at_once_behind_a_zeroed_one() -> None:
    bench = Bench(setup("P 1", base=64, cow=128) + "write snap 0 31 #1 -> ok")
    bench.start("write snap 31 1 #40")
    bench.start("write snap 32 1 #41")
    bench.finish("write cow 33 1")
    assert bench.flights == ["write cow 35 1", "write cow 34 1"]  # the second area, although one more is coming
    bench.finish("write cow 34 1")
    assert bench.flights == ["write cow 35 1", "flush cow; write cow 1 1 fua"]
    bench.settle()
    assert records(bench.world)[-2:] == ((31, 33), (32, 35))


@pytest.mark.spec("EXC-12")
def test_what_is_copied_while_the_area_is_written_joins_the_next_batch() -> None:
    bench = Bench(setup())
    bench.start("write snap 0 8 #1")
    bench.finish("write cow 16 8")
    later = [bench.start(f"write snap {sector} 8 #1") for sector in (8, 16)]
    bench.finish("write cow 24 8", "write cow 32 8")
    assert bench.flights == ["flush cow; write cow 8 8 fua"]
    bench.finish(*FIRST_COMMIT)
    assert records(bench.world) == ((0, 2),)
    bench.finish(*FIRST_COMMIT)
    assert records(bench.world) == ((0, 2), (1, 3), (2, 4))
    assert [bench.ended(key) for key in later] == ["ok", "ok"]


@pytest.mark.spec("EXC-2")
def test_a_chunk_reads_as_it_was_until_its_exception_is_completed() -> None:
    bench = Bench(setup())
    bench.start("write snap 0 8 #1")
    while bench.world.flights:
        committing = bench.flights[0] != "write cow 8 8 fua"
        bench.finish(bench.flights[0])
        key = bench.start("read snap 0 1")
        bench.finish("read base" if committing else "read cow")
        assert bench.ended(key) == ("#1000" if committing else "#1")


@pytest.mark.spec("EXC-11")
@pytest.mark.spec("ORIGIN-3")
def test_an_origin_write_waits_for_readers_who_went_to_the_origin_before() -> None:
    bench = Bench(setup())
    read = bench.start("read snap 0 8")
    write = bench.start("write origin 0 8 #1")
    bench.finish("read base", "read base")
    assert bench.ended(read) == "#1000+8"
    late = bench.start("read snap 4 1")
    bench.finish("write cow 16 8", *FIRST_COMMIT)
    assert bench.flights == ["read base 4 1"]  # completed, and the write still waits for the reader
    new = bench.start("read snap 5 1")
    assert bench.flights == ["read base 4 1", "read cow 21 1"]  # who reads now, reads the copy
    bench.finish("read base", "read cow")
    assert bench.flights == ["write base 0 8"]
    bench.settle()
    assert [bench.ended(key) for key in (late, new, write)] == ["#1004", "#1005", "ok"]


@pytest.mark.spec("EXC-5")
@pytest.mark.spec("STORE-7")
@pytest.mark.parametrize(
    "failing",
    ["read base", "write cow 16 8", "flush cow", "write cow 8 8 fua"],
    ids=lambda text: text.replace(" ", "-"),
)
def test_when_an_exception_fails_its_snapshot_writes_fail_and_its_origin_writes_do_not(failing: str) -> None:
    bench = Bench(setup())
    snap, origin = bench.start("write snap 0 1 #1"), bench.start("write origin 1 1 #2")
    while not bench.flights[0].startswith(failing):
        bench.finish(bench.flights[0])
    bench.fail(failing)
    assert bench.flights == ["write cow 0 8 fua"]  # the header
    bench.settle()
    assert [bench.ended(snap), bench.ended(origin)] == ["error EIO", "ok"]
    bench.play('status snap -> "0 32 snapshot Invalid"\nread base 0 2 -> #1000 #2\nread cow 1 1 -> #0')
    found, _ = sm.operate(bench.session, sm.Metadata("cow"))
    assert isinstance(found, sm.Records)
    assert not found.valid


@pytest.mark.spec("EXC-5")
def test_a_failed_copy_fails_all_that_is_committed_with_it_and_nobody_hangs() -> None:
    bench = Bench(setup())
    keys = [bench.start(f"write snap {sector} 8 #1") for sector in (0, 8, 16)]
    bench.finish("write cow 16 8")
    bench.fail("write cow 24 8")
    bench.settle()
    assert [bench.ended(key) for key in keys] == ["error EIO"] * 3


@pytest.mark.spec("STORE-8")
def test_a_header_that_can_not_be_written_leaves_a_store_that_loads_as_valid() -> None:
    play(
        setup(cow=24)
        + """
write snap 0 8 #1 -> ok
fault cow write 0 1
write snap 8 8 #1 -> error EIO
status snap -> "0 32 snapshot Invalid"
heal cow
metadata cow -> store valid=1 version=1 chunk_size=8 0>2
remove snap
create snap "0 32 snapshot base cow P 8"
status snap -> "0 32 snapshot 24/24 16"
"""
    )


@pytest.mark.spec("STORE-9")
@pytest.mark.parametrize(("cow", "outcome"), [(34, "error EIO"), (35, "ok")])
def test_the_last_exception_of_an_area_needs_room_for_the_next_area(cow: int, outcome: str) -> None:
    play(setup("P 1", cow=cow, base=64) + f"write snap 0 31 #1 -> ok\nwrite snap 31 1 #50 -> {outcome}")


@pytest.mark.spec("EXC-6")
def test_what_is_published_before_the_snapshot_becomes_invalid_is_released() -> None:
    bench = Bench(setup(cow=24))
    read = bench.start("read snap 0 1")
    write = bench.start("write snap 0 8 #1")
    bench.finish("write cow 16 8", *FIRST_COMMIT)
    assert bench.ended(write) is None  # the reader is still on the origin
    full = bench.start("write snap 8 8 #1")
    assert bench.flights == ["read base 0 1", "write cow 0 8 fua"]
    bench.finish("write cow 0 8")
    assert [bench.ended(full), bench.ended(write)] == ["error EIO", None]
    bench.finish("read base")
    assert [bench.ended(read), bench.ended(write)] == ["#1000", "ok"]
