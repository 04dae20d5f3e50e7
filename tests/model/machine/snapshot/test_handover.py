import pytest
from tests.model._play import Bench, play, setup

MERGE = '"0 32 snapshot-merge base cow P 8"'
HAND_OVER = f"suspend origin\nsuspend snap\nload origin {MERGE}\n"
"""What comes before the resume that begins the merge."""


@pytest.mark.spec("MERGE-24")
def test_the_new_target_takes_all_over_and_the_old_one_is_dead() -> None:
    bench = Bench(setup("PO 8", cow=24) + "write snap 8 8 #1\nwrite snap 0 8 #1 -> error EIO\n" + HAND_OVER)
    bench.play("resume origin -> ok")
    bench.play(
        """
table snap -> "0 32 snapshot base cow P 0"
status snap -> "0 32 snapshot Invalid"
resume snap -> ok
read snap 0 8 -> error EIO
suspend origin
status origin -> "0 32 snapshot-merge Overflow"
table origin -> "0 32 snapshot-merge base cow P 8"
"""
    )


@pytest.mark.spec("MERGE-24")
def test_a_snapshot_takes_over_from_a_snapshot_and_from_a_merge() -> None:
    again = 'suspend snap\nload snap "0 32 snapshot base cow P 8" -> ok\nresume snap -> ok\n'
    bench = Bench(setup() + "write snap 8 8 #1\n" + again + "read snap 8 8 -> #1+8\n" + HAND_OVER)
    bench.start("resume origin")
    suspend = bench.start("suspend origin")
    bench.settle()
    assert bench.ended(suspend) == "ok"
    bench.play('remove snap\ncreate snap\nload snap "0 32 snapshot base cow P 8" -> ok\nresume snap -> ok')
    bench.play('status snap -> "0 32 snapshot 16/104 16"\nstatus origin -> "0 32 snapshot-merge Invalid"')


@pytest.mark.spec("MERGE-25")
def test_a_handover_waits_for_its_source_to_be_suspended_and_the_source_for_it() -> None:
    play(
        setup()
        + f"""
write snap 8 8 #1
suspend origin
load origin {MERGE}
resume origin -> error EINVAL "snapshots: Unable to perform snapshot handover until source is suspended."
suspend snap
resume snap -> error EINVAL "snapshots: Unable to resume snapshot source until handover completes."
resume origin -> ok
settle origin -> ok
resume snap -> ok
"""
    )


@pytest.mark.spec("MERGE-26")
def test_without_its_source_a_merge_is_the_origin_and_the_store_stays_valid() -> None:
    play(
        setup()
        + f"""
write snap 8 8 #1
suspend origin
load origin {MERGE}
remove snap -> ok
resume origin -> ok
status origin -> "0 32 snapshot-merge Invalid"
read origin 0 32 -> #1000+32
write origin 0 1 #70 -> ok
metadata cow -> store valid=1 version=1 chunk_size=8 1>2
"""
    )


@pytest.mark.spec("MERGE-27")
def test_a_handover_waits_until_the_origin_has_no_write_that_waits_for_an_exception() -> None:
    handed = f"create merge\nload merge {MERGE}\n"
    bench = Bench(setup() + "write snap 8 8 #1\nsuspend snap\n" + handed)
    write = bench.start("write origin 0 8 #70")
    resume = bench.start("resume merge")
    held = bench.start("write origin 16 8 #80")
    assert bench.flights == ["read base 0 8"]
    assert bench.ended(resume) is None
    bench.settle()
    assert [bench.ended(key) for key in (write, resume, held)] == ["ok", "ok", "ok"]
    bench.play("read base 8 8 -> #1+8\nread base 0 1 -> #1000\nread base 16 1 -> #80")


_SECOND = 'disk cow2 104\ncreate second "0 32 snapshot base cow2 P 16"\nsuspend second\n'


@pytest.mark.spec("DEV-30")
def test_a_snapshot_that_holds_the_merging_device_waits_for_a_suspension_of_it() -> None:
    bench = Bench(setup() + _SECOND + "write snap 8 8 #1\nwrite snap 24 8 #50\n" + HAND_OVER)
    bench.start("resume origin")
    bench.settle_but("read cow 24 8")
    suspend, resume = bench.start("suspend origin"), bench.start("resume second")
    assert [bench.ended(suspend), bench.ended(resume)] == [None, None]
    bench.settle()
    assert [bench.ended(suspend), bench.ended(resume)] == ["ok", "ok"]
    bench.play('status origin -> "0 32 snapshot-merge 24/104 16"')  # one of two runs is left: the merge did not go on


@pytest.mark.spec("DEV-30")
@pytest.mark.parametrize("operation", ["suspend origin", "remove origin"])
def test_what_is_asked_of_a_device_that_a_snapshot_holds_waits(operation: str) -> None:
    bench = Bench(setup() + _SECOND + "write snap 8 8 #1\nwrite snap 24 8 #50\n" + HAND_OVER)
    bench.start("resume origin")
    bench.settle_but("read cow 24 8")
    resume, other = bench.start("resume second"), bench.start(operation)
    assert [bench.ended(resume), bench.ended(other)] == [None, None]
    bench.finish("read cow 24 8")
    bench.finish("write base 24 8", "flush base", "flush cow", "write cow 8 8 fua")
    assert bench.ended(resume) == "ok"
    bench.settle()
    assert bench.ended(other) == "ok"


@pytest.mark.spec("MERGE-27")
def test_a_merge_that_runs_on_the_origin_stops_for_a_snapshot_and_goes_on() -> None:
    second = 'disk cow2 104\ncreate second "0 32 snapshot base cow2 P 16"\nsuspend second\n'
    bench = Bench(setup() + second + "write snap 8 8 #1\nwrite snap 24 8 #50\n" + HAND_OVER)
    bench.start("resume origin")
    bench.settle_but("read cow 24 8")
    resume = bench.start("resume second")
    write = bench.start("write origin 0 1 #70")
    bench.settle_but("write base 24 8")
    assert bench.ended(resume) is None
    bench.finish("write base 24 8", "flush base", "flush cow", "write cow 8 8 fua")
    assert bench.ended(resume) == "ok"
    assert bench.flights == ["read base 0 16", "requeue"]  # it goes on, for which the new one saves its first chunk
    bench.settle()
    assert bench.ended(write) == "ok"
    bench.play("read base 0 32 -> #70 #1001+7 #1+8 #1016+8 #50+8\nread second 0 32 -> #1000+32")
