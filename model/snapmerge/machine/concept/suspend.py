"""Resuming, suspending and destroying a merge of 2009 (specs/concept.md).

Source: ``snapshot_merge_resume``, ``snapshot_merge_presuspend``, ``snapshot_merge_dtr`` of the patch.
"""

from typing import Final

from snapmerge.machine.concept import load
from snapmerge.machine.concept.mapping import require_merge
from snapmerge.machine.concept.rules import rules_of
from snapmerge.machine.concept.state import ConceptMerge, Stage, Worker
from snapmerge.machine.concept.worker import schedule
from snapmerge.machine.core.draft import Draft, Progress
from snapmerge.machine.core.state import Resuming
from snapmerge.machine.snapshot.registry import minimum_chunk_size
from snapmerge.records import replace

__all__ = [
    "at_rest",
    "copies_settled",
    "destroyed",
    "new_sibling",
    "presuspend",
    "presuspended",
    "resume",
    "stop",
    "work_settled",
]


def resume(d: Draft, _request: Resuming, merge: ConceptMerge) -> Progress:
    """Reads the store at the first resume, and calls the worker."""
    if merge.stage is Stage.UNREAD:
        if not rules_of(d).take_over(d, merge):
            return Progress.WAITS
        load.begin(d, merge)
        merge = require_merge(d, merge.id)
    if merge.stage is Stage.LOADING:
        return Progress.WAITS
    d.put(replace(merge, active=True, io_max=_io_max(d, merge)), over=merge)
    schedule(d, merge.id)
    return Progress.DONE


def _io_max(d: Draft, merge: ConceptMerge) -> int:
    return min(merge.chunk_size, minimum_chunk_size(d, merge.destination))


def new_sibling(d: Draft, origin: str) -> None:
    """Splits pieces of merges into ``origin`` at the chunk borders of a snapshot that has become live on it."""
    for target in d.targets.values():
        if isinstance(target, ConceptMerge) and target.active and target.destination == origin:
            d.put(replace(target, io_max=_io_max(d, target)), over=target)


def stop(d: Draft, merge: ConceptMerge) -> None:
    """Asks the worker to stop after the chunk at hand (CONCEPT-8).  Source: ``snapshot_merge_presuspend``."""
    d.put(replace(merge, stopping=True), over=merge)


def presuspend(d: Draft, merge: ConceptMerge) -> None:
    """Asks the worker to stop, once."""
    if not merge.stopping:
        rules_of(d).stop(d, merge)


def presuspended(d: Draft, merge: ConceptMerge) -> None:
    """Clears ``stopping``: the worker has stopped."""
    d.put(replace(merge, stopping=False), over=merge)


def at_rest(d: Draft, merge: ConceptMerge) -> bool:
    """Whether it has no copy in flight and no call of its worker, for which a suspension waits (CONCEPT-7)."""
    under_way = (Stage.LOADING, Stage.DRAINING, Stage.PROTECTING, Stage.FLUSHING, Stage.RECORDING, Stage.ENDING)
    settled = rules_of(d).copies_settled(merge) and rules_of(d).work_settled(merge)
    return settled and merge.stage not in under_way


def destroyed(d: Draft, merge: ConceptMerge) -> bool:
    """Whether the target can be destroyed: kcopyd waits for copies, whatever a suspension waited for.

    A call of the worker that runs later finds no target.  (In the patch it uses memory that was freed.)
    """
    if merge.copies or not at_rest(d, merge):
        return False
    for id, work in d.work.items():
        if work == Worker(merge.id):
            d.change(id, Worker(_NOBODY), over=work)
    return True


_NOBODY: Final = -1


def copies_settled(merge: ConceptMerge) -> bool:
    """Whether no copy is in flight, which a suspension waits for."""
    return not merge.copies


def work_settled(merge: ConceptMerge) -> bool:
    """Whether the worker is not about to run, which a suspension waits for."""
    return not merge.scheduled
