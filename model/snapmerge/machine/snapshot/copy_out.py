"""Copying out: the life of an exception, from its allocation until the bios that wait for it are released.

The problem.  Before a chunk of the origin is written to, or a chunk of a snapshot, the snapshot needs a copy of the
chunk on the COW device, and a record there that says so: an exception.  To make one takes several I/Os (read the chunk,
write it, write the record), which the disks finish in any order beside those of other chunks.  Meanwhile more bios to
the chunk arrive.  A read must find the chunk in one place or the other; a write must wait for the exception of its own
chunk, and for no other.  And after a power cut no record may promise a chunk that holds something else.

So an exception is *pending* while it is made, in these stages (``PendingStage``); ``PENDING`` is the table of all
transitions, which docs/states.md draws:

*   ALLOCATED: ``prepare`` has given it the next free chunk of the COW device.  Bios queue up: in ``waiting`` those of
    the snapshot, in ``origin_waiting`` writes to the origin.
*   COPYING: ``start_copy`` has kcopyd copy the chunk, once for all bios that wait (EXC-8).  A write that fills the
    whole chunk needs no copy: ``fill`` sends it straight to the new chunk, in place of one (EXC-10).
*   COPIED or FAILED: the copy has ended; the exception waits for its turn.  ``_commit_ready`` takes exceptions in the
    order of allocation only (EXC-9).  So the records on disk have no holes, and after a power cut are a prefix of that
    order.
*   RECORDED: ``_commit`` has entered the record into the area in memory.  The area is written when every exception that
    has a chunk has its record, so that one write serves many (STORE-18), or when it is full.  It is written after a
    flush of the COW device and with FUA, so that no record is durable before the data that it promises (STORE-3).  A
    full area is written only after the next one has been zeroed: a reader of the store goes on to that one, and must
    find the end of the list there (STORE-19).  A copy that has failed gets its record, too, but makes the store
    invalid, and an invalid store never writes its area.
*   COMMITTED: the record is durable.  Or LOST: the copy or the write of the record has failed.  A transient store has
    no area; it commits an exception at once.
*   PUBLISHED: ``publish`` has entered it into ``completed``: reads follow it from now on (EXC-2).  Reads that went to
    the origin before may still be in flight (``tracked``), and must not be overtaken by a write to the origin; so bios
    that wait for the exception continue only when these reads have ended (ORIGIN-3).
*   GONE: ``_release`` has sent the bios that waited: writes to the snapshot go to the new chunk; a write to the origin
    goes to its target's ``retry``, which asks all snapshots again, as another may need a copy as well.

One thread of the kernel does all this for a snapshot from the commit on.  While it writes an area or waits for readers
it commits nothing else of that snapshot (EXC-12); ``writing`` and ``publishing`` say that it is busy.

Failures.  If a copy, the write of an area or an allocation fails, the snapshot has lost content and becomes invalid.
Its header on disk must say so before the origin is written to (SNAP-13): otherwise a power cut could bring back a
snapshot with wrong content.  So ``invalidate`` writes the header while it holds the snapshot's lock (``dropping``), and
bios that need the lock wait (``locked_out``) until ``dropped``.  Then writes to the snapshot fail, and writes to the
origin continue: no origin suffers from its snapshots (ORIGIN-2).

Source: ``__insert_pending_exception``, ``start_copy``, ``start_full_bio``, ``copy_callback``, ``complete_exception``,
``pending_complete``, ``__check_for_conflicting_io``, ``__invalidate_snapshot`` in dm-snap.c;
``persistent_commit_exception`` in dm-snap-persistent.c.
"""

from typing import Final

from snapmerge.errors import MachineError
from snapmerge.format.exceptions import insert
from snapmerge.format.store import Persistent
from snapmerge.machine.core import bios, kcopyd
from snapmerge.machine.core.bio import Bio, Op, WorkId
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import CopyJob, Piece
from snapmerge.machine.core.transitions import Named, Transitions
from snapmerge.machine.snapshot import store_io
from snapmerge.machine.snapshot.registry import snapshot
from snapmerge.machine.snapshot.rules import rules_of
from snapmerge.machine.snapshot.state import Copy, Pending, PendingStage, SnapshotTarget, StoreStep
from snapmerge.records import replace
from snapmerge.units import chunk_start

__all__ = [
    "PENDING",
    "PendingTrigger",
    "area_written",
    "busy",
    "copied",
    "dropped",
    "fill",
    "full_written",
    "invalidate",
    "lock_out",
    "next_area_zeroed",
    "prepare",
    "publish",
    "queue",
    "queue_origin",
    "start_copy",
    "write_area",
]


class PendingTrigger(Named):
    """The causes of stage changes: the function that makes the transition, and what has happened."""

    STARTED = "start_copy, fill: a copy to the new chunk, or a write that fills it, is sent (EXC-8, EXC-10)"
    COPIED = "_filled: the copy, or the write in place of it, has ended well"
    COPY_FAILED = "_filled: the copy, or the write in place of it, has failed (STORE-7)"
    RECORDED = "_commit: it is the first in the order of allocation, and the store is persistent (EXC-9)"
    COMMITTED = "_answered: its area has been written durably; a transient store commits at once (STORE-3)"
    LOST = "_answered: its copy, or the area, could not be written (STORE-7)"
    PUBLISHED = "_complete: it is entered into the table of completed exceptions (EXC-2)"
    RELEASED = "_release: no read that went to the origin before is in flight; bios that waited continue (EXC-11)"
    GIVEN_UP = "_release: the snapshot is invalid; writes to it fail, writes to the origin continue (EXC-5)"


_S, _T = PendingStage, PendingTrigger

PENDING: Final = Transitions(
    "a pending exception",
    _S.ALLOCATED,
    _S.GONE,
    {
        (_S.ALLOCATED, _T.STARTED): _S.COPYING,
        (_S.COPYING, _T.COPIED): _S.COPIED,
        (_S.COPYING, _T.COPY_FAILED): _S.FAILED,
        (_S.COPIED, _T.RECORDED): _S.RECORDED,
        (_S.FAILED, _T.RECORDED): _S.RECORDED,
        (_S.RECORDED, _T.COMMITTED): _S.COMMITTED,
        (_S.RECORDED, _T.LOST): _S.LOST,
        (_S.COPIED, _T.COMMITTED): _S.COMMITTED,
        (_S.FAILED, _T.LOST): _S.LOST,
        (_S.COMMITTED, _T.PUBLISHED): _S.PUBLISHED,
        (_S.PUBLISHED, _T.RELEASED): _S.GONE,
        (_S.COMMITTED, _T.GIVEN_UP): _S.GONE,
        (_S.LOST, _T.GIVEN_UP): _S.GONE,
    },
)
"""The life of a pending exception."""


def _after(pending: Pending, trigger: PendingTrigger) -> Pending:
    return replace(pending, stage=PENDING.after(pending.stage, trigger))


def _put_pending(d: Draft, snap: SnapshotTarget, pending: Pending) -> None:
    d.put(replace(snap, pending=snap.pending.set(pending.old, pending)), over=snap)


# --- allocated ---------------------------------------------------------------------------------------------------


def prepare(d: Draft, snap_id: int, chunk: int) -> bool:
    """Allocates a chunk of the COW device and enters a pending exception (EXC-1); False: there is no room."""
    snap = snapshot(d, snap_id)
    prepared = snap.store.prepare(d.size(snap.cow))
    if prepared is None:
        return False
    store, new = prepared
    pending = snap.pending.set(chunk, Pending(chunk, new))
    d.put(replace(snap, store=store, pending=pending, order=(*snap.order, chunk)), over=snap)
    return True


def queue(d: Draft, snap_id: int, chunk: int, id: WorkId) -> None:
    """Makes the snapshot's own piece ``id`` wait for this exception."""
    snap = snapshot(d, snap_id)
    pending = snap.pending[chunk]
    _put_pending(d, snap, replace(pending, waiting=(*pending.waiting, id)))


def queue_origin(d: Draft, snap_id: int, chunk: int, id: WorkId) -> None:
    """Makes the origin write ``id`` wait for this exception."""
    snap = snapshot(d, snap_id)
    pending = snap.pending[chunk]
    _put_pending(d, snap, replace(pending, origin_waiting=(*pending.origin_waiting, id)))


def lock_out(d: Draft, snap_id: int, id: WorkId | None) -> None:
    """Makes the piece ``id`` wait for the snapshot's lock, which is held while the header is written (ORIGIN-5)."""
    if id is not None:
        snap = snapshot(d, snap_id)
        d.put(replace(snap, locked_out=(*snap.locked_out, id)), over=snap)


# --- copied ------------------------------------------------------------------------------------------------------


def start_copy(d: Draft, snap_id: int, chunk: int) -> None:
    """Begins the copy of a chunk from the origin to the COW device, once (EXC-8).

    It is a whole chunk of this snapshot's size (ORIGIN-10), but for what lies beyond the origin's end (SNAP-15).
    """
    snap = snapshot(d, snap_id)
    pending = snap.pending[chunk]
    if pending.stage is not PendingStage.ALLOCATED:
        return
    _put_pending(d, snap, _after(pending, PendingTrigger.STARTED))
    size = snap.store.chunk_size
    start = chunk_start(chunk, size)
    count = min(size, d.size(snap.origin) - start)
    to = Bio(Op.WRITE, snap.cow, chunk_start(pending.new, size), count)
    kcopyd.copy(d, CopyJob(snap_id, Copy.OUT, chunk, to), snap.origin, start)


def fill(d: Draft, snap_id: int, chunk: int, id: WorkId) -> None:
    """Makes the write ``id``, which fills the chunk, take the place of the copy (EXC-10)."""
    snap = snapshot(d, snap_id)
    _put_pending(d, snap, replace(_after(snap.pending[chunk], PendingTrigger.STARTED), full=id))


def copied(d: Draft, job: CopyJob, error: str | None) -> None:
    """The copy of a chunk has ended.  Source: ``copy_callback``."""
    _filled(d, job.target, job.old, ok=error is None)


def full_written(d: Draft, piece: Piece, error: str | None) -> None:
    """A write that fills its chunk has reached the COW device, in place of a copy.  Source: ``full_bio_end_io``."""
    if piece.chunk is not None:
        _filled(d, piece.target, piece.chunk, ok=error is None)


def _filled(d: Draft, snap_id: int, old: int, *, ok: bool) -> None:
    snap = snapshot(d, snap_id)
    trigger = PendingTrigger.COPIED if ok else PendingTrigger.COPY_FAILED
    _put_pending(d, snap, _after(snap.pending[old], trigger))
    _commit_ready(d, snap_id)


# --- recorded, committed -----------------------------------------------------------------------------------------


def busy(snap: SnapshotTarget) -> bool:
    """Whether its thread writes an area, or waits for readers: it commits nothing then (EXC-12, CONTROL-5)."""
    return snap.writing or bool(snap.publishing)


def _commit_ready(d: Draft, snap_id: int) -> None:
    """Commits what is copied, in the order of allocation (EXC-9, STORE-6), until one is not copied.

    Nothing is committed while the batch before is written or waits for readers (EXC-12).
    """
    while True:
        snap = snapshot(d, snap_id)
        if busy(snap) or not snap.order:
            return
        stage = snap.pending[snap.order[0]].stage
        if stage not in (PendingStage.COPIED, PendingStage.FAILED):
            return
        _commit(d, snap, ok=stage is PendingStage.COPIED)


def _commit(d: Draft, snap: SnapshotTarget, *, ok: bool) -> None:
    """Enters one exception into the area; writes the area if no other waits for its record, or it is full (STORE-18).

    If it is full the next area is zeroed first (STORE-19), for which there must be room (STORE-9).
    """
    old, order = snap.order[0], snap.order[1:]
    if not isinstance(snap.store, Persistent):
        _answered(d, replace(snap, order=order), (old,), ok=ok, over=snap)
        return
    # A store that a failed copy has made invalid still counts its record, but its area is never written.
    store = replace(snap.store, valid=snap.store.valid and ok).record(old, snap.pending[old].new)
    pending = snap.pending.set(old, _after(snap.pending[old], PendingTrigger.RECORDED))
    recorded = (*snap.recorded, old)
    snap = d.put(replace(snap, store=store, pending=pending, order=order, recorded=recorded), over=snap)
    if store.prepared and not store.full:
        return
    d.put(replace(snap, writing=True), over=snap)
    if store.full:
        next_area = replace(store, area=store.area + 1).area_sector
        store_io.write(d, snap, StoreStep.ZERO_NEXT, next_area, store.zeroes)
    else:
        rules_of(d).write_area(d, snapshot(d, snap.id))


def next_area_zeroed(d: Draft, snap: SnapshotTarget, error: str | None) -> None:
    """The area after a full one has been zeroed; the full one may be written."""
    if error is not None and isinstance(snap.store, Persistent):
        snap = d.put(replace(snap, store=replace(snap.store, valid=False)), over=snap)
    rules_of(d).write_area(d, snap)


def write_area(d: Draft, snap: SnapshotTarget) -> None:
    """Writes the area durably, after a flush of the COW device (STORE-3); not if the store is invalid."""
    store = snap.store
    if isinstance(store, Persistent) and store.valid:
        store_io.write(d, snap, StoreStep.WRITE_AREA, store.area_sector, store.image, preflush=True, fua=True)
    else:
        area_written(d, snap, None)


def area_written(d: Draft, snap: SnapshotTarget, error: str | None) -> None:
    """The area has been written: the exceptions recorded in it are committed (STORE-1), or lost."""
    if not isinstance(snap.store, Persistent):
        raise MachineError(f"snapshot {snap.id} has no area that could have been written")
    store = replace(snap.store, valid=snap.store.valid and error is None).advance()
    _answered(d, replace(snap, store=store, writing=False, recorded=()), snap.recorded, ok=store.valid, over=snap)


def _answered(d: Draft, snap: SnapshotTarget, batch: tuple[int, ...], *, ok: bool, over: SnapshotTarget) -> None:
    """The store has committed the exceptions of a batch, or lost them (STORE-7)."""
    trigger = PendingTrigger.COMMITTED if ok else PendingTrigger.LOST
    pending = snap.pending.update({old: _after(snap.pending[old], trigger) for old in batch})
    d.put(replace(snap, pending=pending, publishing=batch), over=over)
    rules_of(d).publish(d, snapshot(d, snap.id))


# --- published, released -----------------------------------------------------------------------------------------


def publish(d: Draft, snap: SnapshotTarget) -> None:
    """Publishes the committed exceptions one after the other, and releases each when its readers are done.

    Bios that waited for it continue only then (EXC-11, STORE-4), so that no write to the origin overtakes a read
    (ORIGIN-3).  An exception that is published is released even if the snapshot has become invalid meanwhile (EXC-6).
    """
    while snap.publishing:
        pending = snap.pending[snap.publishing[0]]
        published = pending.stage is PendingStage.PUBLISHED
        if snap.dropping and not published:
            return  # the header is being written; ``dropped`` calls this again
        if snap.valid and pending.stage is PendingStage.LOST:
            rules_of(d).invalidate(d, snap, "EIO")
            snap = snapshot(d, snap.id)
            continue
        if snap.valid and not published:
            published = True
            snap = _complete(d, snap, pending)
        if published and snap.tracked.get(pending.old):
            return  # the end of the last of these reads calls this again
        _release(d, snap, pending.old, None if published else "EIO")
        snap = snapshot(d, snap.id)
    _commit_ready(d, snap.id)


def _complete(d: Draft, snap: SnapshotTarget, pending: Pending) -> SnapshotTarget:
    """Enters the exception into the table that reads follow (EXC-2)."""
    completed = insert(snap.completed, pending.old, pending.new)
    pending = _after(pending, PendingTrigger.PUBLISHED)
    return d.put(replace(snap, completed=completed, pending=snap.pending.set(pending.old, pending)), over=snap)


def _release(d: Draft, snap: SnapshotTarget, old: int, error: str | None) -> None:
    """The exception is done: writes to the snapshot continue, or fail with ``error`` (EXC-5).

    Writes to the origin continue in any case (ORIGIN-2).
    """
    pending = _after(snap.pending[old], PendingTrigger.GIVEN_UP if error else PendingTrigger.RELEASED)
    d.put(replace(snap, pending=snap.pending.delete(old), publishing=snap.publishing[1:]), over=snap)
    if pending.full is not None:
        bios.piece_ended(d, pending.full, error)
    for id in pending.waiting:
        if error:
            bios.piece_ended(d, id, error)
        else:
            bios.send(d, id, d.piece(id).bio)
    for id in pending.origin_waiting:
        bios.retry(d, id)
    _tell(d)


def _tell(d: Draft) -> None:
    """Has merges that wait for exceptions of other snapshots ask again.  Source: ``_pending_exceptions_done``."""
    for listener in rules_of(d).exception_done:
        d.defer(listener)


# --- a snapshot is lost ------------------------------------------------------------------------------------------


def invalidate(d: Draft, snap: SnapshotTarget, reason: str) -> None:
    """Invalidates the snapshot because of EIO or ENOMEM (STORE-7): first its header on disk, then in memory (SNAP-13).

    Source: ``__invalidate_snapshot``.
    """
    if not snap.valid or snap.dropping:
        return
    what = {"EIO": "Error reading/writing.", "ENOMEM": "Unable to allocate exception."}[reason]
    d.log(f"snapshots: Invalidating snapshot: {what}")
    store = snap.store
    if isinstance(store, Persistent):
        store = replace(store, valid=False)
        snap = d.put(replace(snap, store=store, dropping=True), over=snap)
        rules_of(d).drop_header(d, snap)
    else:
        _lost(d, snap)


def _lost(d: Draft, snap: SnapshotTarget) -> None:
    """Makes the snapshot invalid for ever (STORE-5), and raises an event (SNAP-18)."""
    d.put(replace(snap, valid=False, dropping=False, locked_out=()), over=snap)
    d.raise_event(snap.device)


def dropped(d: Draft, snap: SnapshotTarget, error: str | None) -> None:
    """The header has been written, or could not be (STORE-8): the lock is free, and what waited for it continues."""
    if error:
        d.log("persistent snapshot: write header failed")
    _lost(d, snap)
    for id in snap.locked_out:
        bios.retry(d, id)
    rules_of(d).publish(d, snapshot(d, snap.id))
    _tell(d)
