"""The options of ``recipe``, and which of them go together."""

import argparse
from argparse import Namespace
from collections.abc import Callable
from typing import Final

from snapmerge import shown
from snapmerge_adapters.cli.generation import GENERATIONS

__all__ = ["RECIPES", "RECIPE_CODES", "check_recipe_options", "recipe_options"]

RECIPES: Final = {
    "rollback": (
        "merge a snapshot back when an upgrade has failed; two other snapshots must keep what they show",
        """\
  snapmerge recipe rollback --adapter guest          a real kernel, as an ordinary process
  snapmerge recipe rollback --power-cuts --seed 3
  snapmerge recipe rollback -- ./my-implementation   any program that speaks the protocol""",
    ),
    "backup": (
        "keep a copy of an origin in use up to date, by the chunks that have changed from snapshot to snapshot",
        """\
  snapmerge recipe backup --adapter guest --rounds 10
  snapmerge recipe backup --cow 480                  a COW device that is too small now and then""",
    ),
}
"""Each recipe's summary and examples."""

RECIPE_CODES: Final = """\
exit codes:
  0    everything compared equal
  1    something did not: the last lines say what and where
  2    it could not be done: bad arguments, no kernel, too small a COW device, an operation that failed
  130  interrupted; devices, processes and temporary files are given back all the same"""


def recipe_options(
    option: Callable[..., argparse.Action], name: str, number: Callable[[int, int], Callable[[str], int]]
) -> None:
    """Adds the options of one recipe."""
    if name == "backup":
        option("--rounds", type=number(1, 10**5), default=5, metavar="N", help="after the first copy (default: 5)")
    for entries in GENERATIONS:
        entries.options(option, name)
    option("--sectors", type=number(1, 2**17), default=2048, metavar="N", help="the origin's size (default: 2048)")
    option("--chunk", type=_chunk, default=8, metavar="SECTORS", help="a chunk's size (default: 8)")
    option("--cow", type=number(1, 2**18), metavar="SECTORS", help="a COW device's size (default: enough)")
    option("--power-cuts", action="store_true", help="cut the power now and then, and continue after it")
    option(
        "--seed",
        type=number(0, 2**64 - 1),
        metavar="S",
        help="the writes of other users (default: a new one each time; it is printed)",
    )
    option("--trace", metavar="FILE", help="write what was done and seen there, as a trace")


def _chunk(text: str) -> int:
    if text not in (str(2**power) for power in range(10)):
        raise argparse.ArgumentTypeError(f"not a power of two from 1 to 512: {shown(text)}")
    return int(text)


def check_recipe_options(options: Namespace) -> None:
    """Raises CommandError for options of generations that conflict with others."""
    for entries in GENERATIONS:
        entries.check(options)
