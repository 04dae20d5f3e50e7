import pytest
from tests.model._play import Bench, play, setup

import snapmerge as sm

ZEROES = "P 8 1 discard_zeroes_cow"
PASSDOWN = "P 8 2 discard_zeroes_cow discard_passdown_origin"


@pytest.mark.spec("SNAP-1")
@pytest.mark.spec("SNAP-2")
def test_a_snapshot_keeps_its_view_and_keeps_its_writes_to_itself() -> None:
    play(
        setup()
        + """
disk cow2 104
create other "0 32 snapshot base cow2 P 4" -> ok
suspend origin
resume origin
write origin 3 10 #1 -> ok
write snap 8 4 #50 -> ok
write other 30 2 #70 -> ok
read snap 0 32 -> #1000+8 #50+4 #1012+20
read other 0 32 -> #1000+30 #70+2
read origin 0 32 -> #1000+3 #1+10 #1013+19
"""
    )


@pytest.mark.spec("SNAP-3")
def test_a_snapshot_that_is_loaded_and_not_resumed_preserves_nothing() -> None:
    play(
        """
disk base 32
disk cow 104
create origin "0 32 snapshot-origin base"
create snap
load snap "0 32 snapshot base cow P 8" -> ok
write origin 0 8 #1 -> ok
resume snap -> ok
read snap 0 8 -> #1+8
suspend origin
resume origin
write origin 0 8 #20 -> ok
read snap 0 8 -> #1+8
"""
    )


@pytest.mark.spec("SNAP-4")
@pytest.mark.spec("STORE-7")
def test_a_write_that_finds_no_room_loses_the_snapshot() -> None:
    play(
        setup(cow=24)
        + """
write snap 0 8 #1 -> ok
write snap 8 1 #9 -> error EIO
status snap -> "0 32 snapshot Invalid"
metadata cow -> store valid=0 version=1 chunk_size=8 0>2
"""
    )


@pytest.mark.spec("SNAP-4")
@pytest.mark.spec("SNAP-6")
def test_with_po_what_is_stored_stays_readable_and_a_new_table_forgets() -> None:
    play(
        setup("PO 8", cow=24)
        + """
write snap 0 8 #1 -> ok
write snap 8 1 #9 -> error EIO
status snap -> "0 32 snapshot Overflow"
write snap 0 1 #10 -> error EIO
read snap 0 16 -> #1+8 #1008+8
flush snap -> ok
events snap -> 0
remove snap
create snap "0 32 snapshot base cow PO 8"
status snap -> "0 32 snapshot 24/24 16"
write snap 0 1 #10 -> ok
read snap 0 9 -> #10 #2+7 #1008
"""
    )


@pytest.mark.spec("SNAP-4")
def test_with_po_a_discard_is_a_write() -> None:
    overflowed = "write snap 0 8 #1\nwrite snap 8 8 #1 -> error EIO\ndiscard snap 0 8 -> error EIO"
    play(setup("PO 8 1 discard_zeroes_cow", cow=24) + overflowed)


@pytest.mark.spec("SNAP-5")
@pytest.mark.spec("ORIGIN-4")
@pytest.mark.parametrize("letters", ["P", "PO", "N"])
def test_an_overflow_by_the_origin_loses_the_snapshot_and_not_the_write(letters: str) -> None:
    play(
        setup(f"{letters} 8", cow=8 if letters == "N" else 24)
        + """
write origin 0 8 #1 -> ok
read snap 0 8 -> #1000+8
write origin 8 8 #20 -> ok
status snap -> "0 32 snapshot Invalid"
events snap -> 1
write origin 16 8 #40 -> ok
events snap -> 1
read origin 0 24 -> #1+8 #20+8 #40+8
"""
    )


@pytest.mark.spec("SNAP-13")
def test_no_power_cut_takes_back_that_a_snapshot_is_invalid() -> None:
    bench = Bench(setup("P 1", base=2, cow=3) + "write origin 0 1 #1\n")
    bench.start("write origin 1 1 #2")
    assert bench.flights == ["write cow 0 1 fua"]  # and nothing goes to the origin before that is done
    bench.settle()
    for world in sm.crashes(bench.world):
        play('create snap "0 2 snapshot base cow P 1"\nstatus snap -> "0 2 snapshot Invalid"', sm.Session(world))


@pytest.mark.spec("SNAP-7")
@pytest.mark.spec("STORE-5")
def test_an_invalid_snapshot_fails_all_but_flushes_for_ever() -> None:
    play(
        setup(ZEROES, cow=24)
        + """
write snap 0 8 #1
write snap 8 8 #1 -> error EIO
read snap 0 1 -> error EIO
read snap 31 1 -> error EIO
write snap 0 1 #1 -> error EIO
discard snap 0 8 -> error EIO
flush snap -> ok
suspend snap
resume snap
read snap 0 1 -> error EIO
"""
    )


@pytest.mark.spec("STORE-21")
def test_a_transient_snapshot_that_is_made_again_knows_nothing() -> None:
    again = 'remove snap\ncreate snap "0 32 snapshot base cow N 8"\n'
    play(setup("N 8") + f'write snap 0 8 #1\n{again}status snap -> "0 32 snapshot 0/104 0"\nread snap 0 8 -> #1000+8')


@pytest.mark.spec("SNAP-8")
@pytest.mark.spec("WORLD-11")
def test_what_goes_around_the_mapping_shows_where_there_is_no_exception() -> None:
    play(setup() + "write snap 8 1 #9\nwrite base 0 16 #1\nread snap 0 16 -> #1+8 #9 #1009+7")


@pytest.mark.spec("SNAP-9")
def test_a_flush_goes_to_the_cow_device_only() -> None:
    bench = Bench(setup())
    bench.start("flush snap")
    assert bench.flights == ["flush cow"]


@pytest.mark.spec("SNAP-10")
@pytest.mark.spec("SNAP-11")
def test_io_is_cut_at_chunks_and_goes_where_each_chunk_lives() -> None:
    bench = Bench(setup() + "write snap 8 8 #1")
    bench.start("read snap 6 12")
    bench.finish("requeue", "requeue")
    assert bench.flights == ["read base 6 2", "read cow 16 8", "read base 16 2"]
    bench.settle()
    bench.start("write snap 12 2 #9")
    assert bench.flights == ["write cow 20 2"]


@pytest.mark.spec("SNAP-12")
@pytest.mark.parametrize("start", range(9))
@pytest.mark.parametrize("count", [1, 4, 8, 9, 16])
def test_a_discard_changes_its_own_range_only(start: int, count: int) -> None:
    # Chunk 1 lives behind chunk 3 on the COW device, so what spills over from one would show in another.
    session = play(
        setup(ZEROES)
        + f"write snap 24 8 #124\nwrite snap 8 8 #108\nwrite snap 0 8 #100\ndiscard snap {start} {count} -> ok"
    )
    before = [*range(100, 116), *range(1016, 1024), *range(124, 132)]
    after = [0 if start <= at < start + count and not 16 <= at < 24 else tag for at, tag in enumerate(before)]
    assert sm.operate(session, sm.Read("snap", sm.Sector(0), sm.Sectors(32)))[0] == sm.Raw(tuple(after))


@pytest.mark.spec("SNAP-19")
def test_without_features_discards_are_not_supported() -> None:
    play(setup() + "discard snap 0 8 -> error EOPNOTSUPP")


@pytest.mark.spec("SNAP-19")
def test_a_discard_makes_no_exception_and_gives_none_up() -> None:
    play(
        setup(ZEROES)
        + """
write snap 0 8 #1
discard snap 0 16 -> ok
read snap 0 16 -> #0x8 #1008+8
read base 0 16 -> #1000+16
status snap -> "0 32 snapshot 24/104 16"
metadata cow -> store valid=1 version=1 chunk_size=8 0>2
"""
    )


@pytest.mark.spec("SNAP-19")
def test_a_discard_of_a_chunk_in_the_making_changes_nothing() -> None:
    bench = Bench(setup(ZEROES))
    bench.start("write snap 0 8 #1")
    discard = bench.start("discard snap 0 8")
    assert bench.ended(discard) == "ok"
    bench.play("read snap 0 8 -> #1+8")


@pytest.mark.spec("SNAP-14")
def test_with_passdown_a_discard_reaches_the_origin_without_a_copy() -> None:
    play(
        setup(PASSDOWN)
        + """
disk cow2 104
create other "0 32 snapshot base cow2 P 8"
write snap 0 8 #1
write other 8 8 #50
discard snap 0 16 -> ok
read base 0 17 -> #0x16 #1016
read snap 0 16 -> #0x16
read other 0 16 -> #0x8 #50+8
metadata cow2 -> store valid=1 version=1 chunk_size=8 1>2
"""
    )


@pytest.mark.spec("SNAP-15")
@pytest.mark.spec("UNIT-3")
def test_the_partial_chunk_at_the_end_is_copied_as_far_as_it_goes() -> None:
    bench = Bench(setup(base=20))
    bench.start("write snap 16 4 #1")
    assert bench.flights == ["read base 16 4"]
    bench.finish("read base")
    assert bench.flights == ["write cow 16 4"]
    bench.play("read snap 16 4 -> #1+4")


@pytest.mark.spec("SNAP-18")
def test_an_event_is_raised_once_when_the_snapshot_becomes_invalid() -> None:
    play(setup(cow=24) + "write snap 0 16 #1 -> error EIO\nwrite snap 16 8 #1 -> error EIO\nevents snap -> 1")
    play(setup() + "write snap 0 16 #1\nsuspend snap\nresume snap\nevents snap -> 0")
