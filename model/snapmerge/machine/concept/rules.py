"""The replaceable transitions of the ``snapshot-merge`` of 2009."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from snapmerge.format.store import Store
from snapmerge.machine.concept.state import ConceptMerge
from snapmerge.machine.core.bio import WorkId
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import Piece, Target
from snapmerge.machine.core.table_line import TableLine

__all__ = ["ConceptRules", "rules_of"]


class Announce(Protocol):
    """A transition with a name for its flag."""

    def __call__(self, d: Draft, merge: ConceptMerge, *, merged: bool) -> None:
        """Announces the end of a merge; ``merged``: it had exceptions, and ends for the first time."""


@dataclass(frozen=True, slots=True, eq=False)
class ConceptRules:
    """The replaceable transitions of the ``snapshot-merge`` of 2009: for each there is a defect of the patch."""

    takes: Callable[[Store], bool]
    merges: Callable[[Draft, ConceptMerge], str | None]
    span: Callable[[TableLine], tuple[int, int]]
    chunks: Callable[[int, int], int]
    recount: Callable[[Draft, ConceptMerge], ConceptMerge]
    refuse: Callable[[Draft, Target], str | None]
    take_over: Callable[[Draft, ConceptMerge], bool]
    load_failed: Callable[[Draft, ConceptMerge], None]
    invalid: Callable[[Draft, ConceptMerge], bool]
    map_merge: Callable[[Draft, WorkId, ConceptMerge, Piece], None]
    claims: Callable[[ConceptMerge], bool]
    protects: Callable[[Draft, str, int, WorkId | None], bool]
    usable: Callable[[Draft, ConceptMerge, int], bool]
    extent: Callable[[ConceptMerge, int], tuple[int, int]]
    not_submitted: Callable[[Draft, ConceptMerge], None]
    copy_failed: Callable[[Draft, ConceptMerge, str], None]
    stop: Callable[[Draft, ConceptMerge], None]
    copies_settled: Callable[[ConceptMerge], bool]
    work_settled: Callable[[ConceptMerge], bool]
    flush: Callable[[Draft, ConceptMerge], None]
    record: Callable[[Draft, ConceptMerge], None]
    announce: Announce


def rules_of(d: Draft) -> ConceptRules:
    """The rules of 2009 in force."""
    return d.rules.part(ConceptRules)
