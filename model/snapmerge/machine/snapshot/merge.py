"""The ``snapshot-merge`` target: where its bios go, and the loop that merges.

The problem: a snapshot's exceptions are to be copied back over its origin while the device is in use, other snapshots
of the same origin must keep what they show, and a power cut at any moment must leave either an exception's record on
the COW device or its data on the origin, durably.  So the loop takes one *run* after the other (chunks that are
consecutive on both devices), from the last record of the store backwards, and for each run goes through these phases:

*   A, B (``READING``): if the current area has no records left, read the area before.
*   C: the run is the longest one at the end of the area's records.
*   D (``PROTECTING``, ``protect``): every other snapshot copies what the run will overwrite; asked again whenever an
    exception somewhere is done, until none needs to (MERGE-5).
*   E, F (``DRAINING``, ``drain``): from now on writes to the run are queued, and the loop waits for those on their
    way to the COW device.  Otherwise a write could reach the COW device after the copy has read it, and be lost
    (MERGE-19).
*   G, H (``COPYING``): kcopyd copies the run from the COW device to the origin.
*   I (``FLUSHING``, ``flush_origin``): the copy is made durable, before its records go (MERGE-6).
*   J (``COMMITTING``, ``commit_merge``): the run's records are cleared on the COW device, durably.
*   K (``release_run``): the exceptions leave memory; queued writes go to the origin, where their chunks now live.

Meanwhile a bio to the device goes where its chunk lives.  A chunk without an exception lives on the origin, and a
write to it asks the other snapshots first, as any write to the origin does.  A chunk with an exception lives on the
COW device until K.

A write to a chunk that is being merged, from its arrival to its end: ``map_merge`` finds the exception, and the chunk
in the merge's ``run``, so the piece is remapped to the origin and queued.  The loop goes through G to J.
``release_run`` sends the piece to the origin; when the disk has written it, ``types.end_io`` ends it, and
``bios.count_down`` its bio.  If the merge fails first, ``fail_merge`` ends the piece with EIO.  A write that arrives
between C and E is tracked and goes to the COW device, and the loop waits for it in F.

An error ends the loop (``fail_merge``, MERGE-9, MERGE-10).  A suspension lets the run in hand be finished
(``stopping``, MERGE-20).

Source: ``snapshot_merge_map``, ``snapshot_merge_next_chunks``, ``merge_callback`` in dm-snap.c (specs/merge.md).
"""

from enum import Enum
from typing import Final

from snapmerge.format.exceptions import lookup, remove
from snapmerge.format.store import Persistent, Run
from snapmerge.machine.core import bios, kcopyd
from snapmerge.machine.core.bio import Bio, Op
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import CopyJob, Piece
from snapmerge.machine.core.transitions import Transitions
from snapmerge.machine.snapshot import store_io
from snapmerge.machine.snapshot.origin import do_origin
from snapmerge.machine.snapshot.registry import snapshot
from snapmerge.machine.snapshot.rules import rules_of
from snapmerge.machine.snapshot.snapshot import in_cow, track
from snapmerge.machine.snapshot.state import Copy, Merge, MergeFlush, Phase, SnapshotTarget, StoreStep
from snapmerge.records import replace
from snapmerge.units import chunk_of, chunk_start

__all__ = [
    "MERGE",
    "MergeTrigger",
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


class MergeTrigger(Enum):
    """What takes a merge from one phase to the next: the function that does, and what has happened."""

    ENDED = "next_run: a stop was asked for, the snapshot is invalid, or all is merged (MERGE-20, MERGE-12, MERGE-8)"
    AREA_EMPTY = "next_run: the area has no records left, and is not the first (MERGE-15)"
    ASKED = "protect: the other snapshots are asked for copies of what the run will overwrite (MERGE-5)"
    PROTECTED = "drain: no other snapshot needs what the run will overwrite (MERGE-5)"
    DRAINED = "_copy_run: no write to the run's chunks is on its way to the COW device (MERGE-19)"
    COPIED = "flush_origin: the run has been copied to the origin (MERGE-6)"
    FLUSHED = "commit_merge: the copy is durable (MERGE-6)"
    FAILED = "fail_merge: a read, copy, flush or write of the merge has failed (MERGE-9, MERGE-10)"


_P, _T = Phase, MergeTrigger

MERGE: Final = Transitions(
    "a merge",
    _P.IDLE,
    None,
    {
        (_P.IDLE, _T.ENDED): _P.IDLE,
        (_P.IDLE, _T.AREA_EMPTY): _P.READING,
        (_P.IDLE, _T.ASKED): _P.PROTECTING,
        (_P.READING, _T.ASKED): _P.PROTECTING,
        (_P.READING, _T.FAILED): _P.IDLE,
        (_P.PROTECTING, _T.ASKED): _P.PROTECTING,
        (_P.PROTECTING, _T.PROTECTED): _P.DRAINING,
        (_P.DRAINING, _T.DRAINED): _P.COPYING,
        (_P.COPYING, _T.COPIED): _P.FLUSHING,
        (_P.COPYING, _T.FAILED): _P.IDLE,
        (_P.FLUSHING, _T.FLUSHED): _P.COMMITTING,
        (_P.FLUSHING, _T.FAILED): _P.IDLE,
        (_P.COMMITTING, _T.ENDED): _P.IDLE,
        (_P.COMMITTING, _T.AREA_EMPTY): _P.READING,
        (_P.COMMITTING, _T.ASKED): _P.PROTECTING,
        (_P.COMMITTING, _T.FAILED): _P.IDLE,
    },
)
"""The phases of a merge.  A failed merge is idle like one that was stopped: a resume starts either again (MERGE-11)."""


def merge_of(snap: SnapshotTarget) -> Merge:
    """The state of its merge; an idle one for a plain snapshot."""
    return snap.merge if snap.merge is not None else Merge()


# --- bios --------------------------------------------------------------------------------------------------------


def map_merge(d: Draft, id: int, snap: SnapshotTarget, piece: Piece) -> None:
    """Decides where a piece goes: what has an exception lives on the COW device until its run is done."""
    bio = piece.bio
    if bio.op is Op.FLUSH:
        bios.send(d, id, bio.to(snap.cow if piece.number else snap.origin, 0))
    elif bio.op is Op.DISCARD:
        bios.piece_ended(d, id, None)
    else:
        _map_data(d, id, snap, piece)


def _map_data(d: Draft, id: int, snap: SnapshotTarget, piece: Piece) -> None:
    bio = piece.bio
    chunk = chunk_of(bio.sector, snap.store.chunk_size or 1)
    new = lookup(snap.completed, chunk) if snap.valid else None
    if new is None:
        d.change(id, replace(piece, bio=bio.to(snap.origin, bio.sector)), over=piece)
        if bio.is_write:
            do_origin(d, id, snap.origin)
        else:
            bios.send(d, id, d.piece(id).bio)
        return
    merge = merge_of(snap)
    if bio.is_write and merge.run is not None and chunk in merge.run:
        d.change(id, replace(piece, bio=bio.to(snap.origin, bio.sector)), over=piece)
        d.put(replace(snap, merge=replace(merge, queued=(*merge.queued, id))), over=snap)
        return
    if bio.is_write:
        track(d, id, snap.id, chunk)
    bios.send(d, id, in_cow(snap, bio, new))


# --- the loop ----------------------------------------------------------------------------------------------------


def _enter(d: Draft, snap: SnapshotTarget, trigger: MergeTrigger, run: Run | None = None) -> None:
    merge = merge_of(snap)
    d.put(replace(snap, merge=replace(merge, phase=MERGE.after(merge.phase, trigger), run=run)), over=snap)


def start_merge(d: Draft, id: int) -> None:
    """Starts the loop, or lets it go on."""
    if merge_of(snapshot(d, id)).phase is Phase.IDLE:
        rules_of(d).next_run(d, id)


def stop_merge(d: Draft, id: int) -> None:
    """Asks the loop to stop behind the run that it is in; it has when its phase is IDLE."""
    snap = snapshot(d, id)
    d.put(replace(snap, merge=replace(merge_of(snap), stopping=True)), over=snap)


def next_run(d: Draft, id: int) -> None:
    """A, B: takes the next run, from the area before if this one has no records left."""
    snap = snapshot(d, id)
    store = snap.store
    if merge_of(snap).stopping:
        _enter(d, snap, MergeTrigger.ENDED)
    elif not snap.valid:
        d.log("snapshots: Snapshot is invalid: can't merge")
        _enter(d, snap, MergeTrigger.ENDED)
    elif not isinstance(store, Persistent) or (store.committed == 0 and store.area == 0):
        _enter(d, snap, MergeTrigger.ENDED)
    elif store.committed == 0:
        _enter(d, snap, MergeTrigger.AREA_EMPTY)
        store_io.read(d, snapshot(d, id), StoreStep.MERGE_READ, store.back().area_sector)
    else:
        rules_of(d).protect(d, snap)


def area_read(d: Draft, snap: SnapshotTarget, error: str | None, data: bytes) -> None:
    """B: the area before has been read, all of whose records count."""
    if error is not None or not isinstance(snap.store, Persistent):
        rules_of(d).fail_merge(d, snap, "Read error in exception store: shutting down merge")
        return
    d.put(replace(snap, store=replace(snap.store.back(), image=data)), over=snap)
    rules_of(d).protect(d, snapshot(d, snap.id))


def _next(snap: SnapshotTarget) -> Run:
    """C: the run that is next in the store."""
    return snap.store.last_run() if isinstance(snap.store, Persistent) else Run(chunk_of(0, 1), chunk_of(0, 1), 0)


def _sectors(d: Draft, snap: SnapshotTarget, run: Run) -> tuple[int, int]:
    """C: where the run begins on the origin, and how many sectors of it there are."""
    start = chunk_start(run.old, snap.store.chunk_size)
    return start, min(run.count * snap.store.chunk_size, max(d.size(snap.origin) - start, 0))


def protect(d: Draft, snap: SnapshotTarget) -> None:
    """D: has every other snapshot copy what the run will overwrite; asked again until nobody needs to."""
    _enter(d, snap, MergeTrigger.ASKED)
    start, count = _sectors(d, snap, _next(snap))
    waits = [rules_of(d).origin_write(d, snap.origin, start + at, None) for at in range(0, count, snap.io_max)]
    if not any(waits):
        rules_of(d).drain(d, snapshot(d, snap.id))


def retry_protection(d: Draft) -> None:
    """An exception somewhere is done: merges that waited for one ask again.  ``_pending_exceptions_done``."""
    for id in sorted(d.targets):
        target = d.targets.get(id)
        if isinstance(target, SnapshotTarget) and merge_of(target).phase is Phase.PROTECTING:
            rules_of(d).protect(d, target)


def drain(d: Draft, snap: SnapshotTarget) -> None:
    """E, F: from now on writes to the run queue; those already in flight are waited for."""
    _enter(d, snap, MergeTrigger.PROTECTED, _next(snap))
    writers_gone(d, snapshot(d, snap.id))


def writers_gone(d: Draft, snap: SnapshotTarget) -> None:
    """F: goes on when no write to the run's chunks is in flight."""
    merge = merge_of(snap)
    if merge.phase is Phase.DRAINING and merge.run is not None and not any(c in merge.run for c in snap.tracked):
        _copy_run(d, snap, merge.run)


def _copy_run(d: Draft, snap: SnapshotTarget, run: Run) -> None:
    """G: copies the run home."""
    _enter(d, snap, MergeTrigger.DRAINED, run)
    start, count = _sectors(d, snap, run)
    to = Bio(Op.WRITE, snap.origin, start, count)
    source = chunk_start(run.new, snap.store.chunk_size)
    kcopyd.copy(d, CopyJob(snap.id, Copy.MERGE, run.old, to), snap.cow, source)


def copied(d: Draft, job: CopyJob, error: str | None) -> None:
    """H: the run has been copied."""
    snap = snapshot(d, job.target)
    if error is not None:
        half = "Read" if job.reading else "Write"
        rules_of(d).fail_merge(d, snap, f"{half} error: shutting down merge.")
    else:
        rules_of(d).flush_origin(d, snap)


def flush_origin(d: Draft, snap: SnapshotTarget) -> None:
    """I: makes the copy durable before the records go (fcc42338375a)."""
    _enter(d, snap, MergeTrigger.COPIED, merge_of(snap).run)
    bios.send(d, d.begin(MergeFlush(snap.id)), Bio(Op.FLUSH, snap.origin))


def flushed(d: Draft, snap: SnapshotTarget, error: str | None) -> None:
    """I: the origin has been flushed."""
    if error is not None:
        rules_of(d).fail_merge(d, snap, "Flush after merge failed: shutting down merge")
    else:
        rules_of(d).commit_merge(d, snap)


def commit_merge(d: Draft, snap: SnapshotTarget) -> None:
    """J: clears the run's records, durably."""
    run = merge_of(snap).run
    _enter(d, snap, MergeTrigger.FLUSHED, run)
    if isinstance(snap.store, Persistent) and run is not None:
        image = snap.store.cleared(run.count)
        store_io.write(
            d, snapshot(d, snap.id), StoreStep.MERGE_COMMIT, snap.store.area_sector, image, preflush=True, fua=True
        )


def commit_done(d: Draft, snap: SnapshotTarget, error: str | None) -> None:
    """J: the records are cleared; if not, the store in memory is as it was, so that the run can be merged again."""
    run = merge_of(snap).run
    if error is not None or run is None or not isinstance(snap.store, Persistent):
        rules_of(d).fail_merge(d, snap, "Write error in exception store: shutting down merge")
        return
    d.put(replace(snap, store=snap.store.merged(run.count)), over=snap)
    rules_of(d).release_run(d, snapshot(d, snap.id))


def release_run(d: Draft, snap: SnapshotTarget) -> None:
    """K: the run's chunks live on the origin now; writes that waited for it go there, and the loop goes on."""
    merge = merge_of(snap)
    completed = snap.completed
    for chunk in reversed(range(merge.run.old, merge.run.old + merge.run.count) if merge.run else ()):
        shorter = remove(completed, chunk)
        if isinstance(shorter, str):
            rules_of(d).fail_merge(d, d.put(replace(snap, completed=completed), over=snap), shorter)
            return
        completed = shorter
    d.put(replace(snap, completed=completed, merge=replace(merge, run=None, queued=())), over=snap)
    for id in merge.queued:
        bios.send(d, id, d.piece(id).bio)
    rules_of(d).next_run(d, snap.id)


def fail_merge(d: Draft, snap: SnapshotTarget, text: str) -> None:
    """The loop ends; what has not been merged is served from the COW device, and queued writes fail."""
    d.log(f"snapshots: {text}")
    merge = merge_of(snap)
    phase = MERGE.after(merge.phase, MergeTrigger.FAILED)
    d.put(replace(snap, merge=replace(merge, phase=phase, run=None, queued=(), failed=True)), over=snap)
    for id in merge.queued:
        bios.piece_ended(d, id, "EIO")
