import pytest
from tests.model._play import Bench, play, setup

import snapmerge as sm


@pytest.mark.spec("WORLD-12")
def test_settle_ends_with_the_merge_or_its_failure() -> None:
    merge = 'create merge "0 32 snapshot-merge base cow P 8"'
    text = setup() + "write snap 0 8 #1\nremove snap\nremove origin\n"
    play(text + f"{merge}\nsettle merge -> ok\nread base 0 8 -> #1+8")
    play(
        text + f'fault base write 0 1\n{merge}\nsettle merge -> ok\nstatus merge -> "0 32 snapshot-merge Merge failed"'
    )
    play(text + 'create dev "0 32 linear base 0"\nsettle dev -> ok')


@pytest.mark.spec("WORLD-12")
@pytest.mark.spec("WORLD-13")
def test_settle_waits_for_a_merge_whose_device_is_suspended() -> None:
    two_runs = setup() + "write snap 8 8 #1\nwrite snap 24 8 #1\nsuspend origin\nsuspend snap\n"
    bench = Bench(two_runs + 'load origin "0 32 snapshot-merge base cow P 8"')
    bench.start("resume origin")
    suspend = bench.start("suspend origin")
    bench.settle()
    assert bench.ended(suspend) == "ok"
    with pytest.raises(sm.WouldBlock):
        bench.play("settle origin")
    bench.play("start 1 settle origin\nfinish 1 -> blocked\nresume origin\nfinish 1 -> ok")


@pytest.mark.spec("WORLD-13")
def test_what_would_block_is_refused_and_nothing_has_changed() -> None:
    session = play(setup() + "suspend origin")
    write = sm.parse_operation("write origin 0 1 #1")
    before = session.world
    with pytest.raises(sm.WouldBlock):
        sm.operate(session, write)
    assert session.world == before
    play(
        "start 5 write origin 0 1 #1 -> ok\nfinish 5 -> blocked\nfinish 5 -> blocked\nresume origin\nfinish 5 -> ok",
        session,
    )


@pytest.mark.spec("ORACLE-4")
@pytest.mark.parametrize(
    "line",
    [
        "read nobody 0 1",
        "read snap 32 1",
        "read snap 31 2",
        "read base 32 1",
        "write cow 104 1 #1",
        "fault base read 30 3",
        "metadata snap",
        "finish 9",
        "disk base 8",
        "disk snap 8",
        "create base",
        "load snap nonsense",
        "heal snap",
        "start 1 disk other 8",
        "start 1 fault base read 0 1",
        "start 1 heal base",
        "start 1 crash",
        "start 1 reset",
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_has_changed(line: str) -> None:
    session = play(setup())
    operation = sm.parse_operation(line)
    with pytest.raises(sm.OperationError):
        sm.operate(session, operation)
    oracle = sm.Oracle()
    for step in sm.parse_trace(setup()):
        oracle.observe(step.operation, oracle.expect(step.operation))
    before = oracle.world, list(oracle.history)
    with pytest.raises(sm.OperationError):
        oracle.observe(operation, sm.Done())
    assert (oracle.world, oracle.history) == before


def test_a_key_is_used_for_one_operation_at_a_time() -> None:
    session = play(setup() + "start 1 read snap 0 1")
    with pytest.raises(sm.OperationError):
        play("start 1 read snap 0 1", session)
    play("finish 1 -> #1000\nstart 1 read snap 1 1\nfinish 1 -> #1001", session)


@pytest.mark.parametrize(
    "table",
    ["0 32 snapshot base nobody P 8", "0 99 snapshot-origin base", "0 32 snapshot-merge base cow P 8"],
)
def test_a_create_that_fails_leaves_no_device(table: str) -> None:
    session = play(setup())
    result, after = sm.operate(session, sm.Create("dev", table))
    assert isinstance(result, sm.Failed)
    assert after.world.stack == session.world.stack


def test_a_write_carries_a_tag_more_a_sector() -> None:
    play('disk d 4\ncreate dev "0 4 linear d 0"\nwrite dev 1 3 #7\nread dev 0 4 -> #0 #7+3\nread d 0 4 -> #0 #7+3')


def test_a_store_that_can_not_be_read_is_no_record() -> None:
    play(setup() + "fault cow read 8 1\nmetadata cow -> error EIO\nheal cow\nmetadata base -> foreign")


def test_reset_forgets_everything() -> None:
    assert play(setup() + "start 1 read snap 0 1\nreset") == sm.Session.new()


@pytest.mark.spec("DEV-20")
def test_what_was_started_keeps_a_device_open_until_it_is_finished() -> None:
    play(
        """
disk base 8
create dev "0 8 linear base 0"
suspend dev
start 1 write dev 0 1 #1
remove dev -> error EBUSY
resume dev
remove dev -> error EBUSY
finish 1 -> ok
remove dev -> ok
"""
    )


@pytest.mark.spec("ORACLE-2")
def test_a_creation_that_was_started_is_over_at_once_when_nothing_is_in_flight() -> None:
    session = play('start 9 create x "0 32 linear nobody 0"\nstart 8 create y')
    for choose in (None, lambda _count, _canonical: 0):
        with pytest.raises(sm.OperationError, match="no device or disk x"):
            sm.operate(session, sm.parse_operation("flush x"), choose)
    play('status x -> error ENXIO\nfinish 9 -> error ENODEV "linear: Device lookup failed"\nfinish 8 -> ok', session)
