"""The life of an exception: allocated, copied, committed in the order of allocation, published, released.

Source: ``__insert_pending_exception``, ``start_copy``, ``copy_callback``, ``complete_exception``, ``pending_complete``,
``__invalidate_snapshot`` in dm-snap.c and ``persistent_commit_exception`` (specs/exceptions.md, specs/store.md).
"""

from . import _bios, _concept, _merge, _origin, _storeio
from ._bio import Bio, Buffer, Op
from ._draft import Draft
from ._exceptions import insert, lookup
from ._replace import replace
from ._state import CopyJob, Pending, Piece, Purpose, SnapshotTarget, StoreStep
from ._store import Persistent
from ._units import chunk_start

__all__ = [
    "area_written",
    "chunk_quiet",
    "copy_step",
    "dropped",
    "full_written",
    "invalidate",
    "lock_out",
    "prepare",
    "publish",
    "queue_origin",
    "start_copy",
    "write_area",
]


def prepare(d: Draft, snap_id: int, chunk: int) -> bool:
    """Allocates a chunk of the COW device and enters a pending exception; False: there is no room."""
    snap = d.snapshot(snap_id)
    prepared = snap.store.prepare(d.size(snap.cow))
    if prepared is None:
        return False
    store, new = prepared
    pending = snap.pending.set(chunk, Pending(chunk, new))
    d.put(replace(snap, store=store, pending=pending, order=(*snap.order, chunk)), over=snap)
    return True


def queue_origin(d: Draft, snap_id: int, chunk: int, id: int) -> None:
    """The origin write ``id`` waits for this exception."""
    snap = d.snapshot(snap_id)
    pending = snap.pending[chunk]
    pending = replace(pending, origin_waiting=(*pending.origin_waiting, id))
    d.put(replace(snap, pending=snap.pending.set(chunk, pending)), over=snap)


def lock_out(d: Draft, snap_id: int, id: int | None) -> None:
    """The piece ``id`` waits until the snapshot's lock is free, which is held while the header is invalidated."""
    if id is not None:
        snap = d.snapshot(snap_id)
        d.put(replace(snap, locked_out=(*snap.locked_out, id)), over=snap)


def start_copy(d: Draft, snap_id: int, chunk: int) -> None:
    """Starts copying a chunk from the origin to the COW device, once; what lies beyond the origin's end is left out."""
    snap = d.snapshot(snap_id)
    pending = snap.pending[chunk]
    if pending.started:
        return
    d.put(replace(snap, pending=snap.pending.set(chunk, replace(pending, started=True))), over=snap)
    size = snap.store.chunk_size
    start = chunk_start(chunk, size)
    count = min(size, d.size(snap.origin) - start)
    to = Bio(Op.WRITE, snap.cow, chunk_start(pending.new, size), count)
    copy(d, CopyJob(snap_id, Purpose.COPY_OUT, chunk, to), snap.origin, start)


def copy(d: Draft, job: CopyJob, source: str, sector: int) -> None:
    """Begins a copy: reads into the job's own buffer, then writes from it.  Source: ``dm_kcopyd_copy``."""
    id = d.begin(job)
    count = job.destination.count
    d.change(id, replace(job, destination=replace(job.destination, payload=Buffer(id))), over=job)
    _bios.send(d, id, Bio(Op.READ, source, sector, count, Buffer(id)))


def copy_step(d: Draft, id: int, job: CopyJob, error: str | None) -> None:
    """One half of a copy is done."""
    if job.reading and error is None:
        d.change(id, replace(job, reading=False), over=job)
        _bios.send(d, id, job.destination)
        return
    d.end(id)
    if job.purpose is Purpose.MERGE:
        _merge.copied(d, d.snapshot(job.target), error, reading=job.reading)
    elif job.purpose is Purpose.CONCEPT:
        _concept.copied(d, job.target, job.old, error)
    else:
        _copied(d, job.target, job.old, ok=error is None)


def full_written(d: Draft, piece: Piece, error: str | None) -> None:
    """A write that fills its chunk has reached the COW device, in place of a copy."""
    if piece.chunk is not None:
        _copied(d, piece.target, piece.chunk, ok=error is None)


def _copied(d: Draft, snap_id: int, old: int, *, ok: bool) -> None:
    snap = d.snapshot(snap_id)
    pending = replace(snap.pending[old], copied=ok)
    d.put(replace(snap, pending=snap.pending.set(old, pending)), over=snap)
    _commit_ready(d, snap_id)


def _commit_ready(d: Draft, snap_id: int) -> None:
    """Commits what is copied, strictly in the order of allocation.

    One thread does this for a snapshot: while it writes the area or waits for readers, nothing else is committed.
    """
    while True:
        snap = d.snapshot(snap_id)
        if snap.writing or snap.publishing or not snap.order:
            return
        ok = snap.pending[snap.order[0]].copied
        if ok is None:
            return
        _commit(d, snap, ok=ok)


def _commit(d: Draft, snap: SnapshotTarget, *, ok: bool) -> None:
    """Enters one exception into the area; writes the area when nothing else is coming, or it is full."""
    old, order = snap.order[0], snap.order[1:]
    if not isinstance(snap.store, Persistent):
        d.put(replace(snap, order=order, publishing=(old,), success=ok), over=snap)
        d.rules.publish(d, d.snapshot(snap.id))
        return
    store = replace(snap.store, valid=snap.store.valid and ok).record(old, snap.pending[old].new)
    snap = d.put(replace(snap, store=store, order=order, recorded=(*snap.recorded, old)), over=snap)
    if store.prepared and not store.full:
        return
    d.put(replace(snap, writing=True), over=snap)
    if store.full:
        next_area = replace(store, area=store.area + 1).area_sector
        _storeio.write(d, snap, StoreStep.ZERO_NEXT, next_area, store.zeroes)
    else:
        d.rules.write_area(d, d.snapshot(snap.id))


def write_area(d: Draft, snap: SnapshotTarget) -> None:
    """Writes the area, durably and behind all that the COW device has been given; not if the store is invalid."""
    store = snap.store
    if isinstance(store, Persistent) and store.valid:
        _storeio.write(d, snap, StoreStep.WRITE_AREA, store.area_sector, store.image, preflush=True, fua=True)
    else:
        area_written(d, snap, None)


def area_written(d: Draft, snap: SnapshotTarget, error: str | None) -> None:
    """The exceptions recorded so far are committed, or lost."""
    store, success = snap.store, snap.success
    if isinstance(store, Persistent):
        store = replace(store, valid=store.valid and error is None).advance()
        success = store.valid
    written = replace(snap, store=store, writing=False, recorded=(), publishing=snap.recorded, success=success)
    d.put(written, over=snap)
    d.rules.publish(d, d.snapshot(snap.id))


def publish(d: Draft, snap: SnapshotTarget) -> None:
    """Makes committed exceptions visible, one after the other.

    From the insertion on, reads go to the COW device; writes to the origin go on only when the reads that went there
    before have ended (``__check_for_conflicting_io``).
    """
    while snap.publishing:
        old = snap.publishing[0]
        published = lookup(snap.completed, old) is not None
        if snap.dropping and not published:
            return
        if snap.valid and not (snap.success or published):
            d.rules.invalidate(d, snap, "EIO")
            snap = d.snapshot(snap.id)
            continue
        if snap.valid and not published:
            published = True
            completed = insert(snap.completed, old, snap.pending[old].new)
            snap = d.put(replace(snap, completed=completed), over=snap)
        if published and snap.tracked.get(old):
            return
        _release(d, snap, old, None if published else "EIO")
        snap = d.snapshot(snap.id)
    _commit_ready(d, snap.id)


def _release(d: Draft, snap: SnapshotTarget, old: int, error: str | None) -> None:
    """The exception is done: whoever waited for it goes on.  Origin writes do so even if it failed."""
    pending = snap.pending[old]
    d.put(replace(snap, pending=snap.pending.delete(old), publishing=snap.publishing[1:]), over=snap)
    if pending.full is not None:
        _bios.piece_ended(d, pending.full, error)
    for id in pending.waiting:
        if error:
            _bios.piece_ended(d, id, error)
        else:
            _bios.send(d, id, d.piece(id).bio)
    for id in pending.origin_waiting:
        _origin.do_origin(d, id, snap.origin)
    d.exception_done = True


def invalidate(d: Draft, snap: SnapshotTarget, reason: str) -> None:
    """The snapshot is lost: its header says so, then nobody uses it.  Source: ``__invalidate_snapshot``."""
    if not snap.valid or snap.dropping:
        return
    what = {"EIO": "Error reading/writing.", "ENOMEM": "Unable to allocate exception."}[reason]
    d.log(f"snapshots: Invalidating snapshot: {what}")
    store = snap.store
    if isinstance(store, Persistent):
        store = replace(store, valid=False)
        snap = d.put(replace(snap, store=store, dropping=True), over=snap)
        d.rules.drop_header(d, snap)
    else:
        _lost(d, snap)


def _lost(d: Draft, snap: SnapshotTarget) -> None:
    d.put(replace(snap, valid=False, dropping=False, locked_out=()), over=snap)
    d.raise_event(snap.device)


def dropped(d: Draft, snap: SnapshotTarget, error: str | None) -> None:
    """The header has been invalidated, or could not be: the lock is free, and whoever waited for it goes on."""
    if error:
        d.log("persistent snapshot: write header failed")
    _lost(d, snap)
    for id in snap.locked_out:
        if d.piece(id).target == snap.id:
            _bios.map_piece(d, id)
        else:
            _origin.do_origin(d, id, snap.origin)
    d.rules.publish(d, d.snapshot(snap.id))
    d.exception_done = True


def chunk_quiet(d: Draft, snap_id: int) -> None:
    """No tracked bio of some chunk is in flight any more."""
    snap = d.snapshot(snap_id)
    if snap.merge is None:
        d.rules.publish(d, snap)
    else:
        _merge.writers_gone(d, snap)
