import contextlib
from collections.abc import Callable, Iterator

import pytest

from snapmerge import Implementation, OperationError, parse_operation
from snapmerge_adapters import Guest, Unavailable

pytestmark = pytest.mark.kernel

Replay = Callable[[Implementation, str], None]


@contextlib.contextmanager
def volatile_guest(*, nbd: int = 8) -> Iterator[Guest]:
    try:
        guest = Guest(volatile=True, nbd=nbd, seed=1)
    except Unavailable as error:
        pytest.skip(str(error))
    try:
        yield guest
    finally:
        guest.close()


BASE = """
disk base 128 -> ok
write base 0 128 #1000 -> ok
create origin "0 128 snapshot-origin base" -> ok
"""


def test_faults_are_exact(guest: Guest, replay: Replay) -> None:
    replay(
        guest,
        BASE
        + """
        fault base read 4 2 -> ok
        read origin 0 4 -> #1000+4
        read origin 3 2 -> error EIO
        write origin 0 8 #2000 -> ok
        flush origin -> ok
        heal base -> ok
        read origin 0 8 -> #2000+8
        fault base write 4 2 -> ok
        write origin 0 8 #3000 -> error EIO
        read origin 0 8 -> #3000+4 #2004+2 #3006+2
        flush origin -> ok
        heal base -> ok
        fault base flush 0 1 -> ok
        flush origin -> error EIO
        write origin 0 8 #4000 -> ok
        heal base -> ok
        flush origin -> ok
        read base 0 8 -> #4000+8
        """,
    )


def test_a_failed_flush_invalidates_a_snapshot(guest: Guest, replay: Replay) -> None:
    replay(
        guest,
        BASE
        + """
        disk cow 256 -> ok
        create snap "0 128 snapshot base cow P 8" -> ok
        fault cow flush 0 1 -> ok
        write snap 0 1 #7 -> error EIO
        status snap -> "0 128 snapshot Invalid"
        """,
    )


def test_a_power_cut_keeps_what_was_flushed(replay: Replay) -> None:
    with volatile_guest() as guest:
        replay(
            guest,
            BASE
            + """
            disk cow 256 -> ok
            create snap "0 128 snapshot base cow P 8" -> ok
            write snap 0 8 #2000 -> ok
            write origin 8 8 #3000 -> ok
            flush origin -> ok
            write origin 8 4 #4000 -> ok
            crash -> ok
            status snap -> error ENXIO
            create snap "0 128 snapshot base cow P 8" -> ok
            status snap -> "0 128 snapshot 32/256 16"
            read snap 0 16 -> #2000+8 #1008+8
            read base 12 4 -> #3004+4
            """,
        )


def test_an_nbd_device_serves_one_disk_after_another(replay: Replay) -> None:
    with volatile_guest(nbd=2) as guest:
        for size in (8, 64, 2048, 64, 256, 16, 1024, 8, 128, 512) * 2:
            one, two = size, size + 8
            replay(
                guest,
                f"""
                disk a {one} -> ok
                disk b {two} -> ok
                read b 0 {two} -> #0x{two}
                write a 0 {one} #1000 -> ok
                write b 0 {two} #9000 -> ok
                create x "0 {one} linear a 0; {one} {two} linear b 0" -> ok
                flush x -> ok
                read x 0 {one + two} -> #1000+{one} #9000+{two}
                fault b write 0 1 -> ok
                write x {one} 8 #1 -> error EIO
                crash -> ok
                read a 0 {one} -> #1000+{one}
                reset -> ok
                """,
            )


def test_more_disks_than_nbd_devices_are_refused(replay: Replay) -> None:
    with volatile_guest(nbd=2) as guest:
        for _ in range(3):
            replay(guest, "disk a 8 -> ok\ndisk b 16 -> ok\n")
            with pytest.raises(OperationError, match="no more than 2 disks"):
                guest.apply(parse_operation("disk c 24"))
            replay(guest, "write b 0 16 #1 -> ok\nread b 0 16 -> #1+16\nreset -> ok\ndisk c 24 -> ok\nreset -> ok\n")
