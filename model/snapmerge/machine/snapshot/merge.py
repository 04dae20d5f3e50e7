"""The ``snapshot-merge`` target: the loop that merges, and the mapping of bios during the merge.

The problem.  A snapshot shows its *origin* as it was once, with the user's own writes on top.  A chunk that differs has
an *exception*: the snapshot's content of it lives on the *COW device*, where a record says which chunk it is.  A merge
copies these chunks to the origin, after which the origin is what the snapshot was.  Three things make that hard:

*   The device is in use.  From the first moment on it shows what the snapshot showed, and takes writes to chunks that
    are merged, not merged yet, or being merged (MERGE-1).
*   Other snapshots of the origin must not change, although the merge overwrites the origin (MERGE-5).
*   The power may be cut at any moment.  For each chunk its record on the COW device or its data on the origin must be
    durable, at every moment (MERGE-7).

The loop.  The store lists its exceptions in the order in which they were committed, area after area, and a list ends at
the first empty record.  So the merge takes records from the end: what is left is a valid list (MERGE-15).  It takes as
many at once as are consecutive on both devices, a *run*.  A resume starts the loop (``start_merge``), and each run goes
through these phases (``Phase``; the letters are those of specs/merge.md):

*   READING (B): only if the area has no records left.  ``next_run`` reads the area before, which is full.
*   PROTECTING (C, D): ``protect`` has every other snapshot copy out what the run will overwrite, as a write to the
    origin would.  Whenever an exception of any snapshot is done, ``retry_protection`` asks again, until none has to
    copy any more.  This may take long, but holds up no bio: those to the run still go to the COW device.
*   DRAINING (E, F): ``drain`` sets ``run``; from now on writes to its chunks are queued.  Writes that were sent to the
    COW device before may be in flight (``tracked``).  If the copy read a chunk before such a write reached it, the
    write would be lost; so ``writers_gone`` waits for them (MERGE-19).
*   COPYING (G, H): kcopyd copies the run from the COW device to the origin.  Reads still go to the COW device, which
    has the right data however far the copy has come (MERGE-21).
*   FLUSHING (I): ``flush_origin`` makes the copy durable.  If the records went first, a power cut could take both.
*   COMMITTING (J, K): ``commit_merge`` writes the area without the run's records, with FUA.  Then ``release_run`` takes
    the exceptions out of memory, sends the queued writes to the origin, where their chunks live now, and calls
    ``next_run`` again.
*   IDLE: no run is under way.  The merge has not begun, has ended, was stopped, or has failed.

No thread runs the loop.  Each function sends at most one I/O and returns; when that has ended, the machine calls
``area_read``, ``copied``, ``flushed`` or ``commit_done``, which continues the loop.  ``MERGE`` is the table of all
transitions (docs/states.md draws it).  Functions that seeded defects and findings replace are called through
``rules_of``.

Bios.  They come in pieces, each in one chunk.  A chunk without an exception lives on the origin; a write to it first
has the other snapshots copy it out (``do_origin``), as any write to the origin does.  A chunk with an exception lives
on the COW device; a write changes it there, in place, and is merged with it.  No write makes an exception (MERGE-4).

A chunk is being merged while it is in ``Merge.run``, from DRAINING to COMMITTING.  A write to it, from its arrival to
its end:

1.  ``bios.enter`` lets the bio into the device, ``bios._map_first`` splits it at chunk borders, and ``bios.map_piece``
    calls ``map_merge`` for each piece.
2.  ``_map_data`` finds the exception (``lookup``), and the chunk in ``Merge.run``.  So it remaps the piece to the
    origin, and adds its id to ``Merge.queued`` (MERGE-16).  The piece sends nothing yet.  It asks no other snapshot:
    the merge has done that for the whole run (PROTECTING).
3.  The loop finishes the run: ``copied``, ``flush_origin``, ``flushed``, ``commit_merge``, ``commit_done``.
4.  ``release_run`` removes the run's exceptions, and sends each queued piece to the origin (``bios.send``).
5.  When the disk has written it, ``bios.complete`` calls ``bios.piece_done``, which calls ``types._end_io``, which ends
    the piece.  ``bios.count_down`` ends the bio with its last piece: the user gets ``EndBio``.

If the merge fails in step 3, ``fail_merge`` ends the piece with EIO (MERGE-10).  A write that arrives before DRAINING
goes to the COW device (``track``).  When it ends, ``types._end_io`` untracks it and calls ``writers_gone``, which
starts the copy once no such write to the run is left.

Stopping.  A suspension asks the merge to stop, and so does the resume of another snapshot (``stop_merge``).  It stops
between two runs: the run in hand is finished first (MERGE-20).  A failed read, copy, flush or write ends the loop at
once.  Records and exceptions stay, so the device shows the right content, and a resume tries the same run again
(MERGE-9, MERGE-17).

A power cut.  Until the cleared area is durable the run's records are there: a merge that is loaded afterwards serves
the chunks from the COW device and copies the run again, whatever the first copy has left on the origin.  Once it is
durable, so is the copy, since the flush came before.  Queued writes were not acknowledged before that.

Source: ``snapshot_merge_map``, ``snapshot_merge_next_chunks``, ``merge_callback``, ``start_merge``, ``stop_merge`` in
dm-snap.c; ``persistent_prepare_merge``, ``persistent_commit_merge`` in dm-snap-persistent.c.
"""

from typing import Final

from snapmerge.format.exceptions import lookup, remove
from snapmerge.format.store import Persistent, Run
from snapmerge.machine.core import bios, kcopyd
from snapmerge.machine.core.bio import Bio, Op, WorkId
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import CopyJob, Piece
from snapmerge.machine.core.transitions import Named, Transitions
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


class MergeTrigger(Named):
    """The causes of phase changes: the function that makes the transition, and what has happened."""

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
"""The phases of a merge.  A failed merge is IDLE like one that was stopped: a resume starts either again."""


def merge_of(snap: SnapshotTarget) -> Merge:
    """The state of its merge; an idle one for a plain snapshot."""
    return snap.merge if snap.merge is not None else Merge()


# --- bios --------------------------------------------------------------------------------------------------------


def map_merge(d: Draft, id: WorkId, snap: SnapshotTarget, piece: Piece) -> None:
    """Decides where a piece goes.  A flush goes to both devices, as two clones; a discard does nothing (MERGE-22)."""
    bio = piece.bio
    if bio.op is Op.FLUSH:
        bios.send(d, id, bio.to(snap.cow if piece.number else snap.origin, 0))
    elif bio.op is Op.DISCARD:
        bios.piece_ended(d, id, None)
    else:
        _map_data(d, id, snap, piece)


def _map_data(d: Draft, id: WorkId, snap: SnapshotTarget, piece: Piece) -> None:
    """Sends a read or write to where its chunk lives, so that the device shows the snapshot at every moment (MERGE-1).

    Without an exception, or if the snapshot is invalid (MERGE-12), that is the origin; a write makes no exception
    (MERGE-4).  With one it is the COW device, also for reads of the run in hand (MERGE-21).  Writes to the run wait,
    remapped to the origin, for ``release_run`` (MERGE-16, MERGE-2).

    No merge becomes invalid during a run: it makes no exception that could fail, and a handover finds it suspended.
    The chunk size is 0 only after such a handover.
    """
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
    """Starts the loop if it is idle: not yet begun, stopped, failed or ended (MERGE-11, MERGE-28)."""
    if merge_of(snapshot(d, id)).phase is Phase.IDLE:
        rules_of(d).next_run(d, id)


def stop_merge(d: Draft, id: int) -> None:
    """Asks the loop to stop after the run in hand; it has stopped when its phase is IDLE (MERGE-20)."""
    snap = snapshot(d, id)
    d.put(replace(snap, merge=replace(merge_of(snap), stopping=True)), over=snap)


def next_run(d: Draft, id: int) -> None:
    """A, B: takes the next run, from the area before if this one has no records left (MERGE-15).

    The loop ends here: when a stop was asked for (MERGE-20), for an invalid snapshot (MERGE-12), and when all is merged
    (MERGE-8).  It raises no event (MERGE-14).
    """
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
    """B: the area before has been read, all of whose records count.

    The store goes back to it only now: after an error the next try reads the same area (MERGE-18).
    """
    if error is not None or not isinstance(snap.store, Persistent):
        rules_of(d).fail_merge(d, snap, "Read error in exception store: shutting down merge")
        return
    d.put(replace(snap, store=replace(snap.store.back(), image=data)), over=snap)
    rules_of(d).protect(d, snapshot(d, snap.id))


def _next(snap: SnapshotTarget) -> Run:
    """C: the run at the end of the area's records, all of it data chunks (MERGE-3, MERGE-15)."""
    return snap.store.last_run() if isinstance(snap.store, Persistent) else Run(chunk_of(0, 1), chunk_of(0, 1), 0)


def _sectors(d: Draft, snap: SnapshotTarget, run: Run) -> tuple[int, int]:
    """C: where the run begins on the origin, and how many sectors of it the origin has (MERGE-23)."""
    start = chunk_start(run.old, snap.store.chunk_size)
    return start, min(run.count * snap.store.chunk_size, max(d.size(snap.origin) - start, 0))


def protect(d: Draft, snap: SnapshotTarget) -> None:
    """D: has every other snapshot copy what the run will overwrite (MERGE-5), or become invalid (MERGE-13).

    While one has to copy, the merge waits; ``retry_protection`` calls this again whenever an exception is done.
    """
    _enter(d, snap, MergeTrigger.ASKED)
    start, count = _sectors(d, snap, _next(snap))
    waits = [rules_of(d).origin_write(d, snap.origin, start + at, None) for at in range(0, count, snap.io_max)]
    if not any(waits):
        rules_of(d).drain(d, snapshot(d, snap.id))


def retry_protection(d: Draft) -> None:
    """An exception of any snapshot is done: merges that wait in PROTECTING ask again.  ``_pending_exceptions_done``."""
    for id in sorted(d.targets):
        target = d.targets.get(id)
        if isinstance(target, SnapshotTarget) and merge_of(target).phase is Phase.PROTECTING:
            rules_of(d).protect(d, target)


def drain(d: Draft, snap: SnapshotTarget) -> None:
    """E, F: from now on writes to the run are queued; then waits for those that are in flight (MERGE-19).

    In this order: otherwise new writes could keep the merge waiting for ever.
    """
    _enter(d, snap, MergeTrigger.PROTECTED, _next(snap))
    writers_gone(d, snapshot(d, snap.id))


def writers_gone(d: Draft, snap: SnapshotTarget) -> None:
    """F: copies the run if no write to its chunks on the COW device is in flight (MERGE-2, MERGE-19)."""
    merge = merge_of(snap)
    if merge.phase is Phase.DRAINING and merge.run is not None and not any(c in merge.run for c in snap.tracked):
        _copy_run(d, snap, merge.run)


def _copy_run(d: Draft, snap: SnapshotTarget, run: Run) -> None:
    """G: copies the run from the COW device to the origin."""
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
    """I: makes the copy durable before its records are cleared (MERGE-6, MERGE-7).  Linux: since fcc42338375a."""
    _enter(d, snap, MergeTrigger.COPIED, merge_of(snap).run)
    bios.send(d, d.begin(MergeFlush(snap.id)), Bio(Op.FLUSH, snap.origin))


def flushed(d: Draft, snap: SnapshotTarget, error: str | None) -> None:
    """I: the origin has been flushed."""
    if error is not None:
        rules_of(d).fail_merge(d, snap, "Flush after merge failed: shutting down merge")
    else:
        rules_of(d).commit_merge(d, snap)


def commit_merge(d: Draft, snap: SnapshotTarget) -> None:
    """J: clears the run's records on disk, after a flush of the COW device and durably (MERGE-6).

    Linux writes every area after such a flush.  Here nothing depends on it: a cleared record promises no data there.
    """
    run = merge_of(snap).run
    _enter(d, snap, MergeTrigger.FLUSHED, run)
    if isinstance(snap.store, Persistent) and run is not None:
        image = snap.store.cleared(run.count)
        store_io.write(
            d, snapshot(d, snap.id), StoreStep.MERGE_COMMIT, snap.store.area_sector, image, preflush=True, fua=True
        )


def commit_done(d: Draft, snap: SnapshotTarget, error: str | None) -> None:
    """J: the records are cleared.  After an error the store in memory is as before: a restart takes the same run again
    (MERGE-17).
    """
    run = merge_of(snap).run
    if error is not None or run is None or not isinstance(snap.store, Persistent):
        rules_of(d).fail_merge(d, snap, "Write error in exception store: shutting down merge")
        return
    d.put(replace(snap, store=snap.store.merged(run.count)), over=snap)
    rules_of(d).release_run(d, snapshot(d, snap.id))


def release_run(d: Draft, snap: SnapshotTarget) -> None:
    """K: the run's chunks live on the origin now; queued writes are sent there (MERGE-16), and the next run begins.

    Chunks go from the highest to the lowest, each from the end of its range (EXC-4); one of a damaged store may not be
    at an end, which ends the loop.  What is left are the exceptions that were committed first (MERGE-4).
    """
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
    """Ends the loop with the status ``Merge failed``; exceptions stay, so the device shows the same (MERGE-9).

    Queued writes fail (MERGE-10).  The status stays, whatever a later resume does (MERGE-11); no event is raised
    (MERGE-14).
    """
    d.log(f"snapshots: {text}")
    merge = merge_of(snap)
    phase = MERGE.after(merge.phase, MergeTrigger.FAILED)
    d.put(replace(snap, merge=replace(merge, phase=phase, run=None, queued=(), failed=True)), over=snap)
    for id in merge.queued:
        bios.piece_ended(d, id, "EIO")
