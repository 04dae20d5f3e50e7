from collections.abc import Callable

import pytest

from snapmerge import Implementation
from snapmerge_adapters import Guest, Unavailable

pytestmark = pytest.mark.kernel

Replay = Callable[[Implementation, str], None]

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
    try:
        guest = Guest(volatile=True, seed=1)
    except Unavailable as error:
        pytest.skip(str(error))
    try:
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
    finally:
        guest.close()
