"""The ``snapshot`` target: the mapping of its bios.

A read goes to the COW device if its chunk has a completed exception, else to the origin, where it is *tracked*: a
write to the origin must not overtake it once the exception is completed.  A write goes to the COW device, and first
makes an exception if its chunk has none: it waits for the copy, or replaces the copy if it fills the chunk.  Without
room for an exception the snapshot overflows: it is invalid from then on, or, with ``PO``, only refuses writes.

Source: ``snapshot_map`` in dm-snap.c (specs/snapshot.md).
"""

from snapmerge.format.exceptions import lookup
from snapmerge.machine.core import bios
from snapmerge.machine.core.bio import Bio, Op, WorkId
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import Piece
from snapmerge.machine.snapshot import copy_out
from snapmerge.machine.snapshot.registry import snapshot
from snapmerge.machine.snapshot.rules import rules_of
from snapmerge.machine.snapshot.state import PendingStage, SnapshotTarget
from snapmerge.records import replace
from snapmerge.units import Chunk, chunk_of, chunk_start, offset_in_chunk

__all__ = ["in_cow", "map_snapshot", "max_io_len", "track", "untrack"]


def max_io_len(_d: Draft, snap: SnapshotTarget, bio: Bio) -> int:
    """No piece crosses a border of chunks, counted from the target's start (SNAP-11).

    Source: ``max_io_len`` in dm.c.
    """
    return snap.io_max - (bio.sector - snap.line.start) % snap.io_max if snap.io_max else bio.count


def map_snapshot(d: Draft, id: WorkId, snap: SnapshotTarget, piece: Piece) -> None:
    """Decides where a piece goes, in the kernel's order of questions.

    A flush goes to the COW device (SNAP-9), also of an invalid snapshot, all other bios of which fail (SNAP-7).  After
    an overflow every write fails (SNAP-4).
    """
    bio = piece.bio
    if bio.op is Op.FLUSH:
        bios.send(d, id, bio.to(snap.cow, 0))
    elif snap.dropping:
        copy_out.lock_out(d, snap.id, id)
    elif not snap.valid or (snap.overflowed and bio.is_write):
        bios.piece_ended(d, id, "EIO")
    elif bio.op is Op.DISCARD:
        _map_discard(d, id, snap, piece)
    else:
        _map_data(d, id, snap, piece)


def _map_data(d: Draft, id: WorkId, snap: SnapshotTarget, piece: Piece) -> None:
    """Sends a read or write to the device that has its chunk (SNAP-10).

    Writes never go to the origin (SNAP-2).  A chunk without an exception is read from the origin (SNAP-8), which
    changes only after an exception is made (SNAP-1).
    """
    bio = piece.bio
    chunk = chunk_of(bio.sector, snap.store.chunk_size)
    new = lookup(snap.completed, chunk)
    if new is not None:
        bios.send(d, id, in_cow(snap, bio, new))
    elif bio.op is Op.READ:
        track(d, id, snap.id, chunk)
        bios.send(d, id, bio.to(snap.origin, bio.sector))
    else:
        _write_new(d, id, snap, chunk)


def _write_new(d: Draft, id: WorkId, snap: SnapshotTarget, chunk: Chunk) -> None:
    """A write to a chunk without a completed exception waits for one, or is the copy if it fills the chunk (EXC-10).

    The partial chunk at the end of an origin is never filled (SNAP-15).
    """
    if chunk not in snap.pending and not copy_out.prepare(d, snap.id, chunk):
        _overflow(d, id, snap)
        return
    pending = snapshot(d, snap.id).pending[chunk]
    piece = d.piece(id)
    bio = in_cow(snap, piece.bio, Chunk(pending.new))
    fills = bio.count == snap.store.chunk_size and pending.stage is PendingStage.ALLOCATED
    d.change(id, replace(piece, bio=bio, chunk=chunk if fills else None, full=fills), over=piece)
    if fills:
        copy_out.fill(d, snap.id, chunk, id)
        bios.send(d, id, bio)
    else:
        copy_out.queue(d, snap.id, chunk, id)
        copy_out.start_copy(d, snap.id, chunk)


def _overflow(d: Draft, id: WorkId, snap: SnapshotTarget) -> None:
    """Fails a write without room for an exception, and invalidates the snapshot unless it has ``PO`` (SNAP-4)."""
    if snap.store.overflow:
        d.put(replace(snap, overflowed=True), over=snap)
        d.log("snapshots: Snapshot overflowed: Unable to allocate exception.")
    else:
        rules_of(d).invalidate(d, snap, "ENOMEM")
    if snapshot(d, snap.id).dropping:
        copy_out.lock_out(d, snap.id, id)
    else:
        bios.piece_ended(d, id, "EIO")


def _map_discard(d: Draft, id: WorkId, snap: SnapshotTarget, piece: Piece) -> None:
    """A discard makes no exception, and changes only chunks that have one (SNAP-19), inside its range (SNAP-12).

    A second clone goes to the origin, which is not copied out for it (SNAP-14).
    """
    bio = piece.bio
    chunk = chunk_of(bio.sector, snap.store.chunk_size)
    if piece.number == 1:
        track(d, id, snap.id, chunk)
        bios.send(d, id, bio.to(snap.origin, bio.sector))
        return
    new = lookup(snap.completed, chunk)
    if new is None:
        bios.piece_ended(d, id, None)
        return
    remapped = in_cow(snap, bio, new)
    whole = bio.count == snap.store.chunk_size
    bios.send(d, id, replace(remapped, op=Op.ZERO) if whole else remapped)


def in_cow(snap: SnapshotTarget, bio: Bio, new: Chunk) -> Bio:
    """The bio, remapped to its exception.  Source: ``remap_exception``."""
    size = snap.store.chunk_size
    return bio.to(snap.cow, chunk_start(new, size) + offset_in_chunk(bio.sector, size))


# --- tracked I/O -------------------------------------------------------------------------------------------------


def track(d: Draft, id: WorkId, snap_id: int, chunk: int) -> None:
    """Counts a piece in flight under its chunk until it ends (ORIGIN-3, MERGE-19).  Source: ``track_chunk``."""
    piece = d.piece(id)
    d.change(id, replace(piece, chunk=chunk), over=piece)
    snap = snapshot(d, snap_id)
    d.put(replace(snap, tracked=snap.tracked.set(chunk, snap.tracked.get(chunk, 0) + 1)), over=snap)


def untrack(d: Draft, snap_id: int, chunk: int) -> bool:
    """Stops counting a piece under its chunk; True: it was the last one.  Source: ``stop_tracking_chunk``."""
    snap = snapshot(d, snap_id)
    left = snap.tracked[chunk] - 1
    d.put(replace(snap, tracked=snap.tracked.set(chunk, left) if left else snap.tracked.delete(chunk)), over=snap)
    return left == 0
