"""Copying out: the life of an exception, from its allocation until nothing waits for it any more.

The problem: before a chunk of the origin changes, or a chunk of the snapshot differs from it, the chunk needs a place
of its own on the COW device.  Reads, writes to the snapshot and writes to the origin go on meanwhile, the disks
answer in any order, and after a power cut the records on the COW device must not promise chunks that are not there.
So an exception is made in steps, and at each step something else may rely on it:

1.  *Allocated* (``prepare``): it has a chunk of the COW device, and is *pending*.  Bios that need it wait for it: in
    ``waiting`` those of the snapshot, in ``origin_waiting`` writes to the origin (EXC-1).
2.  *Copied* (``start_copy``, ``full_written``): the old content is on its way.  A write that fills the chunk is the
    copy.
3.  *Committed* (``_commit``): its record is in the area, in memory.  Strictly in the order of allocation, so that the
    records on disk have no holes; a copy that is done early waits for its turn (EXC-2).  The area is written when no
    other exception is in the making, or when it is full, with PREFLUSH, so that no record is durable before its data,
    and FUA. When it is full, the next area is zeroed first: a reader of the store goes on to it, and must find an end
    there.
4.  *Published* (``publish``): reads follow it from now on.
5.  *Released* (``_release``): bios that waited continue.  Writes to the origin do so only when every read that went
    to the origin before is done (``tracked``), as it must still find the old content
    (``__check_for_conflicting_io``).

A copy that fails, or a commit, invalidates the snapshot (``invalidate``): its header is written as invalid while its
lock is held (``dropping``), and what comes meanwhile waits (``locked_out``).  Writes to the origin continue even
then: the origin comes first, the snapshot is lost.

One thread does steps 3 to 5 of a snapshot, so while it writes an area or waits for readers nothing else is committed.

Source: ``__insert_pending_exception``, ``start_copy``, ``copy_callback``, ``complete_exception``, ``pending_complete``,
``__invalidate_snapshot`` in dm-snap.c and ``persistent_commit_exception`` (specs/exceptions.md, specs/store.md).
"""

from enum import Enum
from typing import Final

from snapmerge.errors import MachineError
from snapmerge.format.exceptions import insert
from snapmerge.format.store import Persistent
from snapmerge.machine.core import bios, kcopyd
from snapmerge.machine.core.bio import Bio, Op
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import CopyJob, Piece
from snapmerge.machine.core.transitions import Transitions
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
    "copied",
    "dropped",
    "fill",
    "full_written",
    "invalidate",
    "lock_out",
    "next_area_zeroed",
    "prepare",
    "publish",
    "queue_origin",
    "start_copy",
    "write_area",
]


class PendingTrigger(Enum):
    """What takes a pending exception from one stage to the next: the function that does, and what has happened."""

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


# --- 1: allocated ------------------------------------------------------------------------------------------------


def prepare(d: Draft, snap_id: int, chunk: int) -> bool:
    """Allocates a chunk of the COW device and enters a pending exception; False: there is no room."""
    snap = snapshot(d, snap_id)
    prepared = snap.store.prepare(d.size(snap.cow))
    if prepared is None:
        return False
    store, new = prepared
    pending = snap.pending.set(chunk, Pending(chunk, new))
    d.put(replace(snap, store=store, pending=pending, order=(*snap.order, chunk)), over=snap)
    return True


def queue_origin(d: Draft, snap_id: int, chunk: int, id: int) -> None:
    """Makes the origin write ``id`` wait for this exception."""
    snap = snapshot(d, snap_id)
    pending = snap.pending[chunk]
    _put_pending(d, snap, replace(pending, origin_waiting=(*pending.origin_waiting, id)))


def lock_out(d: Draft, snap_id: int, id: int | None) -> None:
    """Makes the piece ``id`` wait for the snapshot's lock, which is held while the header is invalidated."""
    if id is not None:
        snap = snapshot(d, snap_id)
        d.put(replace(snap, locked_out=(*snap.locked_out, id)), over=snap)


# --- 2: copied ---------------------------------------------------------------------------------------------------


def start_copy(d: Draft, snap_id: int, chunk: int) -> None:
    """Begins the copy of a chunk from the origin to the COW device, once; not beyond the origin's end."""
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


def fill(d: Draft, snap_id: int, chunk: int, id: int) -> None:
    """Makes the write ``id``, which fills the chunk, take the place of the copy."""
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


# --- 3: committed ------------------------------------------------------------------------------------------------


def _commit_ready(d: Draft, snap_id: int) -> None:
    """Commits what is copied, in the order of allocation, until one is not copied or the thread has to wait."""
    while True:
        snap = snapshot(d, snap_id)
        if snap.writing or snap.publishing or not snap.order:
            return
        stage = snap.pending[snap.order[0]].stage
        if stage not in (PendingStage.COPIED, PendingStage.FAILED):
            return
        _commit(d, snap, ok=stage is PendingStage.COPIED)


def _commit(d: Draft, snap: SnapshotTarget, *, ok: bool) -> None:
    """Enters one exception into the area; writes the area when no other is in the making, or it is full."""
    old, order = snap.order[0], snap.order[1:]
    if not isinstance(snap.store, Persistent):
        _answered(d, replace(snap, order=order), (old,), ok=ok, over=snap)
        return
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
    """Writes the area, durably and after all that the COW device has been given; not if the store is invalid."""
    store = snap.store
    if isinstance(store, Persistent) and store.valid:
        store_io.write(d, snap, StoreStep.WRITE_AREA, store.area_sector, store.image, preflush=True, fua=True)
    else:
        area_written(d, snap, None)


def area_written(d: Draft, snap: SnapshotTarget, error: str | None) -> None:
    """The exceptions recorded so far are committed, or lost."""
    if not isinstance(snap.store, Persistent):
        raise MachineError(f"snapshot {snap.id} has no area that could have been written")
    store = replace(snap.store, valid=snap.store.valid and error is None).advance()
    _answered(d, replace(snap, store=store, writing=False, recorded=()), snap.recorded, ok=store.valid, over=snap)


def _answered(d: Draft, snap: SnapshotTarget, batch: tuple[int, ...], *, ok: bool, over: SnapshotTarget) -> None:
    """The store has committed the exceptions of a batch, or lost them."""
    trigger = PendingTrigger.COMMITTED if ok else PendingTrigger.LOST
    pending = snap.pending.update({old: _after(snap.pending[old], trigger) for old in batch})
    d.put(replace(snap, pending=pending, publishing=batch), over=over)
    rules_of(d).publish(d, snapshot(d, snap.id))


# --- 4 and 5: published, released --------------------------------------------------------------------------------


def publish(d: Draft, snap: SnapshotTarget) -> None:
    """Publishes the committed exceptions one after the other, and releases each when its readers are done."""
    while snap.publishing:
        pending = snap.pending[snap.publishing[0]]
        published = pending.stage is PendingStage.PUBLISHED
        if snap.dropping and not published:
            return
        if snap.valid and pending.stage is PendingStage.LOST:
            rules_of(d).invalidate(d, snap, "EIO")
            snap = snapshot(d, snap.id)
            continue
        if snap.valid and not published:
            published = True
            snap = _complete(d, snap, pending)
        if published and snap.tracked.get(pending.old):
            return
        _release(d, snap, pending.old, None if published else "EIO")
        snap = snapshot(d, snap.id)
    _commit_ready(d, snap.id)


def _complete(d: Draft, snap: SnapshotTarget, pending: Pending) -> SnapshotTarget:
    completed = insert(snap.completed, pending.old, pending.new)
    pending = _after(pending, PendingTrigger.PUBLISHED)
    return d.put(replace(snap, completed=completed, pending=snap.pending.set(pending.old, pending)), over=snap)


def _release(d: Draft, snap: SnapshotTarget, old: int, error: str | None) -> None:
    """The exception is done: what waited for it continues, or fails; writes to the origin continue in any case."""
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
    """The snapshot is lost, for EIO or ENOMEM; its header says so first.  Source: ``__invalidate_snapshot``."""
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
    d.put(replace(snap, valid=False, dropping=False, locked_out=()), over=snap)
    d.raise_event(snap.device)


def dropped(d: Draft, snap: SnapshotTarget, error: str | None) -> None:
    """The header has been invalidated, or could not be: the lock is free, and what waited for it continues."""
    if error:
        d.log("persistent snapshot: write header failed")
    _lost(d, snap)
    for id in snap.locked_out:
        bios.retry(d, id)
    rules_of(d).publish(d, snapshot(d, snap.id))
    _tell(d)
