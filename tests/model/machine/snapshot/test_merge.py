import pytest
from tests.model._play import Bench, play, setup, verdict

from snapmerge import Divergence

MERGE = '"0 32 snapshot-merge base cow P 8"'
HAND_OVER = f"suspend origin\nsuspend snap\nload origin {MERGE}\n"
"""What comes before the resume that begins the merge."""

RUN = ["read cow 16 8", "write base 8 8", "flush base", "flush cow; write cow 8 8 fua", "write cow 8 8 fua"]
"""One run, of chunk 1, from the first data chunk."""


def merging(text: str = "write snap 8 8 #1\n", table: str = "P 8", *, cow: int = 104) -> Bench:
    """A merge that has just begun; nothing of it is done."""
    bench = Bench(setup(table, cow=cow) + text + HAND_OVER)
    bench.start("resume origin")
    return bench


@pytest.mark.spec("MERGE-6")
def test_a_run_is_copied_flushed_and_then_its_records_are_cleared() -> None:
    bench = merging()
    seen = []
    while bench.flights:
        seen += bench.flights
        bench.finish(bench.flights[0])
    assert seen == RUN


@pytest.mark.spec("MERGE-1")
def test_the_device_shows_the_snapshot_at_every_moment() -> None:
    bench = merging("write snap 8 12 #1\nwrite snap 30 2 #50\nwrite origin 0 32 #500\n")
    while bench.world.flights:
        session = bench.session
        bench.play("read origin 0 32 -> #1000+8 #1+12 #1020+10 #50+2")
        bench.session = session
        bench.finish(bench.flights[0])
    bench.play("read base 0 32 -> #1000+8 #1+12 #1020+10 #50+2")


@pytest.mark.spec("MERGE-8")
@pytest.mark.spec("MERGE-14")
def test_at_its_end_the_origin_has_the_content_and_the_store_is_valid_and_empty() -> None:
    merging().play(
        """
settle origin -> ok
read base 0 32 -> #1000+8 #1+8 #1016+16
status origin -> "0 32 snapshot-merge 16/104 16"
metadata cow -> store valid=1 version=1 chunk_size=8
events origin -> 0
remove snap
suspend origin
load origin "0 32 snapshot-merge base cow P 8" -> error EINVAL "snapshot-merge: A snapshot is already merging."
remove origin
create origin "0 32 snapshot-merge base cow P 8" -> ok
status origin -> "0 32 snapshot-merge 16/104 16"
"""
    )


@pytest.mark.spec("MERGE-15")
def test_runs_are_merged_from_the_last_record_backwards() -> None:
    bench = merging("write snap 16 8 #1\nwrite snap 0 8 #20\nwrite snap 8 8 #40\n")
    copies = []
    while bench.flights:
        copies += [flight for flight in bench.flights if flight.startswith("write base")]
        bench.finish(bench.flights[0])
    assert copies == ["write base 0 16", "write base 16 8"]


@pytest.mark.spec("MERGE-3")
@pytest.mark.spec("MERGE-4")
@pytest.mark.spec("MERGE-15")
def test_no_run_crosses_an_area_and_no_area_is_merged() -> None:
    bench = Bench(setup("P 1", cow=128, base=64) + "write snap 0 40 #1\nremove snap\n")
    bench.play('remove origin\ncreate merge "0 64 snapshot-merge base cow P 1" -> ok')
    seen = []
    while bench.flights:
        seen += bench.flights
        bench.finish(bench.flights[0])
    assert seen == [
        "read cow 35 8",
        "write base 32 8",
        "flush base",
        "flush cow; write cow 34 1 fua",
        "write cow 34 1 fua",
        "read cow 1 1",
        "fetch",
        "read cow 2 32",
        "write base 0 32",
        "flush base",
        "flush cow; write cow 1 1 fua",
        "write cow 1 1 fua",
    ]


@pytest.mark.spec("MERGE-4")
def test_a_write_during_a_merge_makes_no_exception_however_full_the_store() -> None:
    bench = merging("write snap 8 8 #1\nwrite snap 24 8 #50\n", cow=32)
    write = bench.start("write origin 0 8 #70")
    assert "write base 0 8" in bench.flights
    bench.settle()
    assert bench.ended(write) == "ok"
    bench.play("metadata cow -> store valid=1 version=1 chunk_size=8\nread base 0 16 -> #70+8 #1+8")


@pytest.mark.spec("MERGE-16")
@pytest.mark.spec("MERGE-2")
@pytest.mark.spec("MERGE-21")
def test_writes_to_the_current_run_wait_and_reads_of_it_do_not() -> None:
    bench = merging()
    write = bench.start("write origin 8 2 #70")
    read = bench.start("read origin 8 8")
    assert bench.flights == ["read cow 16 8", "read cow 16 8"]
    for flight in ("read cow", "read cow", *RUN[1:3]):
        bench.finish(flight)
        assert not [one for one in bench.flights if one == "write base 8 2"]
    assert bench.ended(read) == "#1+8"
    bench.finish("flush cow", "write cow 8 8 fua")
    assert bench.flights == ["write base 8 2"]
    bench.settle()
    assert bench.ended(write) == "ok"
    bench.play("read origin 8 8 -> #70+2 #3+6")


@pytest.mark.spec("MERGE-16")
def test_a_write_to_a_chunk_not_merged_yet_is_merged_with_it() -> None:
    bench = merging("write snap 8 8 #1\nwrite snap 24 8 #50\n")
    write = bench.start("write origin 8 1 #70")
    assert bench.flights == ["read cow 24 8", "write cow 16 1"]
    bench.settle()
    assert bench.ended(write) == "ok"
    bench.play("read base 8 8 -> #70 #2+7")


@pytest.mark.spec("MERGE-19")
def test_a_run_is_copied_when_the_writes_to_it_have_ended() -> None:
    bench = merging("write snap 8 8 #1\nwrite snap 24 8 #50\n")
    write = bench.start("write origin 8 1 #70")
    bench.settle_but("write cow 16 1")
    assert bench.flights == ["write cow 16 1"]
    assert bench.ended(write) is None
    late = bench.start("write origin 8 2 #80")  # to the run, which has been announced
    bench.finish("write cow 16 1")
    assert bench.flights == ["read cow 16 8"]
    bench.settle()
    assert [bench.ended(write), bench.ended(late)] == ["ok", "ok"]
    bench.play("read base 8 3 -> #80+2 #3")


@pytest.mark.spec("MERGE-5")
@pytest.mark.parametrize("size", [4, 8, 16])
def test_other_snapshots_save_what_the_merge_overwrites(size: int) -> None:
    other = f'disk cow2 128\ncreate other "0 32 snapshot base cow2 P {size}"\nsuspend origin\nresume origin\n'
    bench = merging(other + "write snap 8 8 #1\nwrite snap 24 4 #50\n")
    bench.play("read other 0 32 -> #1000+32\nsettle origin\nread other 0 32 -> #1000+32")
    bench.play("write origin 0 32 #70 -> ok\nread other 0 32 -> #1000+32")


@pytest.mark.spec("MERGE-5")
def test_nothing_is_copied_before_the_other_snapshots_are_done() -> None:
    bench = Bench(
        setup() + 'write snap 8 8 #1\ndisk cow2 104\ncreate other "0 32 snapshot base cow2 P 4"\n' + HAND_OVER
    )
    resume = bench.start("resume origin")
    assert bench.flights == ["read base 8 4", "read base 12 4"]
    assert bench.ended(resume) is None
    while any("base" in flight or "cow2" in flight for flight in bench.flights):
        assert not [flight for flight in bench.flights if flight.startswith("read cow ")]
        bench.finish(bench.flights[0])
    assert bench.flights == ["read cow 16 8"]
    assert bench.ended(resume) == "ok"


@pytest.mark.spec("MERGE-13")
def test_another_snapshot_that_overflows_is_lost_and_the_merge_goes_on() -> None:
    other = 'disk cow2 16\ncreate other "0 32 snapshot base cow2 P 8"\n'
    merging_all = Bench(setup() + other + "write snap 8 8 #1\n" + HAND_OVER)
    merging_all.play(
        """
resume origin -> ok
settle origin -> ok
status other -> "0 32 snapshot Invalid"
status origin -> "0 32 snapshot-merge 16/104 16"
read base 8 8 -> #1+8
"""
    )


WITHOUT_ROOM = """
disk base 32
disk cow 104
disk small {small}
create origin "0 32 snapshot-origin base"
create snap "0 32 snapshot base cow P 8"
create other "0 32 snapshot base small {store} 8"
"""


@pytest.mark.spec("MERGE-13")
@pytest.mark.spec("MERGE-30")
@pytest.mark.parametrize("store", ["N", "P", "PO"])
@pytest.mark.parametrize("room", [0, 1, 2])
@pytest.mark.parametrize("writes", ["write snap 8 1 #1", "write snap 8 24 #1", "write snap 24 8 #1; write snap 8 1 #1"])
def test_a_merge_beside_a_snapshot_without_room_ends_and_never_fails(store: str, room: int, writes: str) -> None:
    small = room * 8 + (4 if store == "N" else 16)
    begun = WITHOUT_ROOM.format(small=small, store=store) + writes.replace("; ", "\n") + "\nremove snap"
    ended = f"{begun}\nload origin {MERGE}\nresume origin\nsettle origin"
    assert verdict(ended + '\nstatus origin -> "0 32 snapshot-merge 16/104 16"\nsuspend origin -> ok') is None
    assert isinstance(verdict(ended + '\nstatus origin -> "0 32 snapshot-merge Merge failed"'), Divergence)


# --- failures ---


@pytest.mark.spec("MERGE-9")
@pytest.mark.spec("MERGE-11")
@pytest.mark.spec("MERGE-14")
@pytest.mark.spec("MERGE-17")
@pytest.mark.parametrize("failing", RUN, ids=lambda text: text.replace("; ", " then ").replace(" ", "-"))
def test_a_failed_merge_shows_what_it_should_and_can_go_on(failing: str) -> None:
    bench = merging()
    while bench.flights[0] != failing:
        bench.finish(bench.flights[0])
    bench.fail(failing)
    bench.play(
        """
status origin -> "0 32 snapshot-merge Merge failed"
read origin 0 32 -> #1000+8 #1+8 #1016+16
write origin 10 1 #70 -> ok
events origin -> 0
suspend origin
resume origin
settle origin -> ok
suspend origin
status origin -> "0 32 snapshot-merge Merge failed"
read base 0 32 -> #1000+8 #1+2 #70 #4+5 #1016+16
metadata cow -> store valid=1 version=1 chunk_size=8
"""
    )


@pytest.mark.spec("MERGE-10")
@pytest.mark.parametrize("at", range(len(RUN)))
def test_writes_that_wait_for_a_run_that_fails_fail(at: int) -> None:
    bench = merging()
    write = bench.start("write origin 8 8 #70")
    bench.finish(*RUN[:at])
    bench.fail(RUN[at])
    assert bench.ended(write) == "error EIO"
    bench.play("read origin 8 8 -> #1+8")


@pytest.mark.spec("MERGE-18")
def test_a_failed_read_of_an_area_is_tried_again() -> None:
    bench = Bench(setup("P 1", cow=128, base=64) + "write snap 0 33 #1\nremove snap\nremove origin\n")
    bench.play(
        'create merge\nload merge "0 64 snapshot-merge base cow P 1"\nfault cow read 1 1\nresume merge\nsettle merge'
    )
    bench.play('status merge -> "0 64 snapshot-merge Merge failed"\nread merge 0 34 -> #1+33 #1033\nheal cow')
    bench.play("suspend merge\nresume merge\nsuspend merge\nread base 0 34 -> #1+33 #1033")


@pytest.mark.spec("MERGE-12")
def test_a_merge_of_an_invalid_store_is_the_origin() -> None:
    play(
        setup(cow=24)
        + """
write snap 0 8 #1
write snap 8 8 #1 -> error EIO
remove snap
remove origin
create merge "0 32 snapshot-merge base cow P 8" -> ok
settle merge -> ok
status merge -> "0 32 snapshot-merge Invalid"
read merge 0 32 -> #1000+32
write merge 0 8 #70 -> ok
read base 0 8 -> #70+8
"""
    )


# --- suspending, flushing, the end of the origin ---


@pytest.mark.spec("MERGE-20")
def test_a_suspension_waits_for_the_run_and_a_resume_goes_on_behind_it() -> None:
    bench = merging("write snap 8 8 #1\nwrite snap 24 8 #50\n")
    bench.finish("read cow 24 8")
    suspend = bench.start("suspend origin")
    assert bench.ended(suspend) is None
    bench.settle()
    assert bench.ended(suspend) == "ok"
    bench.play('status origin -> "0 32 snapshot-merge 24/104 16"\nread base 8 1 -> #1008\nread base 24 1 -> #50')
    bench.start("resume origin")
    assert bench.flights == ["read cow 16 8"]


@pytest.mark.spec("MERGE-22")
def test_a_flush_goes_to_both_devices_and_a_discard_nowhere() -> None:
    bench = merging()
    bench.settle()
    flush, discard = bench.start("flush origin"), bench.start("discard origin 0 8")
    assert bench.flights == ["flush base", "flush cow"]
    assert bench.ended(discard) == "error EOPNOTSUPP"
    bench.settle()
    assert bench.ended(flush) == "ok"


@pytest.mark.spec("MERGE-22")
def test_a_discard_of_a_merge_with_features_succeeds_and_changes_nothing() -> None:
    features = "P 8 1 discard_zeroes_cow"
    bench = Bench(setup(features) + "write snap 8 8 #1\nsuspend origin\nsuspend snap\n")
    bench.play(f'load origin "0 32 snapshot-merge base cow {features}"')
    bench.start("resume origin")
    assert bench.ended(bench.start("discard origin 8 8")) == "ok"
    bench.play("discard origin 0 32 -> ok\nread origin 0 32 -> #1000+8 #1+8 #1016+16")


@pytest.mark.spec("MERGE-23")
def test_a_run_ends_where_the_origin_ends() -> None:
    bench = Bench(setup(base=20) + "write snap 8 12 #1\nremove snap\nremove origin\n")
    bench.start('create merge "0 20 snapshot-merge base cow P 8"')
    bench.settle_but("read cow 16 12")
    bench.finish("read cow 16 12")
    assert bench.flights == ["write base 8 12"]


@pytest.mark.spec("MERGE-28")
def test_a_merge_from_disk_goes_on_where_one_before_was_ended() -> None:
    bench = merging("write snap 8 8 #1\nwrite snap 24 8 #50\n")
    suspend = bench.start("suspend origin")
    bench.settle()
    assert bench.ended(suspend) == "ok"
    bench.play("remove origin\nremove snap\nmetadata cow -> store valid=1 version=1 chunk_size=8 1>2")
    bench.play(f"create origin {MERGE} -> ok\nsettle origin -> ok\nread base 0 32 -> #1000+8 #1+8 #1016+8 #50+8")
