"""The worker of a merge of 2009: looks up one chunk after the other, and copies those that have an exception.

Before a copy it waits until no I/O to the chunk on the COW device is in flight, and until snapshots directly on the
destination have copied out what the copy replaces.  After the last chunk it flushes the destination, records the end on
the COW device, and raises an event.  The differences of the patch are the defects of ``snapmerge_specs``: each replaces
an entry of ``ConceptRules``, and all of them together are the patch to the letter.

Source: ``merge_work``, ``merge_callback`` of the patch (specs/concept.md).
"""

from snapmerge.errors import MachineError
from snapmerge.format.exceptions import lookup, pairs
from snapmerge.format.layout import area_location
from snapmerge.format.store import Persistent
from snapmerge.machine.concept.mapping import concept_of, exception_of, in_cow, map_again, require_merge
from snapmerge.machine.concept.rules import rules_of
from snapmerge.machine.concept.state import ConceptCopy, ConceptIo, ConceptMerge, ConceptStep, Stage, Worker
from snapmerge.machine.core import bios, kcopyd
from snapmerge.machine.core.bio import Bio, Op
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import CopyJob
from snapmerge.machine.snapshot.registry import minimum_chunk_size
from snapmerge.records import replace
from snapmerge.units import SECTOR_BYTES

__all__ = [
    "announce",
    "copied",
    "copy_failed",
    "flush",
    "not_submitted",
    "record",
    "released",
    "retry_protection",
    "schedule",
    "turn",
    "untrack",
]


def schedule(d: Draft, id: int) -> None:
    """Calls the worker, which runs once however often it is called before.  Source: ``schedule_work``."""
    merge = require_merge(d, id)
    if not merge.scheduled:
        d.put(replace(merge, scheduled=True), over=merge)
        d.requeue(d.begin(Worker(id)), later=True)


def turn(d: Draft, id: int) -> None:
    """The worker: begins the next chunk with an exception (CONCEPT-20); after the last one, records the end."""
    merge = concept_of(d, id)
    if merge is None:
        return
    merge = d.put(replace(merge, scheduled=False), over=merge)
    if merge.stopping or merge.broken or not merge.valid:
        return
    progress = merge.progress
    while progress < merge.end and exception_of(d, merge, progress) is None:
        progress += 1
    merge = d.put(replace(merge, failed=False, progress=progress), over=merge)
    if progress < merge.end:
        _drain(d, d.put(replace(merge, stage=Stage.DRAINING), over=merge))
    else:
        _end(d, merge)


def _drain(d: Draft, merge: ConceptMerge) -> None:
    """Continues when no I/O to the chunk on the COW device is in flight (CONCEPT-21)."""
    if merge.progress not in merge.tracked:
        d.put(replace(merge, stage=Stage.PROTECTING), over=merge)
        _protect(d, require_merge(d, merge.id))


def _protect(d: Draft, merge: ConceptMerge) -> None:
    """Makes the snapshots on the destination copy out what the copy replaces (CONCEPT-2), until none has to."""
    sector, count = rules_of(d).extent(merge, merge.progress)
    step = min(merge.chunk_size, minimum_chunk_size(d, merge.destination))
    begin = sector - sector % step
    waits = [rules_of(d).protects(d, merge.destination, at, None) for at in range(begin, sector + count, step)]
    if not any(waits):
        _copy(d, require_merge(d, merge.id), sector, count)


def retry_protection(d: Draft) -> None:
    """Makes merges ask again that wait for exceptions, after an exception of any snapshot is released."""
    for id in sorted(d.targets):
        merge = concept_of(d, id)
        if merge is not None and merge.stage is Stage.PROTECTING:
            _protect(d, merge)


def _copy(d: Draft, merge: ConceptMerge, sector: int, count: int) -> None:
    """Copies the chunk to the destination, one at a time (CONCEPT-6), if both ends are inside their devices.

    Source: ``dm_kcopyd_copy``.
    """
    chunk = merge.progress
    new = lookup(merge.completed, chunk)
    if new is None:
        raise MachineError(f"chunk {chunk} has no exception")
    source = in_cow(merge, Bio(Op.READ, merge.destination, sector, count), new).sector
    merge = d.put(replace(merge, stage=Stage.COPYING), over=merge)
    if sector + count > d.size(merge.destination) or source + count > d.size(merge.cow):
        rules_of(d).not_submitted(d, merge)
        return
    d.put(replace(merge, copies=(*merge.copies, chunk)), over=merge)
    job = CopyJob(merge.id, ConceptCopy.CHUNK, chunk, Bio(Op.WRITE, merge.destination, sector, count))
    kcopyd.copy(d, job, merge.cow, source)


def copied(d: Draft, job: CopyJob, error: str | None) -> None:
    """A copy has ended: the merge continues, or has failed (CONCEPT-5).  Source: ``merge_callback``."""
    merge = concept_of(d, job.target)
    if merge is None:
        return
    at = merge.copies.index(job.old)
    merge = d.put(replace(merge, copies=(*merge.copies[:at], *merge.copies[at + 1 :])), over=merge)
    if error is not None:
        rules_of(d).copy_failed(d, merge, "Failed merge operation")
        return
    d.put(replace(merge, progress=merge.progress + 1, stage=Stage.IDLE), over=merge)
    schedule(d, merge.id)
    map_again(d, merge.id)


def copy_failed(d: Draft, merge: ConceptMerge, text: str) -> None:
    """Fails the merge, which its status shows (CONCEPT-16), and the writes that wait for it (CONCEPT-4)."""
    d.log(f"snapshots: {text}")
    d.put(replace(merge, stage=Stage.IDLE, failed=True, queued=(), held=()), over=merge)
    for piece in (*merge.held, *merge.queued):
        bios.piece_ended(d, piece, "EIO")


def not_submitted(d: Draft, merge: ConceptMerge) -> None:
    """Fails the merge after a copy that could not be begun (CONCEPT-16)."""
    rules_of(d).copy_failed(d, merge, "Failed merge operation")


# --- the end ----------------------------------------------------------------------------------------------------


def _end(d: Draft, merge: ConceptMerge) -> None:
    if merge.finished:
        rules_of(d).announce(d, merge, merged=False)
    elif merge.completed:
        rules_of(d).flush(d, merge)
    else:
        released(d, merge)


def flush(d: Draft, merge: ConceptMerge) -> None:
    """Makes the copies durable before their end is recorded (CONCEPT-22, CONCEPT-3)."""
    d.put(replace(merge, stage=Stage.FLUSHING), over=merge)
    bios.send(d, d.begin(ConceptIo(merge.id, ConceptStep.FLUSH)), Bio(Op.FLUSH, merge.destination))


def record(d: Draft, merge: ConceptMerge) -> None:
    """Records the end on the COW device: a store without exceptions has nothing to merge (CONCEPT-22, CONCEPT-3).

    Exceptions outside of the target would be lost by that, so then the merge fails (CONCEPT-18).
    """
    if any(not merge.covers(old) for old, _ in pairs(merge.completed)):
        rules_of(d).copy_failed(d, merge, "There are exceptions outside of the target")
        return
    merge = d.put(replace(merge, stage=Stage.RECORDING), over=merge)
    if not isinstance(merge.store, Persistent):
        released(d, merge)
        return
    size = merge.chunk_size
    at, data = area_location(0, merge.store.per_area) * size, bytes(size * SECTOR_BYTES)
    bio = Bio(Op.WRITE, merge.cow, at, size, data, preflush=True, fua=True)
    bios.send(d, d.begin(ConceptIo(merge.id, ConceptStep.RECORD)), bio)


def released(d: Draft, merge: ConceptMerge) -> None:
    """Ends the merge: its device is the destination from now on."""
    _ended(d, d.put(replace(merge, stage=Stage.ENDING, finished=True), over=merge))


def _ended(d: Draft, merge: ConceptMerge) -> None:
    """Raises the completion event once no I/O to the COW device is in flight (CONCEPT-22): it may be removed then."""
    if merge.tracked:
        return
    d.put(replace(merge, stage=Stage.IDLE, held=()), over=merge)
    rules_of(d).announce(d, require_merge(d, merge.id), merged=bool(merge.completed))
    for piece in merge.held:
        bios.map_piece(d, piece)
    map_again(d, merge.id)


def announce(d: Draft, merge: ConceptMerge, *, merged: bool) -> None:
    """Raises the event of the end, once, and only if there was something to merge (CONCEPT-14)."""
    if merged:
        d.raise_event(merge.device)


def untrack(d: Draft, merge: ConceptMerge, chunk: int) -> None:
    """Continues whatever waited for tracked I/O: the worker, another write to the chunk, or the end."""
    left = merge.tracked[chunk] - 1
    tracked = merge.tracked.set(chunk, left) if left else merge.tracked.delete(chunk)
    merge = d.put(replace(merge, tracked=tracked), over=merge)
    if merge.stage is Stage.DRAINING:
        _drain(d, merge)
    elif merge.stage is Stage.ENDING:
        _ended(d, merge)
    if not left and merge.queued:
        map_again(d, merge.id)
