import itertools

import pytest
from tests.model._play import Bench, play, setup

SIBLING = """
disk cow2 104
create wide "0 32 snapshot base cow2 P 16" -> ok
suspend origin
resume origin
"""
"""A second snapshot, of twice the chunk size, registered in front of the first."""


@pytest.mark.spec("ORIGIN-1")
@pytest.mark.spec("ORIGIN-6")
def test_a_write_reaches_the_origin_when_every_snapshot_has_its_chunk() -> None:
    bench = Bench(setup() + SIBLING)
    write = bench.start("write origin 8 4 #1")
    assert bench.flights == ["read base 8 8", "read base 0 16"]  # the one that the write waits for comes last
    bench.finish("read base 0 16", "write cow2 32 16", "flush cow2", "write cow2 16 16 fua")
    assert bench.flights == ["read base 8 8"]  # it was asked again, and waits for the other now
    bench.finish("read base 8 8", "write cow 16 8", "flush cow", "write cow 8 8 fua")
    assert bench.flights == ["write base 8 4"]
    bench.settle()
    assert bench.ended(write) == "ok"


@pytest.mark.spec("ORIGIN-1")
@pytest.mark.parametrize("order", [*itertools.permutations(range(4))])
def test_a_second_write_in_the_wide_chunk_waits_too_in_whichever_order_copies_end(order: tuple[int, ...]) -> None:
    bench = Bench(setup() + SIBLING)
    first, second = bench.start("write origin 0 8 #1"), bench.start("write origin 8 8 #20")
    flights = bench.flights
    assert sorted(flights) == ["read base 0 16", "read base 0 8", "read base 8 8"]
    for at in order:
        if at < len(flights):
            bench.finish(flights[at])
    bench.settle()
    assert [bench.ended(first), bench.ended(second)] == ["ok", "ok"]
    bench.play("read wide 0 32 -> #1000+32\nread snap 0 32 -> #1000+32\nread base 0 16 -> #1+8 #20+8")


@pytest.mark.spec("ORIGIN-2")
def test_a_write_succeeds_whatever_becomes_of_its_snapshots() -> None:
    play(
        setup()
        + SIBLING
        + """
fault cow write 16 8
fault cow2 read 0 104
fault cow2 flush 0 1
write origin 0 32 #1 -> ok
read origin 0 32 -> #1+32
status snap -> "0 32 snapshot Invalid"
status wide -> "0 32 snapshot Invalid"
"""
    )


@pytest.mark.spec("ORIGIN-5")
def test_a_write_waits_while_a_header_is_being_invalidated() -> None:
    bench = Bench(setup(cow=24) + "write snap 0 8 #1")
    write = bench.start("write origin 8 8 #20")
    assert bench.flights == ["write cow 0 8 fua"]
    other = bench.start("write origin 16 8 #40")
    assert bench.flights == ["write cow 0 8 fua"]
    bench.finish("write cow")
    assert bench.flights == ["write base 8 8", "write base 16 8"]
    bench.settle()
    assert [bench.ended(write), bench.ended(other)] == ["ok", "ok"]


@pytest.mark.spec("ORIGIN-6")
def test_equal_snapshots_are_asked_in_the_order_in_which_they_were_made() -> None:
    bench = Bench(setup() + 'disk cow2 104\ncreate later "0 32 snapshot base cow2 P 8"')
    write = bench.start("write origin 0 8 #1")
    bench.finish("read base 0 8", "read base 0 8")
    assert bench.flights == ["write cow2 16 8", "write cow 16 8"]  # the one that the write waits for is the older
    bench.finish("write cow2 16 8", "flush cow2", "write cow2 8 8 fua")
    assert bench.flights == ["write cow 16 8"]
    bench.settle()
    assert bench.ended(write) == "ok"


@pytest.mark.spec("ORIGIN-7")
def test_a_smaller_snapshot_is_saved_in_part_until_the_origin_is_resumed() -> None:
    small = setup("P 16") + 'disk cow2 104\ncreate small "0 32 snapshot base cow2 P 8" -> ok\n'
    play(small + "write origin 0 16 #1 -> ok\nread small 0 16 -> #1000+8 #9+8\nread snap 0 16 -> #1000+16")
    play(small + "suspend origin\nresume origin\nwrite origin 0 16 #1 -> ok\nread small 0 16 -> #1000+16")


@pytest.mark.spec("ORIGIN-7")
def test_an_origin_without_snapshots_cuts_nothing() -> None:
    bench = Bench('disk base 4096\ncreate origin "0 4096 snapshot-origin base"')
    bench.start("write origin 1 4095 #1")
    assert bench.flights == ["write base 1 4095"]


@pytest.mark.spec("ORIGIN-8")
def test_reads_and_flushes_go_straight_down_and_discards_nowhere() -> None:
    bench = Bench(setup())
    bench.start("read origin 1 30")
    bench.start("flush origin")
    assert bench.flights == ["read base 1 30", "flush base"]
    bench.play("discard origin 0 8 -> error EOPNOTSUPP")


@pytest.mark.spec("ORIGIN-9")
def test_a_snapshot_that_ends_before_a_write_is_not_asked() -> None:
    play(
        """
disk base 32
disk cow 104
create snap "0 12 snapshot base cow P 8"
create origin "0 32 snapshot-origin base"
write origin 8 16 #1 -> ok
metadata cow -> store valid=1 version=1 chunk_size=8 1>2
"""
    )


@pytest.mark.spec("ORIGIN-10")
def test_each_snapshot_copies_its_own_chunk() -> None:
    play(
        setup()
        + SIBLING
        + """
write origin 9 1 #1 -> ok
read cow 16 8 -> #1008+8
read cow2 32 16 -> #1000+16
"""
    )
