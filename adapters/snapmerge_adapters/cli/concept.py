"""The entries of the generation of 2009 on the command line."""

import argparse
from argparse import Namespace
from collections.abc import Callable
from typing import Final

from snapmerge import CONCEPT
from snapmerge_adapters.cli.entries import Choice, Entries, FindingEntry
from snapmerge_adapters.cli.errors import CommandError
from snapmerge_specs.concept import AS_POSTED, CONCEPT_DEFECTS, BackupAsPosted, ConceptDefect, ConceptRollback
from snapmerge_specs.recipes import Backup, Load, Shape

__all__ = ["CONCEPT_ENTRIES"]


def _entry(one: ConceptDefect) -> FindingEntry:
    return FindingEntry(one.id, "patch of 2009", "", one.summary, one.why, one.statement, one.rules, "")


def _options(option: Callable[..., argparse.Action], recipe: str) -> None:
    if recipe == "backup":
        option("--as-posted", action="store_true", help="memory, file: merge into the copy, as proposed in 2009")
    else:
        option("--destination", choices=("virtual", "real"), help="concept, corrected: the origin to merge into")


def _check(options: Namespace) -> None:
    """A recipe as posted is one of the first proposal."""
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


def _rollback(load: Load, shape: Shape, failed: Callable[[], None], options: Namespace) -> ConceptRollback:
    return ConceptRollback(load, shape, failed, destination=options.destination or "virtual")


def _backup(load: Load, shape: Shape, options: Namespace) -> Backup:
    return (BackupAsPosted if options.as_posted else Backup)(load, shape)


CONCEPT_ENTRIES: Final = Entries(
    choices=(
        Choice("concept", "the first proposal of it", AS_POSTED, _rollback, _backup),
        Choice("corrected", "that put right", CONCEPT, _rollback, _backup),
    ),
    title="in the patch of 2009 (generation concept)",
    place="in the patch of 2009",
    findings=tuple(map(_entry, CONCEPT_DEFECTS)),
    examples={
        "check": """\
  snapmerge check --generation concept --runs 500    the snapshot-merge that was proposed in 2009""",
        "findings": """\
  snapmerge findings S4                              what was expected beside what happened""",
        "rollback": """\
  snapmerge recipe rollback --generation concept --destination real   as proposed in 2009, with what it warns of""",
        "backup": """\
  snapmerge recipe backup --as-posted                as proposed in 2009, which can't work""",
    },
    options=_options,
    check=_check,
    facts=lambda options: {"destination": options.destination},
)
"""The patch as posted, the same as intended, and what is wrong with the patch."""
