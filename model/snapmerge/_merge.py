"""The ``snapshot-merge`` target: where its bios go, and the loop that merges.

One run after the other, from the last record of the store backwards: protect the other snapshots, wait for
writers, copy, flush the origin, clear the records, release.  The letters are those of specs/merge.md.
Source: ``snapshot_merge_map``, ``snapshot_merge_next_chunks``, ``merge_callback`` in dm-snap.c.
"""

from . import _bios, _concept, _copyout, _origin, _snapshot, _storeio
from ._bio import Bio, Op
from ._concept_state import Generation
from ._draft import Draft
from ._exceptions import lookup, remove
from ._replace import replace
from ._state import CopyJob, Merge, MergeFlush, Phase, Piece, Purpose, SnapshotTarget, StoreStep
from ._store import Persistent, Run
from ._units import chunk_of, chunk_start

__all__ = [
    "area_read",
    "commit_done",
    "commit_merge",
    "copied",
    "drain",
    "fail_merge",
    "flush_origin",
    "flushed",
    "map_merge",
    "merge_of",
    "next_run",
    "protect",
    "release_run",
    "retry_protection",
    "start_merge",
    "stop_merge",
    "writers_gone",
]


def merge_of(snap: SnapshotTarget) -> Merge:
    """The state of its merge; an idle one for a target that is none."""
    return snap.merge if snap.merge is not None else Merge()


# --- bios --------------------------------------------------------------------------------------------------------


def map_merge(d: Draft, id: int, snap: SnapshotTarget, piece: Piece) -> None:
    """Decides where a piece goes: what has an exception lives on the COW device until its run is done."""
    bio = piece.bio
    if bio.op is Op.FLUSH:
        _bios.send(d, id, bio.to(snap.cow if piece.number else snap.origin, 0))
    elif bio.op is Op.DISCARD:
        _bios.piece_ended(d, id, None)
    else:
        _map_data(d, id, snap, piece)


def _map_data(d: Draft, id: int, snap: SnapshotTarget, piece: Piece) -> None:
    bio = piece.bio
    chunk = chunk_of(bio.sector, snap.store.chunk_size or 1)
    new = lookup(snap.completed, chunk) if snap.valid else None
    if new is None:
        d.change(id, replace(piece, bio=bio.to(snap.origin, bio.sector)), over=piece)
        if bio.is_write:
            _origin.do_origin(d, id, snap.origin)
        else:
            _bios.send(d, id, d.piece(id).bio)
        return
    merge = merge_of(snap)
    if bio.is_write and merge.run is not None and chunk in merge.run:
        d.change(id, replace(piece, bio=bio.to(snap.origin, bio.sector)), over=piece)
        d.put(replace(snap, merge=replace(merge, queued=(*merge.queued, id))), over=snap)
        return
    if bio.is_write:
        _snapshot.track(d, id, snap.id, chunk)
    _bios.send(d, id, _snapshot.in_cow(snap, bio, new))


# --- the loop ----------------------------------------------------------------------------------------------------


def _set(d: Draft, snap: SnapshotTarget, phase: Phase, run: Run | None = None) -> None:
    d.put(replace(snap, merge=replace(merge_of(snap), phase=phase, run=run)), over=snap)


def start_merge(d: Draft, id: int) -> None:
    """Starts the loop, or lets it go on."""
    if merge_of(d.snapshot(id)).phase is Phase.IDLE:
        d.rules.next_run(d, id)


def stop_merge(d: Draft, id: int) -> None:
    """Asks the loop to stop behind the run that it is in; it has when its phase is IDLE."""
    snap = d.snapshot(id)
    d.put(replace(snap, merge=replace(merge_of(snap), stopping=True)), over=snap)


def next_run(d: Draft, id: int) -> None:
    """A, B: takes the next run, from the area before if this one has no records left."""
    snap = d.snapshot(id)
    store = snap.store
    if merge_of(snap).stopping:
        _set(d, snap, Phase.IDLE)
    elif not snap.valid:
        d.log("snapshots: Snapshot is invalid: can't merge")
        _set(d, snap, Phase.IDLE)
    elif not isinstance(store, Persistent) or (store.committed == 0 and store.area == 0):
        _set(d, snap, Phase.IDLE)
    elif store.committed == 0:
        _set(d, snap, Phase.READING)
        _storeio.read(d, d.snapshot(id), StoreStep.MERGE_READ, store.back().area_sector)
    else:
        d.rules.protect(d, snap)


def area_read(d: Draft, snap: SnapshotTarget, error: str | None, data: bytes) -> None:
    """B: the area before has been read, all of whose records count."""
    if error is not None or not isinstance(snap.store, Persistent):
        d.rules.fail_merge(d, snap, "Read error in exception store: shutting down merge")
        return
    d.put(replace(snap, store=replace(snap.store.back(), image=data)), over=snap)
    d.rules.protect(d, d.snapshot(snap.id))


def _next(snap: SnapshotTarget) -> Run:
    """C: the run that is next in the store."""
    return snap.store.last_run() if isinstance(snap.store, Persistent) else Run(chunk_of(0, 1), chunk_of(0, 1), 0)


def _sectors(d: Draft, snap: SnapshotTarget, run: Run) -> tuple[int, int]:
    """C: where the run begins on the origin, and how many sectors of it there are."""
    start = chunk_start(run.old, snap.store.chunk_size)
    return start, min(run.count * snap.store.chunk_size, max(d.size(snap.origin) - start, 0))


def protect(d: Draft, snap: SnapshotTarget) -> None:
    """D: has every other snapshot copy what the run will overwrite; asked again until nobody needs to."""
    _set(d, snap, Phase.PROTECTING)
    start, count = _sectors(d, snap, _next(snap))
    waits = [d.rules.origin_write(d, snap.origin, start + at, None) for at in range(0, count, snap.io_max)]
    if not any(waits):
        d.rules.drain(d, d.snapshot(snap.id))


def retry_protection(d: Draft) -> None:
    """An exception somewhere is done: merges that waited for one ask again.  ``_pending_exceptions_done``."""
    for id in sorted(d.targets):
        target = d.targets.get(id)
        if isinstance(target, SnapshotTarget) and merge_of(target).phase is Phase.PROTECTING:
            d.rules.protect(d, target)
    if d.generation is Generation.CONCEPT:
        _concept.retry_protection(d)


def drain(d: Draft, snap: SnapshotTarget) -> None:
    """E, F: from now on writes to the run queue; those already in flight are waited for."""
    _set(d, snap, Phase.DRAINING, _next(snap))
    writers_gone(d, d.snapshot(snap.id))


def writers_gone(d: Draft, snap: SnapshotTarget) -> None:
    """F: goes on when no write to the run's chunks is in flight."""
    merge = merge_of(snap)
    if merge.phase is Phase.DRAINING and merge.run is not None and not any(c in merge.run for c in snap.tracked):
        _copy_run(d, snap, merge.run)


def _copy_run(d: Draft, snap: SnapshotTarget, run: Run) -> None:
    """G: copies the run home."""
    _set(d, snap, Phase.COPYING, run)
    start, count = _sectors(d, snap, run)
    to = Bio(Op.WRITE, snap.origin, start, count)
    _copyout.copy(
        d, CopyJob(snap.id, Purpose.MERGE, run.old, to), snap.cow, chunk_start(run.new, snap.store.chunk_size)
    )


def copied(d: Draft, snap: SnapshotTarget, error: str | None, *, reading: bool) -> None:
    """H: the run has been copied."""
    if error is not None:
        d.rules.fail_merge(d, snap, f"{'Read' if reading else 'Write'} error: shutting down merge.")
    else:
        d.rules.flush_origin(d, snap)


def flush_origin(d: Draft, snap: SnapshotTarget) -> None:
    """I: makes the copy durable before the records go (fcc42338375a)."""
    _set(d, snap, Phase.FLUSHING, merge_of(snap).run)
    _bios.send(d, d.begin(MergeFlush(snap.id)), Bio(Op.FLUSH, snap.origin))


def flushed(d: Draft, snap: SnapshotTarget, error: str | None) -> None:
    """I: the origin has been flushed."""
    if error is not None:
        d.rules.fail_merge(d, snap, "Flush after merge failed: shutting down merge")
    else:
        d.rules.commit_merge(d, snap)


def commit_merge(d: Draft, snap: SnapshotTarget) -> None:
    """J: clears the run's records, durably."""
    run = merge_of(snap).run
    _set(d, snap, Phase.COMMITTING, run)
    if isinstance(snap.store, Persistent) and run is not None:
        image = snap.store.cleared(run.count)
        _storeio.write(
            d, d.snapshot(snap.id), StoreStep.MERGE_COMMIT, snap.store.area_sector, image, preflush=True, fua=True
        )


def commit_done(d: Draft, snap: SnapshotTarget, error: str | None) -> None:
    """J: the records are cleared; if not, the store in memory is as it was, so that the run can be merged again."""
    run = merge_of(snap).run
    if error is not None or run is None or not isinstance(snap.store, Persistent):
        d.rules.fail_merge(d, snap, "Write error in exception store: shutting down merge")
        return
    d.put(replace(snap, store=snap.store.merged(run.count)), over=snap)
    d.rules.release_run(d, d.snapshot(snap.id))


def release_run(d: Draft, snap: SnapshotTarget) -> None:
    """K: the run's chunks live on the origin now; writes that waited for it go there, and the loop goes on."""
    merge = merge_of(snap)
    completed = snap.completed
    for chunk in reversed(range(merge.run.old, merge.run.old + merge.run.count) if merge.run else ()):
        shorter = remove(completed, chunk)
        if isinstance(shorter, str):
            d.rules.fail_merge(d, d.put(replace(snap, completed=completed), over=snap), shorter)
            return
        completed = shorter
    d.put(replace(snap, completed=completed, merge=replace(merge, run=None, queued=())), over=snap)
    for id in merge.queued:
        _bios.send(d, id, d.piece(id).bio)
    d.rules.next_run(d, snap.id)


def fail_merge(d: Draft, snap: SnapshotTarget, text: str) -> None:
    """The loop ends; what has not been merged is served from the COW device, and queued writes fail."""
    d.log(f"snapshots: {text}")
    merge = merge_of(snap)
    d.put(replace(snap, merge=replace(merge, phase=Phase.IDLE, run=None, queued=(), failed=True)), over=snap)
    for id in merge.queued:
        _bios.piece_ended(d, id, "EIO")
