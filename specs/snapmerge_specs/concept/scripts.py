"""The small scopes of the concept generation: scripts that the explorer runs by every schedule.

They have two chunks of one sector, and a merge whose destination is the origin's device or its disk.
"""

from typing import Final

from snapmerge_specs.generations.script import Script, script
from snapmerge_specs.search.scripts import BASE

__all__ = ["CONCEPT_SCRIPTS"]

_FULL = "write snap 0 1 #21\nwrite snap 1 1 #22\nflush snap\n"
_TABLE = '"0 2 snapshot-merge origin cow P 1"'
_MERGE = f"suspend snap\ncreate merge {_TABLE}\n"
_AGAIN = f'create origin "0 2 snapshot-origin base"\ncreate merge {_TABLE}'

CONCEPT_SCRIPTS: Final[tuple[Script, ...]] = (
    script(
        "concept merge",
        BASE + _FULL + "suspend snap\n"
        f"start 1 create merge {_TABLE}\nfinish 1\nstart 2 write merge 1 1 #31\nstart 3 read merge 0 2\n",
        _AGAIN,
        cuts=11,
        merges="snap",
        device="merge",
    ),
    script(
        "concept writes",
        BASE + _FULL + _MERGE + "start 1 write merge 0 1 #31\nstart 2 flush merge\n",
        _AGAIN,
        cuts=13,
        merges="snap",
        device="merge",
    ),
    script(
        "concept interrupted",
        BASE + _FULL + _MERGE + "start 1 write merge 1 1 #31\nsuspend merge\nresume merge\nwrite merge 0 1 #32\n",
        _AGAIN,
        cuts=13,
        merges="snap",
        device="merge",
    ),
    script(
        "concept reload",
        BASE
        + "write snap 0 1 #21\n"
        + _MERGE
        + f"settle merge\nwrite merge 0 1 #31\nflush merge\nload merge {_TABLE}\nresume merge\nsettle merge\n",
        _AGAIN,
        cuts=11,
        merges="snap",
        device="merge",
    ),
    script(
        "concept fails",
        BASE
        + _FULL
        + "fault base write 1 1\n"
        + _MERGE
        + "start 1 write merge 1 1 #31\nsettle merge\nheal base\nsuspend merge\nresume merge\n",
    ),
    script(
        "concept beside a snapshot",
        """\
disk base 2
disk cow 8
disk other 8
write base 0 2 #1
flush base
create origin "0 2 snapshot-origin base"
create snap "0 2 snapshot base cow P 1"
create beside "0 2 snapshot base other P 1"
suspend origin
resume origin
write snap 0 1 #21
suspend snap
start 1 create merge "0 2 snapshot-merge base cow P 1"
finish 1
start 2 write merge 1 1 #31
""",
    ),
)
