"""Measures what snapmerge costs: ``python -m tests.benchmarks``, from the top of the repository."""

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from tests.benchmarks._concept import concept
from tests.benchmarks._defects import defects
from tests.benchmarks._exceptions import exceptions
from tests.benchmarks._figures import Figure, Sizes, calibrate, in_turns, table
from tests.benchmarks._guest import guest
from tests.benchmarks._memory import lockstep, memory, unflushed

_QUICK: Final = Sizes(
    repeats=1,
    operations=30,
    unflushed=100,
    few=40,
    many=400,
    boots=1,
    scenarios=1,
    chunks=3,
    defects=1,
    defect_seconds=0.1,
)
_ABOUT: Final = """\
Prints what was measured, each figure also as a ratio to something that was measured in the same run, in turns with it:
seconds differ from machine to machine, and from hour to hour, while ratios mostly do not.  Nothing is asserted.

calibration   a fixed loop of plain Python, in rounds per second
memory        the model alone: 16 chunks, 60 % writes and 40 % reads, on an origin and its snapshot
lockstep      the same with the oracle beside it
unflushed     the same after many writes that no flush has made durable
exceptions    the model with a thousand exceptions and with a million, loaded from a store; takes a minute or two
concept       the merge of 2009 beside the kernel's, counted in disk I/Os
defects       random scenarios of the model with each seeded defect, until it is met; takes some minutes
guest         a real kernel: its boot, and whole scenarios from create to remove, with and without the oracle
"""


def _calibration(sizes: Sizes) -> Iterator[Figure]:
    (loops,) = in_turns(sizes.repeats, calibrate)
    yield Figure("calibration", "a loop of plain Python", statistics.median(loops), "/s", 1.0, "itself")


_NAMES: Final = (
    "calibration",
    "memory",
    "lockstep",
    "unflushed",
    "exceptions",
    "concept",
    "defects",
    "guest",
)


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print a list of objects instead of the table")
    parser.add_argument("--only", action="append", choices=_NAMES, metavar="NAME", help="only this; may be repeated")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the first scenario of defects (default: 0)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: to see that it runs, not to learn anything")
    parser.add_argument(
        "--kernel", type=Path, metavar="PATH", help="the user-mode Linux to boot (default: that on PATH)"
    )
    parser.add_argument("--modules", type=Path, metavar="PATH", help="its module folder, or the one above")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Measures, and prints."""
    arguments = _arguments(argv)
    sizes = dataclasses.replace(_QUICK if arguments.quick else Sizes(), seed=arguments.seed)
    measures: dict[str, Callable[[Sizes], Iterator[Figure]]] = {
        "calibration": _calibration,
        "memory": memory,
        "lockstep": lockstep,
        "unflushed": unflushed,
        "exceptions": exceptions,
        "concept": concept,
        "defects": defects,
        "guest": partial(guest, kernel=(arguments.kernel, arguments.modules)),
    }
    figures: list[Figure] = []
    for name in arguments.only or _NAMES:
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        figures.extend(measures[name](sizes))
    if arguments.json:
        print(json.dumps([dataclasses.asdict(figure) for figure in figures], indent=2))
    else:
        print(table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
