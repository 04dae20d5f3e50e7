"""The ``snapshot-merge`` that was proposed in 2009, as intended: its bios and its worker."""

import pytest
from tests.model._play import Bench, play

import snapmerge as sm

BASE = """
disk base 4
disk cow 16
write base 0 4 #1001
flush base
create origin "0 4 snapshot-origin base"
create snap "0 4 snapshot base cow P 1"
suspend origin
resume origin
"""
TABLE = '"0 4 snapshot-merge origin cow P 1"'
WRITTEN = "write snap 1 1 #21\nwrite snap 3 1 #23\nflush snap\nsuspend snap\n"


def merging(text: str = WRITTEN, table: str = TABLE) -> Bench:
    """A merge whose store has been read, and whose worker has been called."""
    bench = Bench(BASE + text, sm.CONCEPT)
    bench.start(f"create merge {table}")
    while any(flight.startswith(("read cow 0 ", "read cow 1 ", "fetch")) for flight in bench.flights):
        bench.finish(bench.flights[0])
    return bench


def done(bench: Bench) -> list[str]:
    """Everything that is carried out from now on, by the canonical schedule."""
    seen = []
    while bench.flights:
        seen.append(bench.flights[0])
        bench.finish(bench.flights[0])
    return [flight for flight in seen if flight != "requeue"]


@pytest.mark.spec("CONCEPT-20", "CONCEPT-22")
def test_chunks_are_copied_ascending_and_then_the_end_is_flushed_and_recorded() -> None:
    copies = ["read cow 2 1", "write base 1 1", "read cow 3 1", "write base 3 1"]
    assert done(merging()) == [*copies, "flush base", "flush cow; write cow 1 1 fua", "write cow 1 1 fua"]


@pytest.mark.spec("CONCEPT-1")
def test_the_device_shows_the_snapshot_at_every_moment() -> None:
    bench = merging()
    while bench.world.flights:
        session = bench.session
        bench.play("read merge 0 4 -> #1001 #21 #1003 #23")
        bench.session = session
        bench.finish(bench.flights[0])
    bench.play("read base 0 4 -> #1001 #21 #1003 #23")


@pytest.mark.spec("CONCEPT-9")
def test_only_a_write_to_the_chunk_at_hand_waits() -> None:
    bench = merging()
    bench.settle_but("read cow 2 1")
    write = bench.start("write merge 1 1 #31")
    others = [bench.start(f"write merge {at} 1 #{at + 40}") for at in (0, 2, 3)]
    read = bench.start("read merge 1 1")
    bench.settle_but("read cow 2 1")  # of the two that are in flight the copy's is first
    assert bench.ended(write) is None
    bench.finish("read cow 2 1")
    assert [bench.ended(key) for key in others] == ["ok"] * 3
    bench.settle()
    assert bench.ended(write) == "ok"
    assert bench.ended(read) == "#21"


@pytest.mark.spec("CONCEPT-21")
def test_a_write_to_a_copied_chunk_goes_to_both_homes_until_the_end_is_recorded() -> None:
    bench = merging()
    bench.settle_but("read cow 3 1")
    write = bench.start("write merge 1 1 #31")
    assert bench.flights == ["read cow 3 1", "write base 1 1"]
    bench.finish("write base 1 1")
    assert bench.ended(write) is None
    assert bench.flights == ["read cow 3 1", "write cow 2 1"]
    bench.finish("write cow 2 1")
    assert bench.ended(write) == "ok"
    bench.settle()
    bench.start("write merge 1 1 #32")
    assert bench.flights == ["write base 1 1"]


@pytest.mark.spec("CONCEPT-21")
def test_a_chunk_is_copied_only_when_writes_to_it_have_ended() -> None:
    bench = merging()
    bench.start("write merge 3 1 #31")
    bench.settle_but("write cow 3 1")
    assert bench.flights == ["write cow 3 1"]
    bench.settle()
    bench.play("read base 3 1 -> #31")


@pytest.mark.spec("CONCEPT-13")
def test_nobody_else_writes_to_the_destination() -> None:
    play(
        BASE + WRITTEN + f"create merge {TABLE}\n"
        "write origin 0 1 #5 -> error EBUSY\nread origin 0 1 -> #1001\nwrite merge 0 1 #6\nread origin 0 1 -> #6\n"
        "remove merge\nwrite origin 0 1 #7 -> ok\n",
        sm.Session.new(sm.CONCEPT),
    )


@pytest.mark.spec("CONCEPT-13")
def test_a_merge_does_not_begin_while_somebody_is_writing_to_its_destination() -> None:
    play(
        BASE + WRITTEN + "suspend origin\nstart 1 write origin 0 1 #5\n"
        f"create merge {TABLE} -> "
        'error EINVAL "snapshots: The usable_origin device is being written to."\n',
        sm.Session.new(sm.CONCEPT),
    )


@pytest.mark.spec("CONCEPT-2")
@pytest.mark.parametrize("destination", ["origin", "base"])
def test_other_snapshots_keep_what_they_show(destination: str) -> None:
    play(
        BASE.replace("suspend origin", 'disk other 16\ncreate beside "0 4 snapshot base other P 1"\nsuspend origin')
        + WRITTEN
        + f'create merge "0 4 snapshot-merge {destination} cow P 1"\nsettle merge\nwrite merge 0 1 #31\n'
        + "read base 0 4 -> #31 #21 #1003 #23\nread beside 0 4 -> #1001+4\n",
        sm.Session.new(sm.CONCEPT),
    )


@pytest.mark.spec("CONCEPT-6")
@pytest.mark.parametrize(("store", "size"), [("N", 1), ("P", 4)])
def test_a_chunk_is_copied_once_beside_a_snapshot_that_overflows_because_of_it(store: str, size: int) -> None:
    other = f'disk small {size}\ncreate other "0 4 snapshot base small {store} 2"\n'
    bench = merging(other + WRITTEN, TABLE.replace("origin", "base"))
    assert [flight for flight in done(bench) if flight.startswith("write base")] == ["write base 1 1", "write base 3 1"]
    bench.play('status merge -> "0 4 snapshot-merge 4/4"\nevents merge -> 1\nstatus other -> "0 4 snapshot Invalid"')


@pytest.mark.spec("CONCEPT-16")
def test_a_failed_copy_ends_the_merge_and_what_waits_and_a_resume_tries_again() -> None:
    play(
        BASE + WRITTEN + f"fault base write 3 1\ncreate merge {TABLE}\nsettle merge\n"
        'status merge -> "0 4 snapshot-merge Merge failed"\nread merge 0 4 -> #1001 #21 #1003 #23\n'
        "heal base\nsuspend merge\nresume merge\nread base 0 4 -> #1001 #21 #1003 #23\nmetadata cow -> store "
        'valid=1 version=1 chunk_size=1\nstatus merge -> "0 4 snapshot-merge 4/4"\nevents merge -> 1\n',
        sm.Session.new(sm.CONCEPT),
    )


@pytest.mark.spec("CONCEPT-16")
def test_a_write_that_waits_for_a_copy_that_fails_fails() -> None:
    bench = merging()
    bench.settle_but("read cow 2 1")
    write = bench.start("write merge 1 1 #31")
    bench.fail("read cow 2 1")
    bench.settle()
    assert bench.ended(write) == "error EIO"


@pytest.mark.spec("CONCEPT-14")
def test_one_event_tells_the_end_of_a_merge_that_had_something_to_merge() -> None:
    play(
        BASE + WRITTEN + f"create merge {TABLE}\nsettle merge\nevents merge -> 1\nsuspend merge\nresume merge\n"
        f"settle merge\nevents merge -> 1\nremove merge\ncreate merge {TABLE}\nsettle merge\nevents merge -> 0\n",
        sm.Session.new(sm.CONCEPT),
    )


@pytest.mark.spec("CONCEPT-18")
def test_exceptions_outside_of_the_target_are_not_thrown_away() -> None:
    play(
        BASE + WRITTEN + 'create merge "0 2 linear origin 0; 2 2 snapshot-merge origin cow P 1"\nsettle merge\n'
        'status merge -> "0 2 linear; 2 2 snapshot-merge Merge failed"\nremove merge\n'
        f"metadata cow -> store valid=1 version=1 chunk_size=1 1>2 3>3\ncreate merge {TABLE}\nsettle merge\n"
        "read base 0 4 -> #1001 #21 #1003 #23\n",
        sm.Session.new(sm.CONCEPT),
    )


@pytest.mark.spec("CONCEPT-10")
def test_the_last_chunk_is_copied_up_to_the_end_of_the_target() -> None:
    text = 'disk base 4\ndisk cow 32\nwrite base 0 4 #1001\ncreate snap "0 3 snapshot base cow P 2"\n'
    text += 'write snap 2 1 #23\nsuspend snap\nwrite base 3 1 #99\ncreate merge "0 3 snapshot-merge base cow P 2"\n'
    play(text + "settle merge\nread base 0 4 -> #1001+2 #23 #99\n", sm.Session.new(sm.CONCEPT))


@pytest.mark.spec("CONCEPT-2")
def test_every_chunk_of_a_sibling_is_saved_when_the_target_begins_inside_one() -> None:
    play(
        "disk base 4\ndisk cow 16\ndisk other 32\nwrite base 0 4 #1001\nflush base\n"
        'create origin "0 4 snapshot-origin base"\ncreate snap "0 4 snapshot base cow P 4"\n'
        'create beside "0 4 snapshot base other P 2"\nsuspend origin\nresume origin\nwrite snap 0 4 #21\n'
        "suspend snap\n"
        'create merge "0 1 linear base 0; 1 2 snapshot-merge base cow P 4; 3 1 linear base 3"\nsettle merge\n'
        "read merge 0 4 -> #1001 #22+2 #1004\nread beside 0 4 -> #1001+4\n",
        sm.Session.new(sm.CONCEPT),
    )


@pytest.mark.spec("CONCEPT-2")
def test_a_snapshot_with_smaller_chunks_that_comes_later_does_not_change() -> None:
    play(
        "disk base 4\ndisk cow 16\ndisk other 32\nwrite base 0 4 #1001\n"
        'create snap "0 4 snapshot base cow P 2"\nsuspend snap\n'
        'create merge "0 4 snapshot-merge base cow P 2"\ncreate beside "0 4 snapshot base other P 1"\n'
        "write merge 2 2 #31\nread beside 0 4 -> #1001+4\n",
        sm.Session.new(sm.CONCEPT),
    )


@pytest.mark.spec("CONCEPT-13")
def test_nobody_else_writes_to_the_destination_while_the_store_is_read() -> None:
    bench = Bench(BASE + WRITTEN, sm.CONCEPT)
    bench.start(f"create merge {TABLE}")
    assert bench.flights == ["read cow 0 1"]
    assert bench.ended(bench.start("write origin 0 1 #77")) == "error EBUSY"
    bench.settle()
    bench.play("read merge 0 4 -> #1001 #21 #1003 #23")


@pytest.mark.spec("CONCEPT-13")
def test_a_write_on_its_way_to_a_disk_keeps_a_merge_from_it() -> None:
    bench = Bench(BASE + WRITTEN, sm.CONCEPT)
    write = bench.start("write origin 1 1 #77")
    create = bench.start('create merge "0 4 snapshot-merge base cow P 1"')
    bench.settle()
    assert bench.ended(create) == 'error EINVAL "snapshots: The usable_origin device is being written to."'
    assert bench.ended(write) == "ok"


@pytest.mark.spec("CONCEPT-22")
def test_after_the_end_a_flush_is_of_the_destination_only() -> None:
    play(
        BASE + WRITTEN + f"create merge {TABLE}\nsettle merge\nfault cow flush 0 1\nwrite merge 0 1 #31\n"
        "flush merge -> ok\n",
        sm.Session.new(sm.CONCEPT),
    )


@pytest.mark.spec("CONCEPT-21")
def test_writes_to_a_chunk_with_two_homes_take_turns() -> None:
    bench = merging()
    bench.settle_but("read cow 3 1")
    first, second = bench.start("write merge 1 1 #31"), bench.start("write merge 1 1 #32")
    assert bench.flights == ["read cow 3 1", "write base 1 1"]
    bench.finish("write base 1 1", "write cow 2 1")
    assert bench.ended(first) == "ok"
    assert bench.flights == ["read cow 3 1", "write base 1 1"]
    bench.finish("write base 1 1", "write cow 2 1")
    assert bench.ended(second) == "ok"
    bench.play("read cow 2 1 -> #32\nread base 1 1 -> #32")


@pytest.mark.spec("CONCEPT-22")
def test_the_end_is_told_when_nothing_is_on_its_way_to_the_cow_device() -> None:
    bench = merging()
    bench.settle_but("read cow 3 1")
    bench.start("write merge 1 1 #31")
    bench.finish("write base 1 1")
    bench.settle_but("write cow 2 1")
    assert bench.flights == ["write cow 2 1"]
    assert bench.world.stack.devices["merge"].events == 0
    bench.finish("write cow 2 1")
    assert bench.world.stack.devices["merge"].events == 1
