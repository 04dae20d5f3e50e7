"""The options of ``recipe``, and which of them go together."""

import argparse
from argparse import Namespace
from collections.abc import Callable
from typing import Final

from snapmerge import shown
from snapmerge_adapters.cli.errors import CommandError

__all__ = ["RECIPES", "RECIPE_CODES", "check_recipe_options", "recipe_options"]

RECIPES: Final = {
    "rollback": (
        "merge a snapshot back when an upgrade has failed; two other snapshots must keep what they show",
        """\
  snapmerge recipe rollback --adapter guest          a real kernel, as an ordinary process
  snapmerge recipe rollback --power-cuts --seed 3
  snapmerge recipe rollback -- ./my-implementation   any program that speaks the protocol
  snapmerge recipe rollback --generation concept --destination real   as proposed in 2009, with what it warns of""",
    ),
    "backup": (
        "keep a copy of an origin in use up to date, by the chunks that have changed from snapshot to snapshot",
        """\
  snapmerge recipe backup --adapter guest --rounds 10
  snapmerge recipe backup --cow 480                  a COW device that is too small now and then
  snapmerge recipe backup --as-posted                as proposed in 2009, which can't work""",
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
        option("--as-posted", action="store_true", help="memory, file: merge into the copy, as proposed in 2009")
    else:
        option("--destination", choices=("virtual", "real"), help="concept, corrected: the origin to merge into")
    option("--sectors", type=number(1, 2**17), default=2048, metavar="N", help="the origin's size (default: 2048)")
    option("--chunk", type=_chunk, default=8, metavar="SECTORS", help="a chunk's size (default: 8)")
    option("--cow", type=number(1, 2**18), metavar="SECTORS", help="a COW device's size (default: enough)")
    option("--power-cuts", action="store_true", help="cut the power now and then, and go on")
    option(
        "--seed", type=number(0, 2**64 - 1), metavar="S", help="what others write meanwhile (default: it is printed)"
    )
    option("--trace", metavar="FILE", help="write what was done and seen there, as a trace")


def _chunk(text: str) -> int:
    if text not in (str(2**power) for power in range(10)):
        raise argparse.ArgumentTypeError(f"not a power of two from 1 to 512: {shown(text)}")
    return int(text)


def check_recipe_options(options: Namespace) -> None:
    """Raises CommandError for options that don't go together; a recipe as posted is one of the first proposal."""
    destination = getattr(options, "destination", None)
    if destination and options.generation in (None, "mainline"):
        raise CommandError(
            f"--destination {destination} is for --generation concept or corrected; Linux hands the snapshot over"
        )
    if not getattr(options, "as_posted", False):
        return
    if options.power_cuts:
        raise CommandError("--as-posted goes without --power-cuts: it is wrong as it is")
    if options.program:
        raise CommandError("--as-posted is not for a command; --adapter memory and --adapter file have such a merge")
    if options.generation == "mainline" or options.adapter not in (None, "memory", "file"):
        other = "--generation mainline" if options.generation == "mainline" else f"--adapter {options.adapter}"
        raise CommandError(f"--as-posted is not for {other}, which has no such merge; memory and file have it")
    options.generation = options.generation or "concept"
