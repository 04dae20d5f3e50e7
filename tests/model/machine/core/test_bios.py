import pytest
from tests.model._play import Bench, play

import snapmerge as sm

TWO = 'disk a 16\ndisk b 16\ncreate dev "0 8 linear a 8; 8 8 linear b 0" -> ok\n'


@pytest.mark.spec("DEV-11")
def test_a_bio_is_cut_where_one_target_ends() -> None:
    bench = Bench(TWO)
    write = bench.start("write dev 6 4 #1")
    bench.finish("requeue")
    assert bench.flights == ["write a 14 2", "write b 0 2"]
    bench.settle()
    assert bench.ended(write) == "ok"
    bench.play("read a 14 2 -> #1+2\nread b 0 2 -> #3+2\nread dev 0 16 -> #0x6 #1+4 #0x6")


@pytest.mark.spec("DEV-11")
def test_a_flush_goes_to_every_target() -> None:
    bench = Bench(TWO)
    bench.start("flush dev")
    assert bench.flights == ["flush a", "flush b"]


@pytest.mark.spec("DEV-5")
def test_a_bio_ends_once_with_the_first_error_of_its_pieces() -> None:
    bench = Bench(TWO)
    write = bench.start("write dev 6 4 #1")
    bench.fail("write a 14 2")
    assert bench.ended(write) is None
    bench.settle()
    assert bench.ended(write) == "error EIO"
    bench.play("read b 0 2 -> #3+2")


@pytest.mark.spec("DEV-11")
def test_a_discard_reaches_a_linear_targets_disk() -> None:
    play(TWO + "write dev 0 16 #1\ndiscard dev 4 8 -> ok\nread dev 0 16 -> #1+4 #0x8 #13+4")


def test_what_lies_beyond_the_device_below_fails() -> None:
    bench = Bench('disk a 8\ncreate lower "0 8 linear a 0"\ncreate dev "0 8 linear lower 0"\n')
    bench.play('load lower "0 4 linear a 0"\nresume lower\nread dev 0 4 -> #0x4\nread dev 0 5 -> error EIO')


def test_a_write_with_preflush_flushes_every_target_first() -> None:
    bench = Bench(TWO)
    bio = sm.Bio(sm.Op.WRITE, "dev", 0, 1, bytes(512), preflush=True, fua=True)
    bench.session = sm.Session(sm.deliver(bench.world, sm.SubmitBio(7, bio)))
    assert bench.flights == ["flush a", "flush b"]
    bench.finish("flush b", "flush a")
    assert bench.flights == ["write a 8 1 fua"]
    bench.finish("write a 8 1 fua")
    assert bench.world.ended[7] is None


@pytest.mark.spec("DEV-22")
@pytest.mark.spec("DEV-28")
@pytest.mark.parametrize(
    "table",
    [
        "0 8 linear base 0; 8 8 snapshot-origin base",
        "0 16 snapshot-origin base",
        "0 16 snapshot base cow N 8",
        "0 16 zero",
        "0 16 error",
    ],
)
def test_what_takes_no_discards_refuses_them_also_while_it_is_suspended(table: str) -> None:
    session = play(f'disk base 16\ndisk cow 16\ncreate dev "{table}"\ndiscard dev 0 8 -> error EOPNOTSUPP')
    play("suspend dev\nstart 1 discard dev 0 8\nfinish 1 -> error EOPNOTSUPP", session)


@pytest.mark.spec("DEV-22")
def test_a_discard_that_was_let_in_waits_and_may_find_another_table() -> None:
    play(
        """
disk base 16
disk cow 16
create snap "0 16 snapshot base cow N 8 1 discard_zeroes_cow"
suspend snap
start 1 discard snap 0 8
load snap "0 16 snapshot-origin base"
finish 1 -> blocked
resume snap
finish 1 -> ok
"""
    )


@pytest.mark.spec("DEV-29")
@pytest.mark.parametrize(
    ("table", "outcome"),
    [
        ("zero", "ok"),
        ("error", "ok"),
        ("linear z 0", "ok"),
        ("linear base 0", "blocked"),
        ("snapshot z cow N 8", "blocked"),
        ("snapshot-origin z", "ok"),
    ],
)
def test_a_flush_of_what_has_nothing_to_flush_waits_for_nothing(table: str, outcome: str) -> None:
    begin = f'disk base 16\ndisk cow 64\ncreate z "0 16 zero"\ncreate dev "0 16 {table}"\nsuspend dev\n'
    play(f"{begin}start 1 flush dev\nfinish 1 -> {outcome}")


@pytest.mark.spec("DEV-29")
def test_a_flush_that_was_held_back_ends_when_nothing_is_below_any_more() -> None:
    play(
        """
disk base 16
create z "0 16 linear base 0"
create dev "0 16 linear z 0"
suspend dev
start 1 flush dev
finish 1 -> blocked
load dev "0 16 zero"
suspend z
resume dev
finish 1 -> ok
"""
    )


@pytest.mark.spec("DEV-28")
@pytest.mark.parametrize("upper", ["0 16 linear low 0", "0 16 snapshot low cow N 8 1 discard_zeroes_cow"])
@pytest.mark.parametrize(("below", "error"), [("linear base 0", "ok"), ("zero", "error EOPNOTSUPP")])
def test_what_is_below_when_a_table_becomes_live_decides_on_discards(upper: str, below: str, error: str) -> None:
    other = "zero" if error == "ok" else "linear base 0"
    play(
        f"""
disk base 16
disk cow 32
create low "0 16 {below}"
create dev "{upper}"
discard dev 0 8 -> {error}
load low "0 16 {other}"
resume low
discard dev 0 8 -> {error}
"""
    )
