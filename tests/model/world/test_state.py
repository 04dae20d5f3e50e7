from random import Random

import pytest
from tests.model._play import Bench, play, setup

import snapmerge as sm

DISK = 'disk d 4\ncreate dev "0 4 linear d 0"\n'


def contents(world: sm.World) -> set[tuple[sm.Content | sm.Unknown, ...]]:
    """What disk ``d`` may hold after a power cut."""
    return {after.disks["d"].read(0, 4) for after in sm.crashes(world)}


@pytest.mark.spec("WORLD-5")
def test_each_sector_has_its_own_fate() -> None:
    world = play(DISK + "write dev 0 2 #1\nflush dev\nwrite dev 0 2 #10\nwrite dev 0 1 #20").world
    assert contents(world) == {(first, second, 0, 0) for first in (20, 10, 1) for second in (11, 2)}


@pytest.mark.spec("WORLD-5")
def test_what_is_on_its_way_may_have_arrived_in_part() -> None:
    bench = Bench(DISK)
    bench.start("write dev 1 2 #1")
    assert contents(bench.world) == {(0, a, b, 0) for a in (0, 1) for b in (0, 2)}


@pytest.mark.spec("WORLD-4")
def test_a_flush_covers_what_was_written_when_it_was_sent() -> None:
    bench = Bench(DISK + "write dev 0 1 #1")
    flush, write = bench.start("flush dev"), bench.start("write dev 1 1 #2")
    bench.finish("write d", "flush d")
    assert [bench.ended(flush), bench.ended(write)] == ["ok", "ok"]
    assert contents(bench.world) == {(1, 2, 0, 0), (1, 0, 0, 0)}


@pytest.mark.spec("WORLD-4")
def test_flushes_end_in_any_order() -> None:
    bench = Bench(DISK + "write dev 0 1 #1")
    bench.start("flush dev")
    bench.start("write dev 0 1 #2")
    bench.finish("write d")
    bench.start("flush dev")
    first, second = bench.world.flights
    world = sm.finish(bench.world, second)
    assert contents(world) == {(2, 0, 0, 0)}
    assert contents(sm.finish(world, world.flights[0])) == {(2, 0, 0, 0)}
    assert contents(sm.finish(bench.world, first)) == {(2, 0, 0, 0), (1, 0, 0, 0)}


@pytest.mark.spec("WORLD-4")
def test_a_flush_of_the_disk_itself_leaves_less_to_the_flushes_in_flight() -> None:
    bench = Bench(DISK + "write dev 0 1 #1")
    bench.start("flush dev")
    bench.start("flush d")
    bench.start("write d 0 1 #2")
    assert contents(bench.world) == {(2, 0, 0, 0), (1, 0, 0, 0)}
    bench.finish("flush d")
    assert contents(bench.world) == {(2, 0, 0, 0), (1, 0, 0, 0)}


@pytest.mark.spec("WORLD-4")
@pytest.mark.spec("WORLD-8")
def test_a_flush_covers_what_a_durable_write_could_not_replace() -> None:
    bench = Bench(setup(cow=32) + "write snap 0 16 #1\nflush snap\nwrite cow 0 8 #5\nfault cow write 0 8")
    bench.start("flush snap")
    bench.start("write snap 16 8 #100")
    bench.finish("write cow 0 8 fua", "flush cow")
    assert {after.disks["cow"].read(0, 8) for after in sm.crashes(bench.world)} == {tuple(range(5, 13))}


@pytest.mark.parametrize("seed", range(20))
def test_disks_are_changed_directly_while_flushes_are_in_flight(seed: int) -> None:
    session, draw = sm.Session.new(), Random(seed).randrange
    trace = """
disk base 20
disk cow1 55
create lower "0 20 linear base 0"
create snap1 "0 20 snapshot lower cow1 PO 8"
start 1 flush snap1
flush cow1
finish 1
"""
    for step in sm.parse_trace(trace):
        result, session = sm.operate(session, step.operation, lambda count, _: draw(count))
        assert result == sm.Done()


@pytest.mark.spec("WORLD-6")
def test_a_power_cut_leaves_no_device_and_what_was_durable() -> None:
    after = play(setup() + "write origin 0 8 #1\nflush origin\ncrash\nread base 0 9 -> #1+8 #1008").world
    assert after.stack.devices == play("").world.stack.devices
    assert not after.flights
    with pytest.raises(sm.OperationError):
        play("read origin 0 8", sm.Session(after))


@pytest.mark.spec("WORLD-7")
@pytest.mark.spec("ORACLE-3")
def test_a_sector_left_open_is_what_it_was_read_as() -> None:
    oracle = sm.Oracle()
    for line in ("disk d 1", "write d 0 1 #1", "crash"):
        assert oracle.observe(sm.parse_operation(line), sm.Done()) is None
    read = sm.parse_operation("read d 0 1")
    assert oracle.observe(read, sm.Data((0,))) is None
    assert isinstance(oracle.observe(read, sm.Data((1,))), sm.Divergence)
    assert oracle.observe(read, sm.Data((0,))) is None


@pytest.mark.spec("WORLD-7")
def test_two_copies_of_an_open_sector_are_equal() -> None:
    session = play(
        """
disk base 8
disk cow 32
write base 0 8 #1
crash
create snap "0 8 snapshot base cow P 2"
write snap 0 1 #99
"""
    )
    base, session = sm.operate(session, sm.Read("base", sm.Sector(1), sm.Sectors(1)))
    copied, _ = sm.operate(session, sm.Read("snap", sm.Sector(1), sm.Sectors(1)))
    assert base == copied
    assert isinstance(base, sm.Raw)
    assert base.seen() is None


@pytest.mark.spec("WORLD-8")
def test_a_fault_fails_what_touches_it_until_the_disk_is_healed() -> None:
    play(
        DISK
        + """
fault d write 1 1
write dev 0 4 #1 -> error EIO
read dev 0 4 -> #1 #0 #3+2
fault d read 3 1
read dev 0 4 -> error EIO
read d 3 1 -> error EIO
read dev 0 3 -> #1 #0 #3
fault d flush 0 1
flush dev -> error EIO
heal d
flush dev -> ok
write dev 1 1 #9 -> ok
read dev 0 4 -> #1 #9 #3+2
"""
    )


@pytest.mark.spec("WORLD-9")
def test_the_flush_before_a_write_ends_before_the_write_begins() -> None:
    bench = Bench(setup())
    bench.start("write snap 0 8 #1")
    bench.finish("write cow 16 8")
    cow = bench.world.disks["cow"]
    assert cow.durable.get(16) is None
    bench.finish("flush cow; write cow 8 8 fua")
    assert bench.world.disks["cow"].durable[16] == 1
    assert bench.world.disks["cow"].read(8, 1) == (0,)
    bench.finish("write cow 8 8 fua")
    assert bench.world.disks["cow"].durable[8] != 0


@pytest.mark.spec("WORLD-10")
def test_a_copy_holds_what_was_there_when_it_was_read() -> None:
    bench = Bench(setup())
    bench.start("write snap 0 1 #1")
    bench.finish("read base 0 8")
    base = bench.world.disks["base"]
    bench.session = sm.Session(
        sm.World(
            bench.world.stack,
            bench.world.disks.set("base", base.write(0, [77, 78])),
            bench.world.flights,
            bench.world.buffers,
            bench.world.ended,
            bench.world.replies,
            bench.world.rules,
        ),
        bench.session.tasks,
    )
    bench.play("read cow 16 8 -> #1 #1001+7")


@pytest.mark.spec("WORLD-2")
@pytest.mark.spec("WORLD-3")
def test_the_canonical_move_is_the_first_of_the_moves_and_nothing_is_changed_by_looking() -> None:
    bench = Bench(setup())
    bench.start("write origin 0 12 #1")
    bench.start("read snap 0 16")
    while bench.world.flights:
        world = bench.world
        copy = sm.World(world.stack, world.disks, world.flights, world.buffers, world.ended, world.replies, world.rules)
        found = list(sm.moves(world, faults=True))
        assert sm.advance(world) == found[0]
        assert len(found) >= len(world.flights)
        assert world == copy
        assert hash(world) == hash(copy)
        assert list(sm.moves(copy, faults=True)) == found
        bench.finish(bench.flights[0])


@pytest.mark.spec("WORLD-2")
def test_worlds_are_equal_whatever_was_sent_first_and_each_keeps_its_canonical_order() -> None:
    lines = ("write origin 0 8 #1", "read snap 16 8")
    one, other = Bench(setup()), Bench(setup())
    for bench, keys in ((one, (0, 1)), (other, (1, 0))):
        for key in keys:
            bench.start(lines[key], key=key)
    assert one.flights == ["read base 0 8", "read base 16 8"]
    assert other.flights == ["read base 16 8", "read base 0 8"]
    assert one.world == other.world
    assert hash(one.world) == hash(other.world)
    assert sm.advance(one.world) != sm.advance(other.world)
    assert set(sm.moves(one.world)) == set(sm.moves(other.world))
    other.finish("read base 0")
    assert one.world != other.world


@pytest.mark.spec("STORE-6")
@pytest.mark.spec("MERGE-7")
def test_after_a_power_cut_the_records_are_a_prefix_with_all_that_was_acknowledged() -> None:
    bench = Bench(setup("P 1", base=4, cow=40))
    keys = [bench.start(f"write snap {sector} 1 #{sector + 1}") for sector in (2, 0, 3)]
    order, acknowledged = ((2, 2), (0, 3), (3, 4)), 0
    while bench.flights:
        for world in sm.crashes(bench.world):
            found, _ = sm.operate(sm.Session(world), sm.Metadata("cow"))
            assert isinstance(found, sm.Records)
            assert found.records == order[: len(found.records)]
            assert len(found.records) >= acknowledged
        bench.finish(bench.flights[-1])
        acknowledged = sum(key not in bench.session.tasks or bench.ended(key) == "ok" for key in keys)
    assert acknowledged == 3


@pytest.mark.spec("MERGE-7")
def test_a_power_cut_at_any_moment_loses_nothing_that_was_flushed() -> None:
    bench = Bench(
        setup("P 2", base=8, cow=16)
        + "write snap 2 2 #1\nwrite snap 6 2 #50\nflush snap\nsuspend origin\nsuspend snap\n"
    )
    bench.play('load origin "0 8 snapshot-merge base cow P 2"')
    bench.start("resume origin")
    moments = 0
    while bench.flights:
        for world in sm.crashes(bench.world):
            play(
                'create merge "0 8 snapshot-merge base cow P 2" -> ok\nread merge 0 8 -> #1000+2 #1+2 #1004+2 #50+2\n'
                "settle merge -> ok\nread base 0 8 -> #1000+2 #1+2 #1004+2 #50+2",
                sm.Session(world),
            )
            moments += 1
        bench.finish(bench.flights[0])
    assert moments > 10


@pytest.mark.spec("WORLD-6")
def test_a_power_cut_mends_no_disk() -> None:
    play("disk base 8\nfault base read 2 1\ncrash\nread base 0 2 -> #0x2\nread base 2 1 -> error EIO")
