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
    bench.session = sm.Session(sm.happen(bench.world, sm.SubmitBio(7, bio)))
    assert bench.flights == ["flush a", "flush b"]
    bench.finish("flush b", "flush a")
    assert bench.flights == ["write a 8 1 fua"]
    bench.finish("write a 8 1 fua")
    assert bench.world.ended[7] is None
