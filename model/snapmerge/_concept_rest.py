"""How a merge of 2009 is resumed, suspended and destroyed (specs/concept.md).

Source: ``snapshot_merge_resume``, ``snapshot_merge_presuspend``, ``snapshot_merge_dtr`` of the patch.
"""

from typing import Final

from . import _concept, _concept_table, _origin
from ._concept_state import ConceptMerge, Stage, Worker
from ._draft import Draft
from ._replace import replace

__all__ = [
    "claim",
    "comes_to_rest",
    "copies_settled",
    "destroyed",
    "new_sibling",
    "resume",
    "stop",
    "work_settled",
]


def claim(d: Draft, id: int) -> None:
    """The resume of its device begins: from now on nobody else writes to the destination."""
    merge = _concept.concept_of(d, id)
    if merge is not None:
        d.put(replace(merge, claims=True), over=merge)


def resume(d: Draft, merge: ConceptMerge) -> bool:
    """Reads the store, the first time, and calls the worker; False: that is still going on."""
    if merge.stage is Stage.UNREAD:
        if not d.rules.concept.take_over(d, merge):
            return False
        _concept_table.begin(d, merge)
        merge = _concept.there(d, merge.id)
    if merge.stage is Stage.LOADING:
        return False
    d.put(replace(merge, active=True, io_max=_io_max(d, merge)), over=merge)
    _concept.schedule(d, merge.id)
    return True


def _io_max(d: Draft, merge: ConceptMerge) -> int:
    return min(merge.chunk_size, _origin.minimum_chunk_size(d, merge.destination))


def new_sibling(d: Draft, origin: str) -> None:
    """A snapshot of ``origin`` is live: no piece of a merge into it may cross one of its chunks' borders."""
    for target in d.targets.values():
        if isinstance(target, ConceptMerge) and target.active and target.destination == origin:
            d.put(replace(target, io_max=_io_max(d, target)), over=target)


def stop(d: Draft, merge: ConceptMerge) -> None:
    """Asks the worker to stop behind the chunk that it is at.  Source: ``snapshot_merge_presuspend``."""
    d.put(replace(merge, stopping=True), over=merge)


def at_rest(d: Draft, merge: ConceptMerge) -> bool:
    """Whether nothing of it is under way that a suspension waits for."""
    under_way = (Stage.LOADING, Stage.DRAINING, Stage.PROTECTING, Stage.FLUSHING, Stage.RECORDING, Stage.ENDING)
    settled = d.rules.concept.copies_settled(merge) and d.rules.concept.work_settled(merge)
    return settled and merge.stage not in under_way


def destroyed(d: Draft, merge: ConceptMerge) -> bool:
    """Whether the target can go: kcopyd waits for copies, whatever a suspension waited for.

    A worker that was called and has not run yet finds nobody.  (In the patch it finds memory that was freed.)
    """
    if merge.copies or not at_rest(d, merge):
        return False
    for id, work in d.work.items():
        if work == Worker(merge.id):
            d.change(id, Worker(_NOBODY), over=work)
    return True


_NOBODY: Final = -1


def comes_to_rest(d: Draft, id: int) -> bool:
    """Whether the target, if it is such a merge, is at rest; the wish to stop is fulfilled then."""
    merge = _concept.concept_of(d, id)
    if merge is None:
        return True
    if not at_rest(d, merge):
        return False
    d.put(replace(merge, stopping=False), over=merge)
    return True


def copies_settled(merge: ConceptMerge) -> bool:
    """Whether no copy is in flight, which a suspension waits for."""
    return not merge.copies


def work_settled(merge: ConceptMerge) -> bool:
    """Whether the worker is not about to run, which a suspension waits for."""
    return not merge.scheduled
