"""The small scopes: scripts that the explorer runs by every schedule.

They have one to three chunks of one sector, one or two snapshots, and perhaps a merge.
"""

from typing import Final

from snapmerge_specs.generations.script import script

__all__ = ["BASE", "SCRIPTS"]

BASE = """\
disk base 2
disk cow 8
write base 0 2 #1
flush base
create origin "0 2 snapshot-origin base"
create snap "0 2 snapshot base cow P 1"
suspend origin
resume origin
"""

_HANDOVER = """\
suspend origin
suspend snap
load origin "0 2 snapshot-merge base cow P 1"
"""

_AGAIN = 'create origin "0 2 snapshot-origin base"\ncreate snap "0 2 snapshot base cow P 1"'
_MERGE_AGAIN = 'create origin "0 2 snapshot-merge base cow P 1"'

_TWO = """\
disk base 2
disk cowa 8
disk cowb 16
write base 0 2 #1
flush base
create origin "0 2 snapshot-origin base"
create a "0 2 snapshot base cowa P 1"
create b "0 2 snapshot base cowb P 2"
suspend origin
resume origin
start 1 write origin 0 1 #11
start 2 write origin 1 1 #12
start 3 write a 0 1 #21
"""

SCRIPTS: Final = (
    script(
        "copy-out",
        BASE + "start 1 write origin 0 2 #11\nstart 2 write snap 1 1 #21\n",
        _AGAIN,
        cuts=8,
    ),
    script(
        "reads and flushes",
        BASE + "start 1 write origin 0 1 #11\nstart 2 read snap 0 1\nflush origin\nflush snap",
        _AGAIN,
        cuts=8,
    ),
    script("two snapshots", _TWO),
    script(
        "three chunks",
        BASE.replace("base 2", "base 3").replace("0 2", "0 3")
        + "start 1 write origin 0 3 #11\nstart 2 read snap 0 3\n",
        _AGAIN.replace("0 2", "0 3"),
        cuts=8,
    ),
    script(
        "origin and snapshot",
        BASE
        + "start 1 write origin 0 1 #11\nstart 2 write origin 1 1 #12\nstart 3 write snap 0 1 #21\n"
        + "start 4 read snap 0 2\n",
        _AGAIN,
        cuts=8,
    ),
    script(
        "writes and a flush",
        BASE + "start 1 write origin 0 2 #11\nstart 2 write snap 0 2 #21\nstart 3 flush snap\n",
        _AGAIN,
        cuts=8,
    ),
    script("two snapshots, both written", _TWO + "start 4 write b 1 1 #22\n"),
    script(
        "merge",
        BASE
        + "write snap 0 1 #21\nwrite snap 1 1 #22\nflush snap\n"
        + _HANDOVER
        + "start 1 resume origin\nstart 2 write origin 1 1 #31\nstart 3 read origin 0 2\n",
        _MERGE_AGAIN,
        cuts=12,
        merges="snap",
    ),
    script(
        "merge beside a snapshot",
        """\
disk base 2
disk cow 8
disk other 8
write base 0 2 #1
flush base
create origin "0 2 snapshot-origin base"
create snap "0 2 snapshot base cow P 1"
create other-snap "0 2 snapshot base other P 1"
suspend origin
resume origin
write snap 0 1 #21
write snap 1 1 #22
"""
        + _HANDOVER
        + "resume origin\nstart 1 write origin 0 1 #31\n",
    ),
    script(
        "merge beside full snapshots",
        """\
disk base 2
disk cow 8
disk nearly 1
disk full 2
write base 0 2 #1
flush base
create origin "0 2 snapshot-origin base"
create snap "0 2 snapshot base cow P 1"
create transient "0 2 snapshot base nearly N 1"
create persistent "0 2 snapshot base full P 1"
suspend origin
resume origin
write snap 1 1 #22
write snap 0 1 #21
"""
        + _HANDOVER
        + "resume origin\nstart 1 write origin 1 1 #31\nsettle origin\nsuspend origin\n",
    ),
    script(
        "merge interrupted",
        BASE
        + "write snap 1 1 #22\nwrite snap 0 1 #21\n"
        + _HANDOVER
        + "resume origin\nstart 1 write origin 1 1 #31\nsuspend origin\nresume origin\nwrite origin 0 1 #32\n",
    ),
    script(
        "merge fails",
        BASE
        + "write snap 1 1 #22\nwrite snap 0 1 #21\n"
        + "fault cow write 1 1\n"
        + _HANDOVER
        + "resume origin\nstart 1 write origin 0 1 #31\nsettle origin\nheal cow\nsuspend origin\nresume origin\n",
    ),
    script(
        "cleared",
        BASE
        + "write snap 0 1 #21\n"
        + _HANDOVER
        + "clear origin\nresume snap\nresume origin\nstart 1 write origin 1 1 #31\n"
        + 'start 2 create other "0 2 snapshot base cow P 1"\nread snap 0 2\n',
    ),
    script(
        "overflow",
        BASE.replace("cow 8", "cow 3")
        + "start 1 write origin 0 1 #11\nstart 2 write origin 1 1 #12\nstart 3 read snap 0 2\n",
        _AGAIN,
        cuts=8,
    ),
    script(
        "transient",
        BASE.replace(" P 1", " N 1") + "start 1 write snap 0 1 #21\nstart 2 write origin 1 1 #11\nread snap 0 2\n",
    ),
    script(
        "full area",
        """\
disk base 33
disk cow 70
"""
        + "".join(
            f'create snap "0 33 snapshot base cow P 1"\nwrite snap {i} 1 #{i + 1}\nremove snap\n' for i in range(33)
        ),
    ),
)
