import pytest
from tests.model._play import Bench, play, setup

import snapmerge as sm

LINEAR = 'disk base 32\ncreate dev "0 32 linear base 0"\n'


@pytest.mark.spec("DEV-2")
@pytest.mark.spec("WORLD-1")
def test_a_suspended_device_holds_io_back_and_lets_it_in_in_its_order() -> None:
    bench = Bench(LINEAR + "suspend dev -> ok")
    keys = [bench.start(line) for line in ("write dev 0 1 #1", "write dev 0 1 #2", "read dev 0 1")]
    assert bench.flights == []
    assert [bench.ended(key) for key in keys] == [None, None, None]
    assert bench.ended(bench.start("resume dev")) == "ok"
    for _ in range(3):  # another thread lets them in, one after the other
        assert bench.flights[-1] == "requeue"
        bench.finish("requeue")
    assert bench.flights == ["write base 0 1", "write base 0 1", "read base 0 1"]
    bench.settle()
    assert [bench.ended(key) for key in keys] == ["ok", "ok", "#2"]


@pytest.mark.spec("DEV-3")
def test_a_suspension_waits_for_the_io_in_flight_and_holds_back_what_comes() -> None:
    bench = Bench(LINEAR)
    write = bench.start("write dev 0 1 #1")
    suspend, late = bench.start("suspend dev"), bench.start("write dev 1 1 #2")
    assert bench.ended(suspend) is None
    assert bench.flights == ["write base 0 1"]
    bench.finish("write base")
    assert [bench.ended(write), bench.ended(suspend), bench.ended(late)] == ["ok", "ok", None]


@pytest.mark.spec("DEV-3")
def test_whoever_finds_a_device_suspended_by_another_when_its_turn_comes_is_refused() -> None:
    bench = Bench(LINEAR)
    bench.start("write dev 0 1 #1")
    first, second = bench.start("suspend dev"), bench.start("suspend dev")
    bench.finish("write base")
    assert [bench.ended(first), bench.ended(second)] == ["ok", "error EINVAL"]
    assert bench.ended(bench.start("suspend dev")) == "ok"


@pytest.mark.spec("DEV-3")
def test_a_suspension_waits_for_a_write_that_waits_for_an_exception() -> None:
    bench = Bench(setup())
    bench.start("write origin 0 8 #1")
    suspend = bench.start("suspend origin")
    bench.settle_but("write base")
    assert bench.ended(suspend) is None
    bench.settle()
    assert bench.ended(suspend) == "ok"


@pytest.mark.spec("DEV-6")
def test_a_new_device_has_no_table() -> None:
    play('create dev -> ok\nstatus dev -> ""\ntable dev -> ""\nevents dev -> 0\nflush dev -> error EIO')


@pytest.mark.spec("DEV-7")
def test_a_table_is_inactive_until_a_resume_and_replaces_another() -> None:
    play(
        LINEAR
        + """
load dev "0 8 linear base 8" -> ok
load dev "0 16 linear base 16" -> ok
table dev -> "0 32 linear base 0"
write dev 0 1 #1
resume dev -> ok
table dev -> "0 16 linear base 16"
write dev 0 1 #2
read base 0 17 -> #1 #0x15 #2
"""
    )


@pytest.mark.spec("DEV-7")
def test_tables_that_are_replaced_are_destroyed() -> None:
    session = play(setup() + 'load snap "0 32 linear base 0"\nload snap "0 32 linear base 0"\nresume snap')
    assert len(session.world.stack.targets) == 2
    assert not session.world.stack.shared


@pytest.mark.spec("DEV-8")
def test_a_resume_with_nothing_to_resume() -> None:
    play("create dev\nresume dev -> ok\nsuspend dev -> ok\nsuspend dev -> ok\nresume dev -> error EINVAL")
    play(LINEAR + "resume dev -> ok\nsuspend dev\nresume dev -> ok\nread dev 0 1 -> #0")


@pytest.mark.spec("DEV-8")
def test_a_resume_suspends_a_live_device_first() -> None:
    bench = Bench(LINEAR + 'load dev "0 32 linear base 0"')
    bench.start("write dev 0 1 #1")
    resume = bench.start("resume dev")
    assert bench.ended(resume) is None
    bench.settle()
    assert bench.ended(resume) == "ok"


@pytest.mark.spec("DEV-9")
def test_a_device_in_use_is_not_removed() -> None:
    play(
        LINEAR
        + """
create upper
load upper "0 32 linear dev 0"
remove dev -> error EBUSY
remove upper -> ok
suspend dev
start 1 read dev 0 1
remove dev -> error EBUSY
resume dev
finish 1 -> #0
remove dev -> ok
"""
    )


@pytest.mark.spec("DEV-10")
def test_no_target_takes_messages() -> None:
    play(setup() + 'message snap "lookup 0" -> error EINVAL\nmessage origin "" -> error EINVAL')


@pytest.mark.spec("DEV-12")
@pytest.mark.parametrize(
    "line",
    [
        'load x "0 1 linear base 0"',
        "resume x",
        "suspend x",
        "remove x",
        "message x m",
        "status x",
        "table x",
        "events x",
        "settle x",
    ],
)
def test_a_device_that_nobody_knows_is_enxio(line: str) -> None:
    play(f"disk base 8\n{line} -> error ENXIO")


@pytest.mark.spec("DEV-12")
def test_a_name_is_given_once() -> None:
    play(LINEAR + 'create dev -> error EBUSY\ncreate dev "0 1 linear base 0" -> error EBUSY\nread dev 0 32 -> #0x32')
    with pytest.raises(sm.OperationError):
        play(LINEAR + "create base")


@pytest.mark.spec("DEV-14")
def test_a_snapshot_counts_for_its_origin_from_construction_on() -> None:
    small = 'disk cow2 104\ncreate small\nload small "0 32 snapshot base cow2 P 4"\nsuspend origin\nresume origin'
    bench = Bench(setup() + small)
    bench.start("write origin 0 8 #1")
    assert sorted(bench.flights) == ["read base 0 8", "requeue"]
    bench.play("remove small\nsuspend origin\nresume origin")
    bench.start("write origin 8 8 #1")
    assert bench.flights == ["read base 8 8"]


@pytest.mark.spec("DEV-15")
@pytest.mark.parametrize("line", ["remove snap", "resume snap"])
def test_an_old_target_lives_until_its_exceptions_are_done(line: str) -> None:
    bench = Bench(setup() + 'load snap "0 32 linear base 0"')
    write, end = bench.start("write origin 0 8 #1"), bench.start(line)
    late = bench.start("write origin 8 8 #20")
    assert bench.flights == ["read base 0 8", "write base 8 8"]  # it is not asked any more
    assert bench.ended(end) is None
    bench.settle()
    assert [bench.ended(key) for key in (write, end, late)] == ["ok", "ok", "ok"]


@pytest.mark.spec("DEV-15")
def test_nor_is_it_forgotten_when_the_resume_is_refused() -> None:
    bench = Bench(setup() + 'disk cow2 104\ncreate other "0 32 snapshot base cow2 P 8"\n')
    bench.play('load snap "0 32 snapshot base cow2 P 8" -> ok')
    bench.start("write origin 0 8 #1")
    resume = bench.start("resume snap")
    assert bench.ended(resume) is None
    bench.settle()
    refused = "snapshots: Unable to perform snapshot handover until source is suspended."
    assert bench.ended(resume) == f'error EINVAL "{refused}"'
    assert len(bench.world.stack.targets) == 3


@pytest.mark.spec("DEV-16")
def test_io_held_back_for_sectors_that_are_gone_fails() -> None:
    bench = Bench(LINEAR + "suspend dev")
    keys = [bench.start(line) for line in ("read dev 4 4", "read dev 4 8", "write dev 8 1 #1")]
    bench.play('load dev "0 8 linear base 0"\nresume dev -> ok')
    bench.settle()
    assert [bench.ended(key) for key in keys] == ["#0x4", "error EIO", "error EIO"]


@pytest.mark.spec("DEV-16")
def test_of_io_held_back_that_reaches_beyond_the_new_table_no_part_is_done() -> None:
    bench = Bench(LINEAR + "suspend dev")
    keys = [bench.start(line) for line in ("write dev 4 8 #1", "discard dev 4 8")]
    bench.play('load dev "0 8 linear base 0"\nresume dev -> ok')
    bench.settle()
    assert [bench.ended(key) for key in keys] == ["error EIO", "error EIO"]
    bench.play("read dev 0 8 -> #0x8")


@pytest.mark.spec("DEV-18")
def test_no_device_is_above_itself() -> None:
    session = play(LINEAR + 'create upper "0 32 linear dev 0"\ncreate top\nload top "0 32 snapshot-origin upper"')
    with pytest.raises(sm.OperationError):
        play('load dev "0 32 snapshot-origin top"', session)


@pytest.mark.spec("DEV-19")
def test_what_is_asked_of_a_device_waits_for_what_was_asked_before() -> None:
    bench = Bench(setup() + 'load snap "0 32 snapshot base cow P 8"')
    bench.start("write origin 0 8 #1")
    resume, remove, again = bench.start("resume snap"), bench.start("remove snap"), bench.start("remove snap")
    assert [bench.ended(key) for key in (resume, remove, again)] == [None, None, "error ENXIO"]
    bench.settle()
    assert [bench.ended(key) for key in (resume, remove)] == ["ok", "ok"]


@pytest.mark.spec("DEV-23")
def test_a_removal_frees_the_name_before_it_ends() -> None:
    below = 'create below "0 104 linear cow 0"\ncreate snap "0 32 snapshot base below P 8"\n'
    bench = Bench(setup() + f"remove snap\n{below}suspend below")
    write, remove = bench.start("write origin 0 1 #1"), bench.start("remove snap")
    bench.settle()
    bench.play(
        """
status snap -> error ENXIO
remove snap -> error ENXIO
create up "0 32 linear snap 0" -> error ENXIO "linear: Device lookup failed"
create snap "0 32 linear base 0"
status snap -> "0 32 linear"
resume below
"""
    )
    bench.settle()
    assert [bench.ended(key) for key in (write, remove)] == ["ok", "ok"]
    bench.play('status snap -> "0 32 linear"\nremove snap\ncreate snap "0 32 snapshot base below P 8"')
    bench.play('status snap -> "0 32 snapshot 24/104 16"')


@pytest.mark.spec("DEV-19")
def test_tables_of_one_device_are_loaded_one_after_another_beside_its_other_requests() -> None:
    bench = Bench("disk base 32\ndisk a 64\ndisk b 64\ncreate dev")
    first = bench.start('load dev "0 32 snapshot base a P 8"')
    second = bench.start('load dev "0 32 snapshot base b P 4"')
    bad = bench.start('load dev "0 32 snapshot base b Q 4"')
    assert bench.flights == ["read a 0 8"]
    assert [bench.ended(key) for key in (bench.start("suspend dev"), second, bad)] == ["ok", None, None]
    bench.settle_but("read b")
    assert [bench.ended(key) for key in (first, second, bad)] == ["ok", None, None]
    bench.settle()
    refused = 'error EINVAL "snapshot: Couldn\'t create exception store"'
    assert [bench.ended(second), bench.ended(bad)] == ["ok", refused]
    bench.play('resume dev\ntable dev -> "0 32 snapshot base b P 4"')


@pytest.mark.spec("DEV-19")
def test_a_removal_waits_for_loads_and_their_tables_are_refused() -> None:
    bench = Bench("disk base 32\ndisk a 64\ncreate gone")
    loads = [bench.start(f'load gone "0 32 {args}"') for args in ("snapshot base a P 8", "linear base 0")]
    removed = bench.start("remove gone")
    assert bench.ended(removed) is None
    bench.play("create gone")
    bench.settle()
    refused = "error ENXIO"
    assert [bench.ended(key) for key in (removed, *loads)] == ["ok", refused, refused]
    assert not bench.world.stack.targets


@pytest.mark.spec("DEV-17")
def test_a_snapshot_of_a_snapshot() -> None:
    play(
        setup()
        + """
disk cow2 64
create top "0 32 snapshot snap cow2 P 4" -> ok
create below "0 32 snapshot-origin snap" -> ok
write below 3 9 #200 -> ok
read top 0 32 -> #1000+32
read snap 0 32 -> #1000+3 #200+9 #1012+20
read base 0 32 -> #1000+32
suspend snap
start 1 write below 16 4 #300
finish 1 -> blocked
resume snap
finish 1 -> ok
suspend below
suspend top
load below "0 32 snapshot-merge snap cow2 P 4"
resume below -> ok
settle below -> ok
read snap 0 32 -> #1000+32
"""
    )


@pytest.mark.spec("DEV-17")
def test_a_snapshot_of_slices_of_one_disk() -> None:
    play(
        """
disk disk 128
write disk 0 32 #1000
create base "0 32 linear disk 0"
create cow "0 96 linear disk 32"
create snap "0 32 snapshot base cow P 8" -> ok
write snap 4 8 #1 -> ok
read snap 0 16 -> #1000+4 #1+8 #1012+4
read disk 0 32 -> #1000+32
read disk 48 16 -> #1000+4 #1+8 #1012+4
"""
    )
